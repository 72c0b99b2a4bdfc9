//! `GET /me`: shows the user.

use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    exchange::Exchange,
};
use crate::{
    auth::Check,
    error::{Error, ErrorKind},
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec},
        request::body::RequestBody,
        schema::SuccessSchema,
    },
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::Me,
    methods: &[Method::GET],
    path: "/me",
    caller: Caller::AccessToken,
    cross_site: CrossSiteRule::Unchecked,
    cookies: CookieEffect::None,
    status: StatusCode::OK,
    request: None,
    success: SuccessSchema::User,
    failures: &[],
    operation_id: "me",
    summary: "Shows the user",
    message: "Success",
};

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, _: RequestBody) -> Result<Answer, Error> {
    let (authenticated, _) = exchange.authenticate(Check::User).await?;
    let user = authenticated.user.ok_or(ErrorKind::Internal)?;
    answer::user(exchange, &user)
}
