//! The documented settings for a page on another origin, used as a browser uses them.

use axum::{Router, body::Body, routing::get};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use portcullis::{Auth, Claims, User, http::SameSite};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_http::cors::CorsLayer;

use crate::fixture::World;

const PAGE: &str = "https://app.example.com";

fn auth() -> Auth<User> {
    World::new().node_with(|builder| builder.trusted_origin(PAGE).same_site(SameSite::None))
}

/// The app, as the documentation of `portcullis::axum` shows it.
fn app(auth: &Auth<User>) -> Router {
    let cors = CorsLayer::new()
        .allow_origin([PAGE.parse().unwrap()])
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION]);
    let profile = Router::new().route("/profile", get(async |claims: Claims| claims.subject().to_string()));
    profile.route_layer(auth.require()).merge(auth.router()).layer(cors)
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

async fn call(app: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

/// A page on an origin, in a browser that sends preflights and shows the page only what it may
/// read.
struct Page {
    app: Router,
    origin: &'static str,
    cookies: Vec<String>,
}

impl Page {
    fn may(&self, answer: &Answer) -> bool {
        let says = |name: header::HeaderName, value: &str| answer.headers.get(name).is_some_and(|said| said == value);
        says(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin) && says(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true")
    }

    /// Does `fetch(path, {credentials: "include"})`. Returns `None` where the browser keeps the
    /// answer from the page.
    async fn fetch(&mut self, method: Method, path: &str, body: Option<Value>) -> Option<Answer> {
        if body.is_some() || !matches!(method, Method::GET | Method::POST) {
            let preflight = Request::options(path)
                .header("origin", self.origin)
                .header("sec-fetch-site", "cross-site")
                .header("access-control-request-method", method.as_str())
                .header("access-control-request-headers", "content-type");
            let answer = call(&self.app, preflight.body(Body::empty()).unwrap()).await;
            let lists = |name: header::HeaderName, item: &str| {
                let said = answer.headers.get(name).map(|said| said.to_str().unwrap().to_lowercase());
                said.is_some_and(|said| said.split(',').any(|said| said.trim() == item.to_lowercase()))
            };
            let allowed = answer.status.is_success()
                && self.may(&answer)
                && lists(header::ACCESS_CONTROL_ALLOW_METHODS, method.as_str())
                && lists(header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type");
            if !allowed {
                return None;
            }
        }
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("origin", self.origin).header("sec-fetch-site", "cross-site");
        if !self.cookies.is_empty() {
            request = request.header("cookie", self.cookies.join("; "));
        }
        let body = body.map(|body| body.to_string());
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let answer = call(&self.app, request.body(Body::from(body.unwrap_or_default())).unwrap()).await;
        for line in answer.headers.get_all("set-cookie") {
            let pair = line.to_str().unwrap().split(';').next().unwrap().to_owned();
            self.cookies.retain(|kept| kept.split('=').next() != pair.split('=').next());
            if !pair.ends_with('=') {
                self.cookies.push(pair);
            }
        }
        self.may(&answer).then_some(answer)
    }
}

fn account() -> Value {
    json!({"email": "ada@example.com", "password": crate::fixture::PASSWORD})
}

#[tokio::test]
async fn a_trusted_page_on_another_origin_logs_in_and_refreshes() {
    let mut page = Page { app: app(&auth()), origin: PAGE, cookies: Vec::new() };
    let registered = page.fetch(Method::POST, "/auth/register", Some(account())).await.unwrap();
    assert_eq!((registered.status, page.cookies.len()), (StatusCode::CREATED, 2));
    let id = serde_json::from_str::<Value>(&registered.text).unwrap()["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(page.fetch(Method::GET, "/profile", None).await.unwrap().text, id);
    assert_eq!(page.fetch(Method::POST, "/auth/refresh", None).await.unwrap().status, StatusCode::OK);
    let change = json!({"current_password": crate::fixture::PASSWORD, "new_password": "another lantern 8"});
    assert_eq!(page.fetch(Method::PUT, "/auth/password", Some(change)).await.unwrap().status, StatusCode::OK);
    // The page can read refusals too.
    let refused = page.fetch(Method::POST, "/auth/login", Some(account())).await.unwrap();
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(page.fetch(Method::POST, "/auth/logout", None).await.unwrap().status, StatusCode::NO_CONTENT);
    assert!(page.cookies.is_empty());
    assert_eq!(page.fetch(Method::GET, "/profile", None).await.unwrap().status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_untrusted_page_reads_and_changes_nothing() {
    let auth = auth();
    let mut page = Page { app: app(&auth), origin: PAGE, cookies: Vec::new() };
    page.fetch(Method::POST, "/auth/register", Some(account())).await.unwrap();
    let mut evil = Page { app: app(&auth), origin: "https://evil.example", cookies: page.cookies.clone() };
    assert!(evil.fetch(Method::POST, "/auth/login", Some(account())).await.is_none(), "the preflight fails");
    assert!(evil.fetch(Method::GET, "/profile", None).await.is_none(), "the answer is kept from the page");
    // A request without a body needs no preflight, so it arrives. It is refused because of its
    // origin.
    assert!(evil.fetch(Method::POST, "/auth/logout", None).await.is_none());
    assert_eq!(page.fetch(Method::GET, "/profile", None).await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn cors_goes_around_the_guard() {
    let auth = auth();
    let cors = CorsLayer::new().allow_origin([PAGE.parse().unwrap()]).allow_credentials(true);
    let inside_out = Router::new().route("/profile", get(async || ())).layer(cors).layer(auth.require());
    let preflight = Request::options("/profile").header("origin", PAGE).header("access-control-request-method", "GET");
    let answer = call(&inside_out, preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "a preflight carries no credentials");
}
