//! `portcullis::testing`: what it makes is real, except that no test has to wait.

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use portcullis::{
    Auth, Claims, ErrorKind, User,
    auth::{Check, ClientInfo},
    clock::Clock,
    password::HashCost,
    store::memory::{MemorySessions, MemoryStore},
    testing::{PASSWORD, TestAuth, TestSession},
    throttle::MemoryThrottle,
    user::Login,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::login::log_in;
use crate::{
    fixture::{World, kind, register},
    log_buffer::LogBuffer,
    own_users::{Accounts, SignUp},
};

/// The app of the guide.
fn app(auth: &Auth<User>) -> Router {
    let profile = Router::new().route("/profile", get(async |claims: Claims| claims.subject().to_string()));
    let admin = Router::new().route("/admin", get(async || "the keys"));
    profile.route_layer(auth.require()).merge(admin.route_layer(auth.require().role("admin"))).merge(auth.router())
}

async fn visit(auth: &Auth<User>, path: &str, name: header::HeaderName, value: HeaderValue) -> (StatusCode, String) {
    let request = Request::get(path).header(name, value).body(Body::empty()).unwrap();
    let (parts, body) = app(auth).oneshot(request).await.unwrap().into_parts();
    (parts.status, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

async fn status(auth: &Auth<User>, path: &str, bearer: HeaderValue) -> StatusCode {
    visit(auth, path, header::AUTHORIZATION, bearer).await.0
}

#[tokio::test]
async fn a_user_is_made_as_the_test_says() {
    let test = TestAuth::new().unwrap();
    let ada = test.user("Ada@example.com").username("ada").name("Ada").role("admin").role("editor").create().await;
    let ada = ada.unwrap();
    assert_eq!(
        (ada.email.as_str(), ada.username.as_deref(), ada.name.as_deref()),
        ("Ada@example.com", Some("ada"), Some("Ada"))
    );
    assert_eq!(ada.roles, ["admin", "editor"]);
    assert_eq!(ada.created_at, test.clock().now());
    let eve = test.user("eve@example.com").password("another lantern 8").disabled().create().await.unwrap();
    assert!(eve.disabled && eve.roles.is_empty());
    assert_eq!(kind(test.login(&eve).await), Some(ErrorKind::InvalidCredentials));
    assert_eq!(kind(test.user("ada@example.com").create().await), Some(ErrorKind::EmailTaken));
    assert_eq!(kind(test.user("bob@example.com").password("short").create().await), Some(ErrorKind::ValidationFailed));

    let by_password = log_in(test.auth(), "ada", PASSWORD).await.unwrap();
    assert_eq!(by_password.user.id, ada.id);
    let hash = by_password.user.password_hash.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "a cheap hash");
    for _ in 0..20 {
        let guess = log_in(test.auth(), "ada", "a wrong guess").await;
        assert_eq!(kind(guess), Some(ErrorKind::InvalidCredentials), "no delay");
    }
}

#[tokio::test]
async fn a_session_passes_the_guard_by_either_header() {
    let test = TestAuth::new().unwrap();
    let ada = test.user("ada@example.com").create().await.unwrap();
    let session = test.login(&ada).await.unwrap();
    for (name, value) in [(header::AUTHORIZATION, session.bearer()), (header::COOKIE, session.cookies())] {
        assert!(value.is_sensitive());
        assert_eq!(
            visit(test.auth(), "/profile", name.clone(), value.clone()).await,
            (StatusCode::OK, ada.id.to_string())
        );
        assert_eq!(visit(test.auth(), "/admin", name, value).await.0, StatusCode::FORBIDDEN);
    }
    // The endpoints accept it too.
    let (status, body) = visit(test.auth(), "/auth/sessions", header::COOKIE, session.cookies()).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["sessions"][0]["id"]), (StatusCode::OK, &json!(session.id().encode())));

    let refresh = Request::post("/auth/refresh").header(header::COOKIE, session.cookies()).body(Body::empty()).unwrap();
    assert_eq!(app(test.auth()).oneshot(refresh).await.unwrap().status(), StatusCode::OK);
    let next = session.refresh().await.unwrap();
    assert_eq!((next.id(), next.tokens().session_id), (session.id(), session.id()), "within the grace");
    test.auth().end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    assert_eq!(status_of(&test, &next).await, StatusCode::UNAUTHORIZED);
    assert_eq!(kind(next.refresh().await), Some(ErrorKind::RefreshInvalid));
}

