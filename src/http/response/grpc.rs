//! Recognizes gRPC calls, and answers failures to them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;

use super::{problem::log, status::status};
use crate::error::Error;

/// Returns whether this is a gRPC call.
pub(crate) fn is_grpc(method: &http::Method, headers: &HeaderMap) -> bool {
    method == http::Method::POST
        && headers.get(CONTENT_TYPE).is_some_and(|value| {
            // `application/grpc-web` is another protocol. Its clients cannot read trailers in
            // headers.
            let rest = value.as_bytes().strip_prefix(b"application/grpc");
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        })
}

/// Answers a failure with HTTP 200 and the gRPC status in the headers ("trailers only").
pub(crate) fn failure(error: &Error) -> Response<Full<Bytes>> {
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
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_grpc_failure_is_a_200_with_a_status_in_its_headers() {
        let response = failure(&Error::new(ErrorKind::TokenMissing));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "16");
        assert_eq!(response.headers()["grpc-message"], "An%20access%20token%20is%20required");
    }

    #[test]
    fn too_many_attempts_are_resource_exhausted() {
        assert_eq!(failure(&Error::new(ErrorKind::TooManyAttempts)).headers()["grpc-status"], "8");
    }
}
