//! `POST /logout`: ends the sessions of the tokens that the request brings.

use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    exchange::Exchange,
};
use crate::{
    auth::Presented,
    error::{Error, ErrorKind},
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec},
        request::body::RequestBody,
        schema::{FieldKind, FieldSpec, RequestSchema, SuccessSchema},
    },
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::Logout,
    methods: &[Method::POST],
    path: "/logout",
    caller: Caller::AnyToken,
    cross_site: CrossSiteRule::UnlessBearerAlone,
    cookies: CookieEffect::Clears,
    status: StatusCode::NO_CONTENT,
    request: Some(RequestSchema::new(&[FieldSpec::optional("refresh_token", FieldKind::NullableText)])),
    success: SuccessSchema::Nothing,
    failures: &[],
    operation_id: "logout",
    summary: "Ends the session",
    message: "User logged out successfully",
};

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, body: RequestBody) -> Result<Answer, Error> {
    let from_body = exchange.optional_fields(body).await?.take("refresh_token")?;
    let refresh_tokens = from_body.as_deref().into_iter().chain(exchange.refresh_cookies());
    // An access token that is not valid does not prevent the logout.
    let access_token = match exchange.access_token() {
        Ok(found) => found.map(|found| found.token),
        Err(error) if error.kind() == ErrorKind::InvalidRequest => return Err(error),
        Err(_) => None,
    };
    let presented = refresh_tokens.fold(Presented::default(), Presented::with_refresh).with_access_bytes(access_token);
    exchange.auth.logout(&presented, &exchange.client_for_events()).await?;
    answer::cleared(exchange)
}
