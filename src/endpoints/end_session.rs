//! `DELETE /sessions/{id}`: ends one of the user's sessions.

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
    session::SessionId,
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::EndSession,
    methods: &[Method::DELETE],
    path: "/sessions/{id}",
    caller: Caller::AccessToken,
    cross_site: CrossSiteRule::UnlessBearer,
    cookies: CookieEffect::Clears,
    status: StatusCode::NO_CONTENT,
    request: None,
    success: SuccessSchema::Nothing,
    failures: &[&[ErrorKind::SessionNotFound]],
    operation_id: "end_session",
    summary: "Ends one of the user's sessions",
    message: "Session ended successfully",
};

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, _: RequestBody) -> Result<Answer, Error> {
    let (authenticated, _) = exchange.authenticate(Check::Stateless).await?;
    let claims = &authenticated.claims;
    let id = exchange.path_parameter.parse::<SessionId>().map_err(|_| ErrorKind::SessionNotFound)?;
    exchange.auth.end_session(claims.subject(), id, &exchange.client_for_events()).await?;
    if id == claims.session_id() { answer::cleared(exchange) } else { answer::nothing(exchange) }
}
