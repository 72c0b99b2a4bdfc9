use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};
use tower_layer::Layer;

use super::*;
use crate::{
    auth::{Auth, Check, ClientInfo, Registration, TokenPair},
    store::{UserAdmin, memory::MemoryStore},
    token::Claims,
    user::{Profile, User},
};

/// Answers with the user of the request. Panics where it is called without being polled ready.
#[derive(Default)]
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl<B> Service<Request<B>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been polled ready");
        let who = request.extensions().get::<Claims>().map(|claims| claims.subject().to_string());
        let user = request.extensions().get::<CurrentUser<User>>().map(|user| user.0.email.clone());
        ready(Ok(Response::new(Full::from(format!("{who:?} {user:?}")))))
    }
}

struct Fixture {
    auth: Auth<User>,
    store: MemoryStore,
    user: User,
    token: String,
}

/// Starts a session and returns its tokens.
async fn session_of(auth: &Auth<User>, user: &User) -> TokenPair {
    let outcome = auth.start_session(user, &ClientInfo::unknown()).await.unwrap();
    outcome.into_logged_in().unwrap().tokens
}

async fn fixture() -> Fixture {
    let store = MemoryStore::new();
    let auth = Auth::builder(store.clone(), store.clone())
        .issuer("https://example.com")
        .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
        .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
        .build()
        .unwrap();
    let user = auth
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let token = session_of(&auth, &user).await.access_token.expose().clone();
    Fixture { auth, store, user, token }
}

fn get() -> http::request::Builder {
    Request::builder().uri("/")
}