async fn status_of(test: &TestAuth, session: &TestSession<User>) -> StatusCode {
    status(test.auth(), "/profile", session.bearer()).await
}

#[tokio::test]
async fn the_test_moves_the_time() {
    let test = TestAuth::new().unwrap();
    let ada = test.user("ada@example.com").create().await.unwrap();
    let session = test.login(&ada).await.unwrap();
    assert_eq!(session.tokens().issued_at, test.clock().now());
    test.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(status_of(&test, &session).await, StatusCode::OK);
    test.advance(Duration::from_secs(1));
    assert_eq!(status_of(&test, &session).await, StatusCode::UNAUTHORIZED);
    let next = session.refresh().await.unwrap();
    assert_eq!(status_of(&test, &next).await, StatusCode::OK);
    test.advance(Duration::from_secs(11));
    assert_eq!(kind(session.refresh().await), Some(ErrorKind::RefreshReused));
    assert_eq!(status_of(&test, &next).await, StatusCode::UNAUTHORIZED, "the reuse was found");
    let last = test.login(&ada).await.unwrap();
    test.advance(Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!(kind(last.refresh().await), Some(ErrorKind::RefreshExpired));
}

#[derive(Serialize, Deserialize)]
struct Plan {
    tenant: String,
}

#[tokio::test]
async fn a_draft_says_what_the_test_wants_refused() {
    let store = MemoryStore::new();
    let builder = Auth::builder(store.clone(), store.clone());
    let test = TestAuth::of(builder.custom_claims(|_: &User| Plan { tenant: "acme".into() }), store).unwrap();
    let auth = test.auth();
    let ada = test.user("ada@example.com").create().await.unwrap();
    let session = test.login(&ada).await.unwrap();
    let draft = || session.draft().unwrap();
    assert_eq!(status(auth, "/profile", draft().bearer().unwrap()).await, StatusCode::OK);
    assert_eq!(status(auth, "/admin", draft().claim("roles", ["admin"]).bearer().unwrap()).await, StatusCode::OK);
    let other = draft().claim("tenant", "evil").token().unwrap();
    let claims = auth.authenticate(&other, Check::Stateless).await.unwrap().claims;
    assert_eq!(claims.custom::<Plan>().unwrap().tenant, "evil");

    for (draft, expected) in [
        (draft().expired(), ErrorKind::TokenExpired),
        (draft().claim("iss", "https://elsewhere.example"), ErrorKind::TokenInvalid),
        (draft().claim("aud", "https://elsewhere.example"), ErrorKind::TokenInvalid),
        (draft().without("sid"), ErrorKind::TokenInvalid),
        (draft().claim("exp", "soon"), ErrorKind::TokenInvalid),
    ] {
        let refused = auth.authenticate(&draft.token().unwrap(), Check::Stateless).await;
        assert_eq!(kind(refused), Some(expected));
    }
    let unwritable = draft().claim("odd", std::collections::BTreeMap::from([((1, 2), 3)]));
    assert_eq!(kind(unwritable.token()), Some(ErrorKind::Internal));
}

#[tokio::test]
async fn an_app_keeps_its_settings_and_its_own_users() {
    let store = MemoryStore::new();
    let builder = Auth::builder(store.clone(), store.clone())
        .issuer("https://example.com")
        .cookie_names("at", "rt")
        .access_lifetime(Duration::from_secs(60))
        .throttle(MemoryThrottle::new());
    let test = TestAuth::of(builder, store.clone()).unwrap();
    let ada = test.register("ada@example.com", portcullis::Profile::default()).await.unwrap();
    assert_eq!(test.users().users().len(), 1);
    let session = test.login(&ada).await.unwrap();
    let cookies = session.cookies();
    assert!(cookies.to_str().unwrap().starts_with("__Host-at=") && cookies.to_str().unwrap().contains("; __Host-rt="));
    assert_eq!(session.tokens().access_expires_at, test.clock().now().plus(Duration::from_secs(60)));
    let guess = async || {
        kind(test.auth().login(&Login::either("ada@example.com"), "a wrong guess".into(), &ClientInfo::unknown()).await)
    };
    while guess().await == Some(ErrorKind::InvalidCredentials) {}
    assert_eq!(guess().await, Some(ErrorKind::TooManyAttempts), "the throttle that was set is in force");

    // Invalid settings of an app are reported in tests too.
    let too_cheap = HashCost { memory_kib: 8, iterations: 1, parallelism: 1 };
    let builder = Auth::builder(store.clone(), store.clone()).mount_path("auth").hash_cost(too_cheap).hash_threads(0);
    let refused = TestAuth::of(builder, store).unwrap_err().to_string();
    for said in ["auth", "hash cost", "hash_threads"] {
        assert!(refused.contains(said), "{said}: {refused}");
    }
}

#[tokio::test]
async fn an_app_brings_its_own_users() {
    let users = Accounts::default();
    let test = TestAuth::of(Auth::builder(users.clone(), MemorySessions::default()), users).unwrap();
    let ada = test.register("ada@example.com", SignUp { company: "Acme".into() }).await.unwrap();
    let session = test.login(&ada).await.unwrap();
    let authenticated = test.auth().authenticate(session.access_token(), Check::User).await.unwrap();
    assert!(authenticated.claims.has_role("customer"));
}

#[tokio::test]
async fn a_session_starts_on_any_auth() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let session = TestSession::start(&auth, &ada).await.unwrap();
    assert_eq!(status(&auth, "/profile", session.bearer()).await, StatusCode::OK);
    assert_eq!(kind(session.draft()), Some(ErrorKind::Internal), "its keys may be real: nothing is forged with them");
}

