//! Answers: the only place that maps an [`ErrorKind`] to a status, and what every answer carries beside its body.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde::Serialize;

use crate::error::{Error, ErrorKind, causes};

/// The status of each kind of error.
pub(crate) const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidBody | ErrorKind::ValidationFailed | ErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorKind::InvalidCredentials
        | ErrorKind::TokenMissing
        | ErrorKind::TokenExpired
        | ErrorKind::TokenInvalid
        | ErrorKind::TokenRevoked
        | ErrorKind::RefreshMissing
        | ErrorKind::RefreshInvalid
        | ErrorKind::RefreshExpired
        | ErrorKind::RefreshReused => StatusCode::UNAUTHORIZED,
        ErrorKind::InsufficientRole
        | ErrorKind::InsufficientScope
        | ErrorKind::Forbidden
        | ErrorKind::WrongPassword
        | ErrorKind::CrossSite => StatusCode::FORBIDDEN,
        ErrorKind::NotFound | ErrorKind::SessionNotFound => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::TooManySessions | ErrorKind::EmailTaken | ErrorKind::UsernameTaken => StatusCode::CONFLICT,
        ErrorKind::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::StoreUnavailable | ErrorKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The answer to a failure with this body; what the client may not know goes to the log.
pub(super) fn failure(error: &Error, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let kind = error.kind();
    let status = status(kind);
    log(error, status);
    let mut response = with_bytes(status, body, content_type);
    let headers = response.headers_mut();
    if let Some(after) = error.retry_after() {
        // Rounded up: whoever comes back a fraction early is refused again.
        let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if status == StatusCode::UNAUTHORIZED || matches!(kind, ErrorKind::InvalidRequest | ErrorKind::InsufficientScope) {
        headers.insert(WWW_AUTHENTICATE, challenge(error));
    }
    no_store(headers);
    response
}

/// An outage and an overload are the operator's to see, but no fault of this process; a refusal is the client's.
fn log(error: &Error, status: StatusCode) {
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

/// What a 401 must say (RFC 9110 §11.6.1): bare where no token was sent, the fault where one was (RFC 6750 §3.1); and what
/// a 403 says about scopes.
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

/// Scope tokens of RFC 6749 §3.3 with a space between each two: nothing that would end the quoted text.
fn is_scope(scope: &str) -> bool {
    let is_token =
        |token: &str| !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    scope.split(' ').all(is_token)
}

/// A JSON answer that nobody may cache.
///
/// # Errors
/// [`ErrorKind::Internal`] where it cannot be written: an app's own `Public` type may fail, and half a user is no answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response<Full<Bytes>>, Error> {
    let bytes = serde_json::to_vec(body).map_err(Error::internal)?;
    Ok(json_bytes(status, bytes))
}

/// A JSON answer that is written already.
pub(crate) fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = with_bytes(status, bytes, "application/json");
    no_store(response.headers_mut());
    response
}

/// How long verifiers may keep the set of public keys: a new key is published for at least this long before it signs.
const PUBLIC_FOR_A_WHILE: &str = "public, max-age=300";

/// The set of public keys (RFC 7517 §8.5.2), which anybody may cache.
pub(crate) fn jwks(set: String) -> Response<Full<Bytes>> {
    public(set, "application/jwk-set+json")
}

/// The description of the endpoints, which is the same for everybody too.
#[cfg(feature = "openapi")]
pub(crate) fn openapi(document: String) -> Response<Full<Bytes>> {
    public(document, "application/json")
}

fn public(body: String, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = with_bytes(StatusCode::OK, body.into_bytes(), content_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(PUBLIC_FOR_A_WHILE));
    response
}

/// An answer without a body that nobody may cache.
pub(crate) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    no_store(response.headers_mut());
    response
}

fn with_bytes(status: StatusCode, bytes: Vec<u8>, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Whether this is a gRPC call, whose failures have a shape of their own.
pub(crate) fn is_grpc(method: &http::Method, headers: &HeaderMap) -> bool {
    method == http::Method::POST
        && headers.get(CONTENT_TYPE).is_some_and(|value| {
            // `application/grpc-web` is another protocol, whose clients cannot read trailers in headers.
            let rest = value.as_bytes().strip_prefix(b"application/grpc");
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        })
}

/// A failure as a trailers-only gRPC answer: HTTP 200 with the status in the headers.
pub(crate) fn grpc_problem(error: &Error) -> Response<Full<Bytes>> {
    let status = status(error.kind());
    log(error, status);
    let code = match status {
        StatusCode::UNAUTHORIZED => "16",
        StatusCode::FORBIDDEN => "7",
        StatusCode::TOO_MANY_REQUESTS => "8",
        StatusCode::SERVICE_UNAVAILABLE => "14",
        StatusCode::BAD_REQUEST => "3",
        _ => "13",
    };
    let message =
        percent_encoding::utf8_percent_encode(error.kind().message(), percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(code));
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert("grpc-message", message);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::{super::format::Responder, *};

    fn problem(error: &Error) -> Response<Full<Bytes>> {
        Responder::STANDARD.problem(error)
    }

    #[test]
    fn an_outage_says_when_to_come_back() {
        let response = problem(&Error::new(ErrorKind::StoreUnavailable));
        assert_eq!(
            (response.status(), &response.headers()[RETRY_AFTER]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(1))
        );
    }

    #[test]
    fn too_many_attempts_are_told_how_many_whole_seconds_to_wait() {
        let error = Error::new(ErrorKind::TooManyAttempts).with_retry_after(std::time::Duration::from_millis(1_001));
        let response = problem(&error);
        assert_eq!(
            (response.status(), &response.headers()[RETRY_AFTER]),
            (StatusCode::TOO_MANY_REQUESTS, &HeaderValue::from(2))
        );
        assert_eq!(grpc_problem(&error).headers()["grpc-status"], "8");
    }

    #[test]
    fn a_lacking_scope_is_named_where_it_is_one() {
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

    #[test]
    fn a_grpc_failure_is_a_200_with_a_status_in_its_headers() {
        let response = grpc_problem(&Error::new(ErrorKind::TokenMissing));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "16");
        assert_eq!(response.headers()["grpc-message"], "An%20access%20token%20is%20required");
    }
}
