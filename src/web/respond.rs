//! Answers: the only place that maps an [`ErrorKind`] to a status, and problems to JSON (RFC 9457).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde::Serialize;

use crate::error::{Error, ErrorKind, FieldError};

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
        ErrorKind::InsufficientRole | ErrorKind::WrongPassword | ErrorKind::CrossSite => StatusCode::FORBIDDEN,
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

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemField<'a>>,
}

#[derive(Serialize)]
struct ProblemField<'a> {
    field: &'a str,
    code: &'a str,
    message: &'a str,
}

impl<'a> From<&'a FieldError> for ProblemField<'a> {
    fn from(error: &'a FieldError) -> Self {
        Self { field: &error.field, code: &error.code, message: &error.message }
    }
}

/// The answer to a failure; what the client may not know goes to the log.
pub(crate) fn problem(error: &Error) -> Response<Full<Bytes>> {
    let kind = error.kind();
    let status = status(kind);
    log(error, status);
    let problem = Problem {
        r#type: "about:blank",
        // Of `about:blank` the title is the status' own (RFC 9457 §4.2.1); what there is to say is the detail.
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        code: kind.code(),
        detail: error.detail().filter(|_| kind != ErrorKind::Internal).unwrap_or(kind.message()),
        errors: error.fields().iter().map(Into::into).collect(),
    };
    // Texts and a number: this cannot fail, and an empty body would still have the right status.
    let bytes = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = with_bytes(status, bytes, "application/problem+json");
    let headers = response.headers_mut();
    if let Some(after) = error.retry_after() {
        // Rounded up: whoever comes back a fraction early is refused again.
        let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if status == StatusCode::UNAUTHORIZED || kind == ErrorKind::InvalidRequest {
        headers.insert(WWW_AUTHENTICATE, challenge(kind));
    }
    no_store(headers);
    response
}

/// An outage and an overload are the operator's to see, but no fault of this process; a refusal is the client's.
fn log(error: &Error, status: StatusCode) {
    let code = error.kind().code();
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            tracing::warn!(target: "portcullis", code, cause = causes(error), "request cannot be answered now");
        }
        _ if status.is_server_error() => {
            tracing::error!(target: "portcullis", code, cause = causes(error), "request failed");
        }
        _ => tracing::debug!(target: "portcullis", code, "request refused"),
    }
}

/// The whole chain of causes: a driver's own words are seldom the outermost.
fn causes(error: &Error) -> String {
    let chain = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a 401 must say (RFC 9110 §11.6.1): bare where no token was sent, the fault where one was (RFC 6750 §3.1).
fn challenge(kind: ErrorKind) -> HeaderValue {
    HeaderValue::from_static(match kind {
        ErrorKind::TokenExpired => "Bearer error=\"invalid_token\", error_description=\"The access token has expired\"",
        ErrorKind::TokenInvalid => {
            "Bearer error=\"invalid_token\", error_description=\"The access token is not valid\""
        }
        ErrorKind::TokenRevoked => "Bearer error=\"invalid_token\", error_description=\"The session has ended\"",
        _ => "Bearer",
    })
}

/// A JSON answer that nobody may cache.
///
/// # Errors
/// [`ErrorKind::Internal`] where it cannot be written: an app's own `Public` type may fail, and half a user is no answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Result<Response<Full<Bytes>>, Error> {
    let bytes = serde_json::to_vec(body).map_err(|error| Error::new(ErrorKind::Internal).with_source(error))?;
    let mut response = with_bytes(status, bytes, "application/json");
    no_store(response.headers_mut());
    Ok(response)
}

/// How long verifiers may keep the set of public keys: a new key is published for at least this long before it signs.
const JWKS_MAX_AGE: &str = "public, max-age=300";

/// The set of public keys (RFC 7517 §8.5.2), the one answer that anybody may cache.
pub(crate) fn jwks(set: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(set));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(JWKS_MAX_AGE));
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
    use http_body_util::BodyExt;

    use super::*;

    async fn body(response: Response<Full<Bytes>>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_cause_of_a_fault_is_not_answered() {
        let error = Error::new(ErrorKind::Internal).with_detail("secret path").with_source("secret cause");
        let text = body(problem(&error)).await;
        assert!(!text.contains("secret"), "{text}");
    }

    #[tokio::test]
    async fn fields_are_listed_in_the_problem() {
        let error = Error::validation(vec![FieldError::new("email", "required", "An e-mail address is required.")]);
        assert_eq!(
            body(problem(&error)).await,
            r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"validation_failed","detail":"Some fields are not valid","errors":[{"field":"email","code":"required","message":"An e-mail address is required."}]}"#
        );
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
    fn a_grpc_failure_is_a_200_with_a_status_in_its_headers() {
        let response = grpc_problem(&Error::new(ErrorKind::TokenMissing));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "16");
        assert_eq!(response.headers()["grpc-message"], "An%20access%20token%20is%20required");
    }
}
