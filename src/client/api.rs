//! What our endpoints are asked, and what their answers mean.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::BoxError;
use tower_service::Service;

use super::{
    ClientError, ClientErrorKind,
    error::Problem,
    tokens::{Lineage, Pair},
};
use crate::{clock::Timestamp, error::FieldError, secret::Secret};

/// The largest answer that is read: an app's own public user may be large.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

type Sending = Pin<Box<dyn Future<Output = Result<Answer, ClientError>> + Send>>;

/// An HTTP client whose type is forgotten.
pub(super) type Transport = Arc<dyn Fn(Request<Full<Bytes>>) -> Sending + Send + Sync>;

pub(super) fn transport<T, R>(service: T) -> Transport
where
    T: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<BoxError>,
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Into<BoxError>,
{
    Arc::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            let lost = |error: BoxError| ClientError::with_source(ClientErrorKind::Unreachable, error);
            std::future::poll_fn(|cx| service.poll_ready(cx)).await.map_err(|error| lost(error.into()))?;
            let response = service.call(request).await.map_err(|error| lost(error.into()))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(lost)?.to_bytes();
            let retry_after = retry_after(&parts.headers);
            Ok(Answer { status: parts.status, retry_after, body })
        })
    })
}

/// In whole seconds, as ours says it; a date (RFC 9110 §10.2.3) would have to be read against the server's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A request to one of our endpoints.
pub(super) fn request(
    method: Method,
    uri: String,
    user_agent: &HeaderValue,
    bearer: Option<HeaderValue>,
    body: &impl Serialize,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let unsendable = |error: BoxError| ClientError::with_source(ClientErrorKind::Unreachable, error);
    let body = serde_json::to_vec(body).map_err(|error| unsendable(error.into()))?;
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header(ACCEPT, HeaderValue::from_static("application/json, application/problem+json"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(USER_AGENT, user_agent)
        .body(Full::from(body))
        .map_err(|error| unsendable(error.into()))?;
    if let Some(bearer) = bearer {
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    Ok(request)
}

/// What came back.
pub(super) struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

/// A token answer.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    user: Value,
    access_token: Option<Secret<String>>,
    refresh_token: Option<Secret<String>>,
    expires_in: Option<u64>,
}

impl Answer {
    /// The user, and the pair if there is one: a registration may sign nobody in.
    ///
    /// # Errors
    /// [`ClientErrorKind::Refused`] or [`ClientErrorKind::Unexpected`].
    pub(super) fn tokens(self, lineage: Lineage, asked_at: Timestamp) -> Result<(Value, Option<Pair>), ClientError> {
        let status = self.status;
        let unexpected = |what| ClientError::unexpected(status, what);
        self.done()?;
        // The parser's own words would repeat what is in the answer.
        let answer: TokenAnswer = serde_json::from_slice(&self.body)
            .map_err(|_| unexpected("the answer has not the shape of one of ours"))?;
        let pair = match (answer.access_token, answer.refresh_token, answer.expires_in) {
            (Some(access), Some(refresh), Some(expires_in)) => {
                let expires_at = asked_at.plus(Duration::from_secs(expires_in));
                let pair = Pair::new(access, refresh, lineage, asked_at, expires_at);
                Some(pair.ok_or_else(|| unexpected("the tokens are none"))?)
            }
            (None, None, _) if status == StatusCode::CREATED => None,
            _ => return Err(unexpected("the answer brings no tokens: let the server's TOKEN_DELIVERY allow `body`")),
        };
        Ok((answer.user, pair))
    }

    /// # Errors
    /// As for [`tokens`](Self::tokens).
    pub(super) fn done(&self) -> Result<(), ClientError> {
        if self.status.is_success() {
            return Ok(());
        }
        if !(self.status.is_client_error() || self.status.is_server_error()) {
            return Err(ClientError::unexpected(self.status, "the answer sends elsewhere, where tokens do not follow"));
        }
        let problem = self.problem().unwrap_or_default();
        Err(ClientError::refused(self.status, self.retry_after, problem))
    }

    /// Whether a refresh was refused for good: by one of our codes, because a proxy on the way has 401s of its own.
    pub(super) fn ends_the_session(&self) -> bool {
        let code = self.problem().and_then(|problem| problem.code);
        let is_final = |code| matches!(code, "refresh_expired" | "refresh_invalid" | "refresh_reused");
        self.status == StatusCode::UNAUTHORIZED && code.as_deref().is_some_and(is_final)
    }

    /// Whether it is our access token that was refused.
    pub(super) fn wants_another_token(&self) -> bool {
        let code = |problem: Problem| problem.code.is_none_or(|code| code.starts_with("token_"));
        self.status == StatusCode::UNAUTHORIZED && self.problem().is_none_or(code)
    }

    /// Whether the server cannot tell what has happened: a token may have been rotated or not.
    pub(super) fn leaves_open(&self) -> bool {
        self.status.is_server_error()
    }

    fn problem(&self) -> Option<Problem> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let members = body.as_object()?;
        let text = |members: &serde_json::Map<String, Value>, name: &str| Some(members.get(name)?.as_str()?.to_owned());
        let field = |error: &Value| {
            let error = error.as_object()?;
            Some(FieldError::new(text(error, "field")?, text(error, "code")?, text(error, "message")?))
        };
        let fields = members.get("errors").and_then(Value::as_array);
        Some(Problem {
            code: text(members, "code"),
            detail: text(members, "detail"),
            fields: fields.map(|fields| fields.iter().filter_map(field).collect()).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage() -> Lineage {
        Lineage::draw().unwrap()
    }

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, retry_after: None, body: body.to_owned().into() }
    }

    #[test]
    fn a_session_ends_by_our_own_401_alone() {
        for (status, body, ends) in [
            (401, r#"{"code":"refresh_reused"}"#, true),
            (401, r#"{"code":"refresh_invalid"}"#, true),
            (401, r#"{"code":"refresh_expired"}"#, true),
            (401, r#"{"code":"refresh_missing"}"#, false),
            (401, r#"{"code":"refresh_quota_exceeded"}"#, false),
            (401, r#"{"message":"No API key found"}"#, false),
            (401, r#"{"code":"proxy_login"}"#, false),
            (401, "<html>Sign in to the airport's network", false),
            (401, "", false),
            (403, r#"{"code":"refresh_reused"}"#, false),
            (200, "{}", false),
            (503, r#"{"code":"store_unavailable"}"#, false),
        ] {
            assert_eq!(answer(status, body).ends_the_session(), ends, "{status} {body}");
        }
    }

    #[test]
    fn what_answers_in_another_shape_brings_no_tokens_and_is_not_repeated() {
        let now = Timestamp::EPOCH;
        for (status, body) in [
            (200, "<html>canary"),
            (200, r#"{"access_token":"canary"}"#),
            (200, r#"{"access_token":"canary","refresh_token":7,"expires_in":900}"#),
            (200, r#"{"access_token":"canary","refresh_token":"a b","expires_in":900}"#),
            (200, r#"{"access_token":"canary","refresh_token":"r","expires_in":-1}"#),
            (302, "canary"),
        ] {
            let error = answer(status, body).tokens(lineage(), now).unwrap_err();
            assert_eq!(error.kind(), ClientErrorKind::Unexpected, "{status} {body}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        let (user, pair) = answer(201, r#"{"user":{"id":"7"}}"#).tokens(lineage(), now).unwrap();
        assert!(pair.is_none() && user["id"] == "7");
    }

    #[test]
    fn a_life_beyond_the_calendar_is_no_panic() {
        let body = format!(r#"{{"access_token":"a","refresh_token":"r","expires_in":{}}}"#, u64::MAX);
        assert!(answer(200, &body).tokens(lineage(), Timestamp::from_secs(1)).unwrap().1.is_some());
    }
}
