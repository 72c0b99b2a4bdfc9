//! `POST /logout`, `POST /logout-all`, `GET /sessions`, `DELETE /sessions/{id}`.

use std::net::IpAddr;

use http::StatusCode;
use http_body::Body;
use serde::Serialize;
use tower::BoxError;

use super::{Answer, answer::Content, clear_cookies, exchange::Exchange};
use crate::{
    auth::Check,
    clock::Timestamp,
    error::{Error, ErrorKind},
    session::SessionId,
    user::AuthUser,
};

pub(super) async fn logout<U, B>(exchange: &Exchange<'_, U>, body: B) -> Result<Answer, Error>
where
    U: AuthUser,
    B: Body,
    B::Error: Into<BoxError>,
{
    let from_body = exchange.optional_fields(body).await?.take("refresh_token")?;
    let cookies = exchange.refresh_cookies();
    let refresh_tokens: Vec<&str> = from_body.as_deref().into_iter().chain(cookies).collect();
    // Whatever is wrong with an access token, signing out is still what its sender wants.
    let access_token = match exchange.access_token() {
        Ok(found) => found.map(|found| found.token),
        Err(error) if error.kind() == ErrorKind::InvalidRequest => return Err(error),
        Err(_) => None,
    };
    exchange.auth.logout_presented(&refresh_tokens, access_token, &exchange.origin()).await?;
    cleared(exchange)
}

pub(super) async fn logout_all<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<Answer, Error> {
    let (authenticated, _) = exchange.authenticate(Check::Stateless).await?;
    exchange.auth.logout_all_from(&authenticated.claims, &exchange.origin()).await?;
    cleared(exchange)
}

pub(super) async fn list<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<Answer, Error> {
    let (authenticated, _) = exchange.authenticate(Check::Stateless).await?;
    let claims = &authenticated.claims;
    let sessions = exchange.auth.sessions(claims.subject()).await?;
    // A token of no live session is told of none: who has made one with a stolen key would learn there which to name.
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
    exchange.answer(StatusCode::OK, Content::Sessions { sessions })
}

pub(super) async fn end<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<Answer, Error> {
    let (authenticated, _) = exchange.authenticate(Check::Stateless).await?;
    let claims = &authenticated.claims;
    let id = exchange.id.parse::<SessionId>().map_err(|_| ErrorKind::SessionNotFound)?;
    exchange.auth.end_session_from(claims.subject(), id, &exchange.origin()).await?;
    if id == claims.session_id() {
        cleared(exchange)
    } else {
        exchange.answer(StatusCode::NO_CONTENT, Content::Nothing)
    }
}

fn cleared<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<Answer, Error> {
    let mut answer = exchange.answer(StatusCode::NO_CONTENT, Content::Nothing)?;
    clear_cookies(exchange, answer.headers_mut())?;
    Ok(answer)
}

/// What a user sees of a session.
#[derive(Serialize)]
pub(super) struct SessionView {
    id: SessionId,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    user_agent: Option<Box<str>>,
    ip: Option<IpAddr>,
    current: bool,
}
