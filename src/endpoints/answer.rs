//! Writes the answers of handlers: a body in the shape that the app chose, and the cookies of the
//! tokens.

use bytes::Bytes;
use http::{HeaderMap, Response, header::SET_COOKIE};
use http_body_util::Full;
use serde::Serialize;

use super::exchange::{CookieUse, Exchange};
use crate::{
    auth::{LoggedIn, LoginOutcome},
    error::Error,
    http::{
        response::{delivery::Places, plain, shape::ReadyTypes},
        schema::SuccessSchema,
    },
    user::AuthUser,
};

pub(super) type Answer = Response<Full<Bytes>>;

/// Answers with this body.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if an app's own type cannot be written.
pub(super) fn body<U: AuthUser>(exchange: &Exchange<'_, U>, body: &impl Serialize) -> Result<Answer, Error> {
    exchange.auth.0.http.responder.success(exchange.spec, ReadyTypes::of::<U>(), Some(body))
}

/// Answers without content. A shape may still write a body.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the shape cannot write its body.
pub(super) fn nothing<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<Answer, Error> {
    exchange.auth.0.http.responder.success(exchange.spec, ReadyTypes::of::<U>(), None::<&()>)
}

/// Answers with the user.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the app's user cannot be written.
pub(super) fn user<U: AuthUser>(exchange: &Exchange<'_, U>, user: &U) -> Result<Answer, Error> {
    #[derive(Serialize)]
    struct UserBody<P> {
        user: P,
    }
    body(exchange, &UserBody { user: user.public() })
}

/// Answers what a login has led to.
///
/// # Errors
/// As for [`tokens`].
pub(super) fn outcome<U: AuthUser>(
    exchange: &Exchange<'_, U>,
    outcome: &LoginOutcome<U>,
    places: Places,
) -> Result<Answer, Error> {
    match outcome {
        LoginOutcome::Complete(logged_in) => tokens(exchange, logged_in, places),
    }
}

/// Answers with the user and the tokens. `places` says which tokens go into the body and into
/// cookies.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the app's user cannot be written, or if a
/// token does not fit into its cookie.
pub(super) fn tokens<U: AuthUser>(
    exchange: &Exchange<'_, U>,
    logged_in: &LoggedIn<U>,
    places: Places,
) -> Result<Answer, Error> {
    #[derive(Serialize)]
    struct TokenBody<'a, P> {
        user: P,
        token_type: &'static str,
        expires_in: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        access_token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
    }
    let tokens = &logged_in.tokens;
    let issued = tokens.issued_at.as_secs();
    let expires_in = tokens.access_expires_at.as_secs().saturating_sub(issued);
    let token_body = TokenBody {
        user: logged_in.user.public(),
        token_type: "Bearer",
        expires_in,
        access_token: places.access_body.then(|| tokens.access_token.expose().as_str()),
        refresh_token: places.refresh_body.then(|| tokens.refresh_token.expose().as_str()),
    };
    let mut answer = body(exchange, &token_body)?;
    let cookies = &exchange.auth.0.http.cookies;
    if places.access_cookie || places.refresh_cookie {
        exchange.expire_other_cookies(answer.headers_mut())?;
    }
    if places.access_cookie {
        answer.headers_mut().append(SET_COOKIE, cookies.access.set(tokens.access_token.expose(), expires_in)?);
    }
    if places.refresh_cookie {
        let max_age = tokens.refresh_expires_at.as_secs().saturating_sub(issued);
        answer.headers_mut().append(SET_COOKIE, cookies.refresh.set(tokens.refresh_token.expose(), max_age)?);
    }
    Ok(answer)
}

/// Answers without content, and deletes the cookies.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the shape cannot write its body.
pub(super) fn cleared<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<Answer, Error> {
    let mut answer = nothing(exchange)?;
    clear_cookies(exchange, answer.headers_mut())?;
    Ok(answer)
}

/// Adds the lines that delete the cookies, if the request may change cookies.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if a line is not a valid header. Checked
/// settings prevent that.
pub(super) fn clear_cookies<U: AuthUser>(exchange: &Exchange<'_, U>, headers: &mut HeaderMap) -> Result<(), Error> {
    if exchange.cookies == CookieUse::Barred {
        return Ok(());
    }
    let cookies = &exchange.auth.0.http.cookies;
    exchange.expire_other_cookies(headers)?;
    headers.append(SET_COOKIE, cookies.access.delete()?);
    headers.append(SET_COOKIE, cookies.refresh.delete()?);
    Ok(())
}

/// Answers with a public document. It is the same in every shape, and caches may keep it.
pub(super) fn document<U: AuthUser>(exchange: &Exchange<'_, U>, document: String) -> Answer {
    let content_type = match exchange.spec.success {
        SuccessSchema::Document { content_type, .. } => content_type,
        _ => "application/json",
    };
    plain::public_document(document, content_type)
}

/// Answers a failure. It uses the names of fields that the request used.
pub(super) fn failure<U: AuthUser>(exchange: &Exchange<'_, U>, error: Error) -> Answer {
    let responder = &exchange.auth.0.http.responder;
    let error = match responder.shape() {
        None => error,
        Some(shape) => error.renaming_fields(|field| shape.field_name(exchange.spec, ReadyTypes::of::<U>(), field)),
    };
    responder.problem(&error)
}
