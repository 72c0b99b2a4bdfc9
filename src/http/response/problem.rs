//! Failures as `application/problem+json` (RFC 9457), and the headers of failures in every shape.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    plain::{no_store, with_bytes},
    status::status,
};
use crate::error::{Error, ErrorKind, FieldError, causes};

/// A failure, from which an app writes its own body.
///
/// [`AuthBuilder::failure_body`](crate::AuthBuilder::failure_body) takes the function that writes
/// the body. A `FailureBody` serializes as the standard body.
///
/// # Examples
///
/// ```
/// use portcullis::{AuthBuilder, User};
///
/// #[derive(serde::Serialize)]
/// struct Failed {
///     error: &'static str,
///     message: String,
/// }
///
/// fn configure(builder: AuthBuilder<User>) -> AuthBuilder<User> {
///     builder.failure_body(|failure| Failed { error: failure.kind.code(), message: failure.detail })
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailureBody {
    /// The kind of the failure. It has a stable code.
    pub kind: ErrorKind,
    /// The status of the answer.
    pub status: StatusCode,
    /// An English sentence for the client. It never names an internal cause.
    pub detail: String,
    /// The fields of the request that are not valid.
    pub fields: Vec<FieldError>,
    /// The time to wait before the next attempt. The header `Retry-After` has it too, in whole
    /// seconds.
    pub retry_after: Option<Duration>,
}

impl FailureBody {
    pub(super) fn of(error: &Error) -> Self {
        let kind = error.kind();
        // The detail of an internal error may contain secrets.
        let detail = error.detail().filter(|_| kind != ErrorKind::Internal).unwrap_or(kind.message()).to_owned();
        let (fields, retry_after) = (error.fields().to_vec(), error.retry_after());
        Self { kind, status: status(kind), detail, fields, retry_after }
    }
}

impl Serialize for FailureBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut problem = serializer.serialize_struct("Problem", 6)?;
        problem.serialize_field("type", "about:blank")?;
        // With the type `about:blank`, the title is that of the status (RFC 9457 §4.2.1).
        problem.serialize_field("title", self.status.canonical_reason().unwrap_or_default())?;
        problem.serialize_field("status", &self.status.as_u16())?;
        problem.serialize_field("code", self.kind.code())?;
        problem.serialize_field("detail", &self.detail)?;
        if self.fields.is_empty() {
            problem.skip_field("errors")?;
        } else {
            problem.serialize_field("errors", &self.fields)?;
        }
        problem.end()
    }
}

/// Answers a failure with this body, and logs its cause, which the client may not see.
pub(super) fn failure(error: &Error, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let kind = error.kind();
    let status = status(kind);
    log(error, status);
    let mut response = with_bytes(status, body, content_type);
    let headers = response.headers_mut();
    if let Some(after) = error.retry_after() {
        // The seconds are rounded up, because a client that returns too early is refused again.
        let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if status == StatusCode::UNAUTHORIZED || matches!(kind, ErrorKind::InvalidRequest | ErrorKind::InsufficientScope) {
        headers.insert(WWW_AUTHENTICATE, challenge(error));
    }
    no_store(headers);
    response
}

/// Logs a failure. Outages and overloads are warnings, because this process does not cause them.
pub(super) fn log(error: &Error, status: StatusCode) {
    let code = error.kind().code();
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            tracing::warn!(target: "portcullis", code, cause = causes(std::error::Error::source(error)), "request cannot be answered now");
        }
        _ if status.is_server_error() => {
            tracing::error!(target: "portcullis", code, cause = causes(std::error::Error::source(error)), "request failed");
        }
        _ => {
            tracing::debug!(target: "portcullis", code, cause = causes(std::error::Error::source(error)), "request refused");
        }
    }
}

/// Returns the challenge of a 401 (RFC 9110 §11.6.1), or of a 403 about scopes.
///
/// The challenge has no error code if no token was sent. Otherwise it names the fault of the token
/// (RFC 6750 §3.1).
fn challenge(error: &Error) -> HeaderValue {
    HeaderValue::from_static(match error.kind() {
        ErrorKind::InvalidRequest => {
            "Bearer error=\"invalid_request\", error_description=\"The credentials were sent more than once\""
        }
        ErrorKind::TokenExpired => "Bearer error=\"invalid_token\", error_description=\"The access token has expired\"",
        ErrorKind::TokenInvalid => {
            "Bearer error=\"invalid_token\", error_description=\"The access token is not valid\""
        }
        ErrorKind::TokenRevoked => "Bearer error=\"invalid_token\", error_description=\"The session has ended\"",
        ErrorKind::InsufficientScope => {
            let bare = "Bearer error=\"insufficient_scope\", error_description=\"The access token lacks the scope\"";
            let with_scope =
                error.scope().filter(|scope| is_scope(scope)).map(|scope| format!("{bare}, scope=\"{scope}\""));
            let with_scope = with_scope.and_then(|challenge| HeaderValue::try_from(challenge).ok());
            return with_scope.unwrap_or(HeaderValue::from_static(bare));
        }
        _ => "Bearer",
    })
}

/// Returns whether a text is a list of scope tokens, separated by single spaces (RFC 6749 §3.3).
/// Such a text cannot end the quoted string of the header.
fn is_scope(scope: &str) -> bool {
    let is_token =
        |token: &str| !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    scope.split(' ').all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(error: &Error) -> Response<Full<Bytes>> {
        failure(error, "application/problem+json", Vec::new())
    }

    #[test]
    fn an_outage_has_a_retry_after_header() {
        let response = problem(&Error::new(ErrorKind::StoreUnavailable));
        assert_eq!(
            (response.status(), &response.headers()[RETRY_AFTER]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(1))
        );
    }

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        let error = Error::new(ErrorKind::TooManyAttempts).with_retry_after(Duration::from_millis(1_001));
        let response = problem(&error);
        assert_eq!(
            (response.status(), &response.headers()[RETRY_AFTER]),
            (StatusCode::TOO_MANY_REQUESTS, &HeaderValue::from(2))
        );
    }

    #[test]
    fn the_challenge_names_a_lacking_scope_that_is_valid() {
        let challenge = |scope: &str| {
            let response = problem(&Error::new(ErrorKind::InsufficientScope).with_scope(scope));
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            response.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned()
        };
        let bare = "Bearer error=\"insufficient_scope\", error_description=\"The access token lacks the scope\"";
        assert_eq!(challenge("read write"), format!("{bare}, scope=\"read write\""));
        for none in ["", "a\"b", "a\\b", "a\r\nb", "a  b", "\u{e4}"] {
            assert_eq!(challenge(none), bare, "{none:?}");
        }
        assert!(!problem(&ErrorKind::InsufficientRole.into()).headers().contains_key(WWW_AUTHENTICATE));
    }
}
