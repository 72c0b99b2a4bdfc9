//! The page of the examples: plain HTML, one stylesheet, a small script. No framework, nothing
//! inline.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

/// Allows scripts, styles and requests of this origin only, and no frames.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// `GET /` and what it loads.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("index.html")))
        .route("/page/style.css", file("text/css; charset=utf-8", include_str!("style.css")))
        .route("/page/page.js", file("text/javascript; charset=utf-8", include_str!("page.js")))
        .route("/page/session.js", file("text/javascript; charset=utf-8", include_str!("session.js")))
        // Browsers request it by themselves.
        .route("/favicon.ico", file("image/x-icon", include_bytes!("favicon.ico")))
}

/// A file of a page, with the headers that every page has.
pub(crate) fn file<S, C>(kind: &'static str, content: &'static C) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    C: AsRef<[u8]> + ?Sized + Sync,
{
    get(move || async move { answer(kind, content.as_ref()) })
}

fn answer(kind: &'static str, content: &'static [u8]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A cached page of an older build would load the script of the new one.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), content).into_response()
}
