//! Bodies, paths, endpoints and registration fields that an app chooses.

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis::{
    Auth, AuthBuilder, AuthUser, Claims, CurrentUser, User,
    http::{Endpoint, FailureBody, ResponseFormat, SuccessBody},
    keys::Key,
    layer::Principal,
    resource::{ForeignClaims, ResourceServer},
    store::{UserAdmin, memory::MemorySessions},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    fixture::{Pair, World, register, start_session},
    log_buffer::LogBuffer,
    own_users::{Account, Accounts},
};

type Whole = (StatusCode, HeaderMap, Bytes);

async fn whole<B: http_body::Body<Error: std::fmt::Debug>>(response: http::Response<B>) -> Whole {
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

async fn send<U: AuthUser>(auth: &Auth<U>, method: &str, path: &str, body: &Value) -> Whole {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.body(Full::<Bytes>::from(body.to_string())).unwrap();
    whole(auth.routes().oneshot(request).await.unwrap()).await
}

fn json_of(whole: &Whole) -> Value {
    serde_json::from_slice(&whole.2).unwrap()
}

fn account() -> Value {
    json!({"email": "ada@example.com", "password": "open sesame 42"})
}

#[tokio::test]
async fn a_failure_has_the_apps_body_and_our_status_and_headers() {
    let auth = World::new().node_with(|builder| {
        builder.failure_body(|failure: FailureBody| {
            let fields: Vec<_> = failure.fields.iter().map(|field| field.field.clone()).collect();
            json!({"oops": failure.kind.code(), "why": failure.detail, "where": fields})
        })
    });
    let answer = send(&auth, "POST", "/auth/register", &json!({"email": "x"})).await;
    assert_eq!(answer.0, StatusCode::BAD_REQUEST);
    assert_eq!(json_of(&answer)["oops"], "validation_failed");
    assert_eq!(json_of(&answer)["where"], json!(["email", "password"]));
    assert_eq!(
        (&answer.1["content-type"], &answer.1["cache-control"]),
        (&"application/json".parse().unwrap(), &"no-store".parse().unwrap())
    );
    let answer = send(&auth, "PATCH", "/auth/me", &json!({})).await;
    assert_eq!(
        (answer.0, &answer.1["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET, HEAD, OPTIONS".parse().unwrap())
    );
    let answer = send(&auth, "GET", "/auth/me", &json!({})).await;
    assert_eq!((answer.0, &answer.1["www-authenticate"]), (StatusCode::UNAUTHORIZED, &"Bearer".parse().unwrap()));
    assert_eq!(json_of(&answer), json!({"oops": "token_missing", "why": "An access token is required", "where": []}));
}

#[tokio::test]
async fn a_success_has_the_apps_body_and_our_status_and_cookies() {
    let auth = World::new().node_with(|builder| {
        builder
            .success_body(|success: SuccessBody| json!({"from": format!("{:?}", success.endpoint), "result": success}))
    });
    let answer = send(&auth, "POST", "/auth/register", &account()).await;
    assert_eq!((answer.0, answer.1.get_all("set-cookie").iter().count()), (StatusCode::CREATED, 2));
    assert_eq!(json_of(&answer)["from"], "Register");
    assert_eq!(json_of(&answer)["result"]["user"]["email"], "ada@example.com");
    let answer = send(&auth, "POST", "/auth/logout", &json!({})).await;
    assert_eq!((answer.0, answer.2.len()), (StatusCode::NO_CONTENT, 0));
    let keys = send(&auth, "GET", "/auth/.well-known/jwks.json", &json!({})).await;
    assert_eq!(json_of(&keys), json!({"keys": []}));
}

#[tokio::test]
async fn endpoints_have_only_the_paths_that_the_app_chooses() {
    let auth = World::new().node_with(|builder| {
        let builder = builder.mount_path("/account").endpoint_path(Endpoint::Login, "/sign-in");
        let builder = builder.endpoint_path(Endpoint::EndSession, "/devices/{id}");
        builder.without_endpoint(Endpoint::Register).without_endpoint(Endpoint::Jwks)
    });
    register(&auth, "ada").await;
    let login = json!({"email": "ada@example.com", "password": crate::fixture::PASSWORD});
    assert_eq!(send(&auth, "POST", "/account/sign-in", &login).await.0, StatusCode::OK);
    assert_eq!(send(&auth, "DELETE", "/account/devices/x", &json!({})).await.0, StatusCode::UNAUTHORIZED);
    for gone in [
        "/account/login",
        "/account/register",
        "/account/.well-known/jwks.json",
        "/account/sessions/x",
        "/auth/sign-in",
    ] {
        for method in ["POST", "GET", "DELETE"] {
            assert_eq!(send(&auth, method, gone, &login).await.0, StatusCode::NOT_FOUND, "{method} {gone}");
        }
    }
}

#[tokio::test]
async fn a_registration_has_the_fields_of_the_app_in_every_format() {
    for format in [ResponseFormat::Standard, ResponseFormat::Envelope] {
        let auth: Auth<Account> = crate::auth::builder(Accounts::default(), MemorySessions::default())
            .response_format(format)
            .build()
            .unwrap();
        let with =
            |company: Value| json!({"email": "ada@example.com", "password": "open sesame 42", "company": company});
        let errors = json_of(&send(&auth, "POST", "/auth/register", &with(json!(" "))).await)["errors"].clone();
        assert_eq!(errors[0]["field"], "company");
        assert_eq!(send(&auth, "POST", "/auth/register", &account()).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(send(&auth, "POST", "/auth/register", &with(json!(7))).await.0, StatusCode::BAD_REQUEST);
        let answer = json_of(&send(&auth, "POST", "/auth/register", &with(json!("Acme"))).await);
        let card = json!({"email": "ada@example.com", "company": "Acme"});
        let shown = if format == ResponseFormat::Envelope { &answer["data"] } else { &answer["user"] };
        assert_eq!(shown, &card, "an app's own user is shown as it is");
    }
}

#[tokio::test]
async fn a_registration_in_the_envelope_logs_in_if_configured() {
    let auth =
        World::new().node_with(|builder| builder.response_format(ResponseFormat::Envelope).login_on_register(true));
    let answer = send(&auth, "POST", "/auth/register", &account()).await;
    assert_eq!(answer.1.get_all("set-cookie").iter().count(), 2);
    assert_eq!(json_of(&answer)["data"]["email"], "ada@example.com");
}

fn shapes() -> Vec<fn(AuthBuilder<User>) -> AuthBuilder<User>> {
    vec![|builder| builder, |builder| builder.response_format(ResponseFormat::Envelope), |builder| {
        builder.failure_body(|failure: FailureBody| json!({"oops": failure.kind.code()}))
    }]
}

/// A route whose layer refuses, beside one whose extractor refuses.
fn routes(auth: &Auth<User>) -> Router {
    let by_layer = Router::new().route("/claims", get(async || ())).route_layer(auth.require());
    let loading = Router::new().route("/user", get(async || ())).route_layer(auth.require().load_user());
    let by_extractor = Router::new()
        .route("/extracted/claims", get(async |_: Claims| ()))
        .route("/extracted/user", get(async |_: CurrentUser<User>| ()))
        .route_layer(auth.optional());
    let by_handler = auth.clone();
    let by_handler = async move || by_handler.rejection(portcullis::ErrorKind::TokenMissing);
    by_layer.merge(loading).merge(by_extractor).route("/handled", get(by_handler))
}

#[tokio::test]
async fn extractors_refuse_with_the_bytes_of_the_layer() {
    for shape in shapes() {
        let world = World::new();
        let auth = world.node_with(shape);
        let ada = register(&auth, "ada").await;
        let Pair { access, .. } = start_session(&auth, &ada).await;
        world.store.memory.set_disabled(&ada.id, true).await.unwrap();
        let call = async |path: &str, token: Option<&str>| {
            let mut request = Request::get(path);
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let request = request.body(axum::body::Body::empty()).unwrap();
            whole(routes(&auth).oneshot(request).await.unwrap()).await
        };
        let missing = call("/claims", None).await;
        assert_eq!(missing.0, StatusCode::UNAUTHORIZED);
        for path in ["/extracted/claims", "/extracted/user", "/handled"] {
            assert_eq!(call(path, None).await, missing, "{path}");
        }
        let revoked = call("/user", Some(&access)).await;
        assert!(revoked.1["www-authenticate"].to_str().unwrap().contains("invalid_token"));
        assert_eq!(call("/extracted/user", Some(&access)).await, revoked);
    }
}

#[tokio::test]
async fn an_extractor_without_its_guard_is_a_fault_of_ours() {
    let route = Router::new().route("/", get(async |_: Claims| ()));
    let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
    let answer = whole(route.oneshot(request).await.unwrap()).await;
    assert_eq!((answer.0, &json_of(&answer)["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal")));
}

/// A service with users of its own, and a resource server of another issuer.
fn both_kinds() -> (Auth<User>, ResourceServer) {
    let key = Key::generate_ed25519().unwrap();
    let jwks = format!(r#"{{"keys":[{}]}}"#, key.public_jwk().unwrap());
    let foreign = ResourceServer::builder("https://idp.example.com", "api").jwks(jwks).build().unwrap();
    (World::new().node(), foreign)
}

fn one_route(handler: axum::routing::MethodRouter) -> Router {
    Router::new().route("/", handler)
}

async fn without_a_token(routes: Router) -> Whole {
    let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
    whole(routes.oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn an_extractor_behind_the_other_kind_of_guard_is_a_500() {
    let log = LogBuffer::default();
    let subscriber = || tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    // The second subscriber makes tracing ask the subscriber of this thread for each event.
    let _guards = (tracing::subscriber::set_default(subscriber()), tracing::Dispatch::new(subscriber()));
    let (auth, foreign) = both_kinds();
    for routes in [
        one_route(get(async |_: Claims| ())).route_layer(foreign.optional()),
        one_route(get(async |_: Option<Claims>| ())).route_layer(foreign.optional()),
        one_route(get(async |_: Principal| ())).route_layer(foreign.optional()),
        one_route(get(async |_: Option<Principal>| ())).route_layer(foreign.optional()),
        one_route(get(async |_: CurrentUser<User>| ())).route_layer(foreign.optional()),
        one_route(get(async |_: Option<CurrentUser<User>>| ())).route_layer(foreign.optional()),
        one_route(get(async |_: ForeignClaims| ())).route_layer(auth.optional()),
        one_route(get(async |_: Option<ForeignClaims>| ())).route_layer(auth.optional()),
    ] {
        let answer = without_a_token(routes).await;
        assert_eq!((answer.0, &json_of(&answer)["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal")));
    }
    let text = log.text();
    let logged = |guard: &str| text.lines().filter(|line| line.contains("ERROR") && line.contains(guard)).count();
    assert_eq!((logged("behind the guard of a `ResourceServer`"), logged("behind the guard of an `Auth`")), (6, 2));
}

#[tokio::test]
async fn an_extractor_behind_its_own_kind_of_guard_is_a_401() {
    let (auth, foreign) = both_kinds();
    for routes in [
        one_route(get(async |_: Claims| ())).route_layer(auth.optional()),
        one_route(get(async |_: Principal| ())).route_layer(auth.optional()),
        one_route(get(async |_: CurrentUser<User>| ())).route_layer(auth.optional()),
        one_route(get(async |_: ForeignClaims| ())).route_layer(foreign.optional()),
    ] {
        assert_eq!(without_a_token(routes).await.0, StatusCode::UNAUTHORIZED);
    }
    for routes in [
        one_route(get(async |_: Option<Claims>| ())).route_layer(auth.optional()),
        one_route(get(async |_: Option<Principal>| ())).route_layer(auth.optional()),
        one_route(get(async |_: Option<CurrentUser<User>>| ())).route_layer(auth.optional()),
        one_route(get(async |_: Option<ForeignClaims>| ())).route_layer(foreign.optional()),
    ] {
        assert_eq!(without_a_token(routes).await.0, StatusCode::OK);
    }
}
