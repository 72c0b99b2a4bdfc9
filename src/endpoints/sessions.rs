//! `GET /sessions`: lists the user's sessions.

use std::net::IpAddr;

use http::{Method, StatusCode};
use serde::Serialize;

use super::{
    answer::{self, Answer},
    exchange::Exchange,
};
use crate::{
    auth::Check,
    clock::Timestamp,
    error::{Error, ErrorKind},
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec},
        request::body::RequestBody,
        schema::{FieldKind, FieldSpec, SuccessSchema},
    },
    session::SessionId,
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::Sessions,
    methods: &[Method::GET],
    path: "/sessions",
    caller: Caller::AccessToken,
    cross_site: CrossSiteRule::Unchecked,
    cookies: CookieEffect::None,
    status: StatusCode::OK,
    request: None,
    success: SuccessSchema::Fields(&[FieldSpec::required("sessions", FieldKind::List(SESSION))]),
    failures: &[],
    operation_id: "sessions",
    summary: "Lists the user's sessions",
    message: "Success",
};

/// The members of [`SessionView`].
const SESSION: &[FieldSpec] = &[
    FieldSpec::required("id", FieldKind::Text),
    FieldSpec::required("created_at", FieldKind::Time),
    FieldSpec::required("last_used_at", FieldKind::Time),
    FieldSpec::required("expires_at", FieldKind::Time),
    FieldSpec::required("user_agent", FieldKind::NullableText),
    FieldSpec::required("ip", FieldKind::NullableText),
    FieldSpec::required("current", FieldKind::Flag),
];

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, _: RequestBody) -> Result<Answer, Error> {
    let (authenticated, _) = exchange.authenticate(Check::Stateless).await?;
    let claims = &authenticated.claims;
    let sessions = exchange.auth.sessions(claims.subject()).await?;
    // A token without an active session lists nothing. Otherwise an attacker with a stolen signing
    // key could make a token, and learn here the ids of sessions.
    if !sessions.iter().any(|session| session.id == claims.session_id()) {
        return Err(ErrorKind::TokenRevoked.into());
    }
    let sessions = sessions
        .into_iter()
        .map(|session| SessionView {
            id: session.id,
            created_at: session.created_at,
            last_used_at: session.rotated_at,
            expires_at: session.expires_at,
            user_agent: session.user_agent,
            ip: session.ip,
            current: session.id == claims.session_id(),
        })
        .collect();
    answer::body(exchange, &SessionList { sessions })
}

#[derive(Serialize)]
struct SessionList {
    sessions: Vec<SessionView>,
}

/// A session as its user sees it.
#[derive(Serialize)]
struct SessionView {
    id: SessionId,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    user_agent: Option<Box<str>>,
    ip: Option<IpAddr>,
    current: bool,
}
