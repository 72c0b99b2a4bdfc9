//! Makes responses from bodies that are already written, and sets whether caches may keep them.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::Full;

/// How long caches may keep a public document: 300 s. A new key is published for at least this time
/// before it signs.
const PUBLIC_FOR_A_WHILE: &str = "public, max-age=300";

/// Answers with JSON that no cache may keep.
pub(crate) fn json(status: StatusCode, bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = with_bytes(status, bytes, "application/json");
    no_store(response.headers_mut());
    response
}

/// Answers without a body. No cache may keep it.
pub(crate) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    no_store(response.headers_mut());
    response
}

/// Answers with a document that is the same for every client, such as the set of public keys (RFC
/// 7517 §8.5.2).
pub(crate) fn public_document(body: String, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = with_bytes(StatusCode::OK, body.into_bytes(), content_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(PUBLIC_FOR_A_WHILE));
    response
}

pub(super) fn with_bytes(status: StatusCode, bytes: Vec<u8>, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(super) fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
