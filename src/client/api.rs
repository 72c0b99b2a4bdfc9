//! The HTTP calls to the server's endpoints, and the meaning of their answers.

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
    ClientAuth, ClientError, ClientErrorKind, ServerUser,
    error::Problem,
    tokens::{Lineage, Pair},
};
use crate::{clock::Timestamp, error::FieldError, secret::Secret};

/// The largest body that is read. The user in it may be large, because its fields are the app's.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

type Sending = Pin<Box<dyn Future<Output = Result<Answer, ClientError>> + Send>>;

/// An HTTP client of any type.
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

/// Reads `Retry-After` in whole seconds, the form of our endpoints. A date (RFC 9110 §10.2.3) is
/// ignored, because only the server's clock gives it a meaning.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The body of a refresh and of a logout.
#[derive(Serialize)]
pub(super) struct Presented<'a> {
    pub(super) refresh_token: &'a str,
}

impl ClientAuth {
    /// Sends a request to an endpoint of the server. Waits for the answer for the given number of
    /// timeouts.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&Pair>,
        body: &impl Serialize,
        timeouts: u32,
    ) -> Result<Answer, ClientError> {
        let unreachable = |error: BoxError| ClientError::with_source(ClientErrorKind::Unreachable, error);
        let body = serde_json::to_vec(body).map_err(|error| unreachable(error.into()))?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.0.base))
            .header(ACCEPT, HeaderValue::from_static("application/json, application/problem+json"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, &self.0.user_agent)
            .body(Full::from(body))
            .map_err(|error| unreachable(error.into()))?;
        if let Some(bearer) = bearer.and_then(Pair::bearer) {
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let answer = tokio::time::timeout(self.0.settings.timeout * timeouts, (self.0.send)(request)).await;
        answer.unwrap_or_else(|_| Err(unreachable("the server takes too long".into())))
    }
}

/// An answer of an endpoint.
pub(super) struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

/// The body of an answer with tokens.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    user: Value,
    access_token: Option<Secret<String>>,
    refresh_token: Option<Secret<String>>,
    expires_in: Option<u64>,
}

impl Answer {
    /// Returns the user and the pair. There is no pair after a registration that does not log in.
    ///
    /// # Errors
    /// [`ClientErrorKind::Refused`] or [`ClientErrorKind::Unexpected`].
    pub(super) fn tokens(
        self,
        lineage: Lineage,
        asked_at: Timestamp,
    ) -> Result<(ServerUser, Option<Pair>), ClientError> {
        let status = self.status;
        let unexpected = |what| ClientError::unexpected(status, what);
        self.success()?;
        // The parser's own message would repeat parts of the answer.
        let answer: TokenAnswer = serde_json::from_slice(&self.body)
            .map_err(|_| unexpected("the answer has another form than that of the endpoints"))?;
        let pair = match (answer.access_token, answer.refresh_token, answer.expires_in) {
            (Some(access), Some(refresh), Some(expires_in)) => {
                let expires_at = asked_at.plus(Duration::from_secs(expires_in));
                let pair = Pair::new(access, refresh, lineage, asked_at, expires_at);
                Some(pair.ok_or_else(|| unexpected("the tokens in the answer are not valid tokens"))?)
            }
            (None, None, _) if status == StatusCode::CREATED => None,
            _ => return Err(unexpected("the answer has no tokens: let the server's TOKEN_DELIVERY allow `body`")),
        };
        Ok((ServerUser::new(answer.user), pair))
    }

    /// Checks that the answer is a success.
    ///
    /// # Errors
    /// The same as for [`tokens`](Self::tokens).
    pub(super) fn success(&self) -> Result<(), ClientError> {
        if self.status.is_success() {
            return Ok(());
        }
        if !(self.status.is_client_error() || self.status.is_server_error()) {
            return Err(ClientError::unexpected(
                self.status,
                "the answer redirects, and tokens are sent to no other address",
            ));
        }
        let problem = self.problem().unwrap_or_default();
        Err(ClientError::refused(self.status, self.retry_after, problem))
    }

    /// Returns whether the server has ended the session. Only our codes count, because a proxy
    /// between client and server may answer 401 as well.
    pub(super) fn ends_the_session(&self) -> bool {
        let code = self.problem().and_then(|problem| problem.code);
        let is_final = |code| matches!(code, "refresh_expired" | "refresh_invalid" | "refresh_reused");
        self.status == StatusCode::UNAUTHORIZED && code.as_deref().is_some_and(is_final)
    }

    /// Returns whether the server refused the access token, and not for example the password.
    pub(super) fn refuses_the_access_token(&self) -> bool {
        let code = |problem: Problem| problem.code.is_none_or(|code| code.starts_with("token_"));
        self.status == StatusCode::UNAUTHORIZED && self.problem().is_none_or(code)
    }

    /// Returns whether the server failed. It may have rotated the token before that.
    pub(super) fn is_server_error(&self) -> bool {
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
        Lineage::generate().unwrap()
    }

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, retry_after: None, body: body.to_owned().into() }
    }

    #[test]
    fn only_our_own_401_ends_a_session() {
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
    fn an_answer_in_another_form_is_an_error_that_hides_it() {
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
        assert!(pair.is_none() && user.id() == Some("7"));
    }

    #[test]
    fn a_lifetime_beyond_the_calendar_does_not_panic() {
        let body = format!(r#"{{"access_token":"a","refresh_token":"r","expires_in":{}}}"#, u64::MAX);
        assert!(answer(200, &body).tokens(lineage(), Timestamp::from_secs(1)).unwrap().1.is_some());
    }
}
