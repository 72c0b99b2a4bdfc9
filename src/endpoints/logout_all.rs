//! `POST /logout-all`: ends every session of the user.

use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    exchange::Exchange,
};
use crate::{
    auth::Check,
    error::Error,
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec},
        request::body::RequestBody,
        schema::SuccessSchema,
    },
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::LogoutAll,
    methods: &[Method::POST],
    path: "/logout-all",
    caller: Caller::AccessToken,
    cross_site: CrossSiteRule::UnlessBearer,
    cookies: CookieEffect::Clears,
    status: StatusCode::NO_CONTENT,
    request: None,
    success: SuccessSchema::Nothing,
    failures: &[],
    operation_id: "logout_all",
    summary: "Ends every session of the user",
    message: "User logged out everywhere successfully",
};

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, _: RequestBody) -> Result<Answer, Error> {
    let (authenticated, _) = exchange.authenticate(Check::Stateless).await?;
    exchange.auth.logout_all(&authenticated.claims, &exchange.client_for_events()).await?;
    answer::cleared(exchange)
}