#[test]
fn the_log_warns_that_this_is_only_for_tests() {
    let log = LogBuffer::default();
    let subscriber = || tracing_subscriber::fmt().with_writer(log.clone()).finish();
    // With a second subscriber, `tracing` asks that of this thread.
    let _guards = (tracing::subscriber::set_default(subscriber()), tracing::Dispatch::new(subscriber()));
    World::new().node();
    assert!(!log.text().contains("TestAuth"), "{}", log.text());
    TestAuth::new().unwrap();
    assert!(log.text().contains("WARN") && log.text().contains("TestAuth"), "{}", log.text());
}

#[tokio::test]
async fn no_debug_output_shows_a_token() {
    let test = TestAuth::new().unwrap();
    let ada = test.user("ada@example.com").password("canary password").create().await.unwrap();
    let session = test.login(&ada).await.unwrap();
    let draft = session.draft().unwrap().claim("tenant", "canary tenant");
    let user = test.user("eve@example.com").password("canary password");
    let printed = format!("{test:?} {session:?} {draft:?} {user:?}");
    for secret in ["canary", session.access_token(), session.refresh_token()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn an_error_about_a_token_names_no_live_session() {
    let test = TestAuth::new().unwrap();
    let ada = test.user("ada@example.com").create().await.unwrap();
    let session = test.login(&ada).await.unwrap();
    assert_eq!(status(test.auth(), "/auth/sessions", session.bearer()).await, StatusCode::OK);
    // An attacker who has the key of access tokens, and nothing else, can make this token.
    let forged = session.draft().unwrap().claim("sid", "AAAAAAAAAAAAAAAAAAAAAA").bearer().unwrap();
    assert_eq!(status(test.auth(), "/profile", forged.clone()).await, StatusCode::OK);
    assert_eq!(status(test.auth(), "/auth/sessions", forged).await, StatusCode::UNAUTHORIZED);
}