async fn answer(layer: AuthLayer<User>, request: http::request::Builder) -> (StatusCode, String) {
    let mut service = layer.layer(Strict::default());
    let mut last = None;
    // Twice, because the second call uses the service that the first one left behind.
    for _ in 0..2 {
        let mut again = Request::builder();
        if let (Some(to), Some(from)) = (again.headers_mut(), request.headers_ref()) {
            to.clone_from(from);
        }
        let method = request.method_ref().cloned().unwrap_or_default();
        let request = again.method(method).uri("/").body(()).unwrap();
        let response = ServiceExt::<Request<()>>::ready(&mut service).await.unwrap().call(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        last = Some((status, String::from_utf8(body.to_vec()).unwrap()));
    }
    last.unwrap()
}

#[tokio::test]
async fn a_valid_token_reaches_the_handler_with_every_check() {
    let Fixture { auth, token, user, .. } = fixture().await;
    let (request, id) = (|| get().header("authorization", format!("Bearer {token}")), user.id.as_str());
    let claims_alone = format!("Some({id:?}) None");
    assert_eq!(answer(auth.require(), request()).await.1, claims_alone);
    assert_eq!(answer(auth.require().check_session(), request()).await.1, claims_alone);
    let with_user = format!("Some({id:?}) Some(\"ada@example.com\")");
    assert_eq!(answer(auth.require().load_user(), request()).await.1, with_user);
    assert_eq!(answer(auth.optional(), request()).await.1, claims_alone);
    assert_eq!(answer(auth.optional(), get()).await.1, "None None");
}

#[tokio::test]
async fn without_a_valid_token_the_handler_is_not_reached() {
    let Fixture { auth, .. } = fixture().await;
    for layer in [auth.require(), auth.require().load_user(), auth.require().check_session()] {
        let (status, body) = answer(layer, get()).await;
        assert!(status == StatusCode::UNAUTHORIZED && body.contains("token_missing"), "{body}");
    }
    for layer in [auth.require(), auth.optional(), auth.require().load_user()] {
        let (status, body) = answer(layer, get().header("authorization", "Bearer nonsense")).await;
        assert!(status == StatusCode::UNAUTHORIZED && body.contains("token_invalid"), "{body}");
    }
}

#[tokio::test]
async fn one_role_of_each_group_is_required() {
    let Fixture { auth, store, user, .. } = fixture().await;
    store.set_roles(&user.id, &["staff".into(), "editor".into()]).await.unwrap();
    let user = crate::store::UserStore::find_by_id(store.users(), &user.id).await.unwrap().unwrap();
    let token = session_of(&auth, &user).await.access_token.expose().clone();
    let request = || get().header("authorization", format!("Bearer {token}"));
    for (layer, expected) in [
        (auth.require().role("staff"), StatusCode::OK),
        (auth.require().role("staff").any_role(["admin", "editor"]), StatusCode::OK),
        (auth.require().role("staff").role("admin"), StatusCode::FORBIDDEN),
        (auth.require().role("Staff"), StatusCode::FORBIDDEN),
        (auth.require().load_user().role("admin"), StatusCode::FORBIDDEN),
        (auth.require().any_role(Vec::<String>::new()), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(answer(layer, request()).await.0, expected);
    }
    assert_eq!(answer(auth.optional().role("staff"), get()).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn scopes_and_conditions_are_checked_in_the_claims() {
    let store = MemoryStore::new();
    let auth = Auth::builder(store.clone(), store.clone())
        .issuer("https://example.com")
        .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
        .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
        .custom_claims(|_: &User| serde_json::json!({ "scope": "notes:read notes:write", "plan": "free" }))
        .build()
        .unwrap();
    let user = auth
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let token = session_of(&auth, &user).await.access_token.expose().clone();
    let request = || get().header("authorization", format!("Bearer {token}"));
    let (ok, scope, other) = (None, Some("insufficient_scope"), Some("forbidden"));
    for (layer, code) in [
        (auth.require().scope("notes:read"), ok),
        (auth.require().scope("notes:read").scope("notes:write"), ok),
        (auth.require().any_scope(["admin", "notes:read"]), ok),
        (auth.require().scope("notes"), scope),
        (auth.require().scope("Notes:read"), scope),
        (auth.require().scope("notes:read notes:write"), scope),
        (auth.require().scope(""), scope),
        (auth.require().any_scope(Vec::<String>::new()), scope),
        (auth.require().check_session().scope("admin"), scope),
        (auth.require().check_claims(|claims| claims.roles().len() == 0), ok),
        (auth.require().check_claims(|claims| claims.has_role("admin")), other),
        (auth.require().load_user().check_claims(|_| false), other),
        (auth.require().scope("admin").role("admin"), scope),
    ] {
        let said = format!("{layer:?}");
        let (status, body) = answer(layer, request()).await;
        match code {
            None => assert_eq!(status, StatusCode::OK, "{said}"),
            Some(code) => assert!(status == StatusCode::FORBIDDEN && body.contains(code), "{said}: {body}"),
        }
    }
    for layer in [auth.optional().scope("notes:read"), auth.optional().check_claims(|_| true)] {
        assert_eq!(answer(layer, get()).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_token_without_scopes_has_none() {
    let Fixture { auth, token, .. } = fixture().await;
    let request = get().header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let response = auth.require().scope("read").layer(Strict::default()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\"") && challenge.ends_with("scope=\"read\""));
}

#[tokio::test]
async fn a_principal_has_the_subject_and_scopes_of_its_token() {
    let (auth, token) = composition::admin_with(composition::Fault::Nothing).await;
    let inner = tower::service_fn(|request: Request<()>| async move {
        let found = Principal::find(request.extensions());
        let found = found.map(|by| (by.subject().to_string(), by.has_scope("notes:write"), by.has_scope("notes")));
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!("{found:?}"))))
    });
    let body = async |request: http::request::Builder| {
        let response = auth.optional().layer(inner).oneshot(request.body(()).unwrap()).await.unwrap();
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    let id = auth.authenticate(&token, Check::Stateless).await.unwrap().claims.subject().to_string();
    let bearer = get().header("authorization", format!("Bearer {token}"));
    assert_eq!(body(bearer).await, format!("Some(({id:?}, true, false))"));
    assert_eq!(body(get()).await, "None");
}

#[tokio::test]
async fn a_disabled_user_passes_no_guard_that_loads_them() {
    let Fixture { auth, store, user, token } = fixture().await;
    store.set_disabled(&user.id, true).await.unwrap();
    let request = || get().header("authorization", format!("Bearer {token}"));
    assert_eq!(answer(auth.require(), request()).await.0, StatusCode::OK, "stateless, until the sessions are ended");
    assert_eq!(answer(auth.require().load_user(), request()).await.0, StatusCode::UNAUTHORIZED);
    auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap();
    assert_eq!(answer(auth.require(), request()).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_cookie_needs_the_same_site_to_change_or_to_upgrade() {
    let Fixture { auth, token, .. } = fixture().await;
    let cookie = format!("__Host-access_token={token}");
    let from = |site: &str, method: Method| {
        get().method(method).header(header::COOKIE, &cookie).header("sec-fetch-site", site)
    };
    assert_eq!(answer(auth.require(), from("same-origin", Method::POST)).await.0, StatusCode::OK);
    assert_eq!(answer(auth.require(), from("cross-site", Method::GET)).await.0, StatusCode::OK);
    assert_eq!(answer(auth.require(), from("cross-site", Method::POST)).await.0, StatusCode::FORBIDDEN);
    let upgrade = from("cross-site", Method::GET).header(header::UPGRADE, "websocket");
    assert_eq!(answer(auth.require(), upgrade).await.0, StatusCode::FORBIDDEN);
    let bearer = from("cross-site", Method::POST).header("authorization", format!("Bearer {token}"));
    assert_eq!(answer(auth.require(), bearer).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_grpc_call_is_refused_in_its_own_shape() {
    let Fixture { auth, .. } = fixture().await;
    let request = get().method(Method::POST).header("content-type", "application/grpc+proto").body(()).unwrap();
    let response = auth.require().layer(Strict::default()).oneshot(request).await.unwrap();
    assert_eq!((response.status(), &response.headers()["grpc-status"]), (StatusCode::OK, &"16".parse().unwrap()));
}

#[test]
fn the_service_and_its_future_are_what_servers_ask_for() {
    fn everything<T: Clone + Send + Sync + Unpin + 'static>() {}
    fn sendable<T: Send + 'static>() {}
    fn movable<T: Send + Sync + Unpin + 'static>() {}
    everything::<AuthService<Strict, User>>();
    everything::<AuthLayer<User>>();
    everything::<crate::endpoints::Routes<User>>();
    everything::<Auth<User>>();
    movable::<crate::http::ResponseBody<Full<Bytes>>>();
    movable::<crate::http::ResponseBody>();
    movable::<CurrentUser<User>>();
    sendable::<ResponseFuture<Strict, User, Full<Bytes>>>();
    sendable::<crate::endpoints::ResponseFuture>();
}

mod composition;
