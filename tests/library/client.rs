//! The client against the real endpoints, in process and over TCP, with the two common HTTP
//! clients.

use std::{convert::Infallible, time::Duration};

use axum::{Router, routing::post};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client as HyperClient, rt::TokioExecutor};
use portcullis::{
    Auth, Claims, User,
    auth::ClientInfo,
    client::{ClientAuth, ClientAuthBuilder, ClientErrorKind, MemoryStorage, TokenStorage},
    http::Delivery,
    store::SessionStore,
};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

use crate::{
    fixture::{Failure, PASSWORD, World, register},
    log_buffer::LogBuffer,
};

const LIFETIME: Duration = Duration::from_secs(900);

fn node(world: &World) -> Auth<User> {
    world.node_with(|builder| builder.token_delivery([Delivery::Cookie, Delivery::Body]))
}

/// Serves the endpoints, and `/notes` for users who are logged in. `/notes` answers with the user
/// and the body that was sent.
fn app(auth: &Auth<User>) -> Router {
    let add = |claims: Claims, body: String| async move { format!("{}: {body}", claims.subject().as_str()) };
    Router::new().route("/notes", post(add)).route_layer(auth.require()).merge(auth.router())
}

fn request(server: &str) -> Request<Full<Bytes>> {
    Request::post(format!("{server}/notes")).body(Full::from("a note")).unwrap()
}

async fn status<B>(answer: Result<Response<B>, impl std::fmt::Debug>) -> (StatusCode, String)
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let response = answer.unwrap();
    let status = response.status();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

/// A client and a server in one process.
struct InProcess {
    world: World,
    auth: Auth<User>,
    storage: MemoryStorage,
}

const HERE: &str = "http://127.0.0.1";

impl InProcess {
    fn new() -> Self {
        let world = World::new();
        Self { auth: node(&world), world, storage: MemoryStorage::new() }
    }

    fn http(
        &self,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Response<axum::body::Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + use<> {
        let app = app(&self.auth);
        service_fn(move |request: Request<Full<Bytes>>| app.clone().oneshot(request))
    }

    fn client(&self) -> ClientAuth {
        self.client_with(|builder| builder)
    }

    fn client_with(&self, settings: impl FnOnce(ClientAuthBuilder) -> ClientAuthBuilder) -> ClientAuth {
        let builder = ClientAuth::builder(HERE).storage(self.storage.clone()).clock(self.world.clock.clone());
        settings(builder).build(self.http()).unwrap()
    }

    async fn notes(&self, client: &ClientAuth) -> (StatusCode, String) {
        status(client.layer().layer(self.http()).oneshot(request(HERE)).await).await
    }

    async fn is_logged_in(&self, client: &ClientAuth) -> bool {
        self.notes(client).await.0 == StatusCode::OK
    }
}

#[tokio::test]
async fn a_program_stays_logged_in_for_a_month() {
    let here = InProcess::new();
    let client = here.client();
    let fields = serde_json::json!({ "username": "ada", "name": "Ada" });
    let user = client.register("ada@example.com", PASSWORD.into(), &fields).await.unwrap();
    let shown: serde_json::Value = user.fields().unwrap();
    assert_eq!((&shown["username"], &shown["name"]), (&fields["username"], &fields["name"]));
    for _ in 0..29 {
        assert_eq!(here.notes(&client).await.1, format!("{}: a note", user.id().unwrap()));
        // The next morning another process starts.
        here.world.clock.advance(Duration::from_secs(86_400));
        assert!(here.is_logged_in(&here.client()).await);
    }
    here.world.clock.advance(Duration::from_secs(2 * 86_400));
    assert!(!here.is_logged_in(&client).await, "a session expires");
    assert!(here.storage.load().await.unwrap().is_none());
}

#[tokio::test]
async fn requests_at_expiry_rotate_the_session_once() {
    let here = InProcess::new();
    // Without a margin each of them gets the 401 of the server first.
    let client = here.client_with(|builder| builder.refresh_margin(Duration::ZERO));
    register(&here.auth, "ada").await;
    let user = client.login("ada@example.com", PASSWORD.into()).await.unwrap();
    // The clock of the client is behind, and the answer of the server decides.
    let behind = ClientAuth::builder(HERE)
        .storage(here.storage.clone())
        .clock(portcullis::clock::ManualClock::new(portcullis::clock::Clock::now(&here.world.clock)))
        .build(here.http())
        .unwrap();
    here.world.clock.advance(LIFETIME);
    for client in [&client, &behind] {
        let api = client.layer().layer(here.http());
        let calls: Vec<_> = (0..20).map(|_| tokio::spawn(api.clone().oneshot(request(HERE)))).collect();
        for call in calls {
            assert_eq!(status(call.await.unwrap()).await.0, StatusCode::OK);
        }
    }
    let now = portcullis::clock::Clock::now(&here.world.clock);
    let id = user.id().unwrap().to_owned().into();
    let sessions = here.world.store.memory.list(&id, now).await.unwrap();
    assert_eq!((sessions.len(), sessions[0].generation), (1, 1));
}

#[tokio::test]
async fn a_stolen_token_ends_the_session_and_is_reported_once() {
    let here = InProcess::new();
    let client = here.client();
    register(&here.auth, "ada").await;
    client.login("ada@example.com", PASSWORD.into()).await.unwrap();
    let stolen = here.storage.load().await.unwrap().unwrap();
    let thief = MemoryStorage::new();
    thief.save(&stolen).await.unwrap();
    let thief = here.client_with(|builder| builder.storage(thief));
    here.world.clock.advance(LIFETIME);
    assert!(here.is_logged_in(&thief).await);
    here.world.clock.advance(Duration::from_secs(11));
    let (status, body) = here.notes(&client).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert!(here.storage.load().await.unwrap().is_none());
    assert!(!here.is_logged_in(&thief).await);
    client.login("ada@example.com", PASSWORD.into()).await.unwrap();
    assert!(here.is_logged_in(&client).await);
}

#[tokio::test]
async fn an_outage_of_the_store_logs_no_user_out() {
    let here = InProcess::new();
    let client = here.client_with(|builder| builder.refresh_attempts(1));
    register(&here.auth, "ada").await;
    client.login("ada@example.com", PASSWORD.into()).await.unwrap();
    for failure in [Failure::Before, Failure::After] {
        here.world.clock.advance(LIFETIME);
        here.world.store.fail("rotate", failure);
        let error = client.access_token().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ClientErrorKind::Refused, Some("store_unavailable")));
        assert_eq!(
            (error.status(), error.retry_after()),
            (Some(StatusCode::SERVICE_UNAVAILABLE), Some(Duration::from_secs(1)))
        );
        here.world.store.recover();
        here.world.clock.advance(Duration::from_secs(1));
        assert!(here.is_logged_in(&client).await, "{failure:?}");
    }
}

#[tokio::test]
async fn a_program_changes_its_password_and_ends_its_session() {
    let here = InProcess::new();
    let client = here.client_with(|builder| builder.user_agent("my-cli/1.0"));
    let ada = register(&here.auth, "ada").await;
    client.login("ada@example.com", PASSWORD.into()).await.unwrap();
    let sessions = here.auth.sessions(&ada.id).await.unwrap();
    assert_eq!(sessions[0].user_agent.as_deref(), Some("my-cli/1.0"));
    client.login("ada@example.com", PASSWORD.into()).await.unwrap();
    assert_eq!(here.auth.sessions(&ada.id).await.unwrap().len(), 1, "it replaces the one before");

    let other = here.client_with(|builder| builder.storage(MemoryStorage::new()));
    other.login("ada@example.com", PASSWORD.into()).await.unwrap();
    let wrong = client.change_password("wrong".into(), "another sesame 43".into()).await.unwrap_err();
    assert_eq!(wrong.code(), Some("wrong_password"));
    here.world.clock.advance(LIFETIME);
    client.change_password(PASSWORD.into(), "another sesame 43".into()).await.unwrap();
    assert!(here.is_logged_in(&client).await);
    assert!(!here.is_logged_in(&other).await);
    here.world.clock.advance(LIFETIME);
    assert!(here.is_logged_in(&client).await);

    let user = client.register("bob@example.com", PASSWORD.into(), ()).await.unwrap();
    assert!(here.auth.sessions(&ada.id).await.unwrap().is_empty(), "a registration ends the session too");
    assert!(here.notes(&client).await.1.starts_with(user.id().unwrap()));
    client.logout().await.unwrap();
    assert!(!here.is_logged_in(&client).await);
}

#[tokio::test]
async fn a_request_of_one_user_is_never_sent_as_another() {
    let here = InProcess::new();
    let daemon = here.client();
    for name in ["ada", "bob"] {
        register(&here.auth, name).await;
    }
    let ada = daemon.login("ada@example.com", PASSWORD.into()).await.unwrap();
    assert!(here.notes(&daemon).await.1.starts_with(ada.id().unwrap()));
    let bob = here.client().login("bob@example.com", PASSWORD.into()).await.unwrap();
    let (status, said) = here.notes(&daemon).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{said}");
    assert!(here.notes(&daemon).await.1.starts_with(bob.id().unwrap()));
}

#[tokio::test]
async fn a_password_change_logs_no_other_process_out() {
    let here = InProcess::new();
    register(&here.auth, "ada").await;
    let (one, other) = (here.client(), here.client());
    one.login("ada@example.com", PASSWORD.into()).await.unwrap();
    assert!(here.is_logged_in(&other).await);
    one.change_password(PASSWORD.into(), "another sesame 43".into()).await.unwrap();
    let tokens = here.storage.load().await.unwrap().unwrap();
    here.world.clock.advance(LIFETIME);
    for client in [&other, &one] {
        assert!(here.is_logged_in(client).await);
    }
    assert_ne!(here.storage.load().await.unwrap().unwrap().expose(), tokens.expose());
}

#[tokio::test]
async fn a_server_for_browsers_only_refuses_programs() {
    let world = World::new();
    let strict =
        world.node_with(|builder| builder.token_delivery([Delivery::Cookie, Delivery::Body]).strict_cross_site());
    register(&strict, "ada").await;
    let app = app(&strict);
    let http = service_fn(move |request: Request<Full<Bytes>>| app.clone().oneshot(request));
    let client = ClientAuth::builder(HERE).build(http).unwrap();
    let error = client.login("ada@example.com", PASSWORD.into()).await.unwrap_err();
    assert_eq!(error.code(), Some("cross_site"));
}

#[tokio::test]
async fn refusals_are_passed_on_with_their_reasons() {
    let here = InProcess::new();
    let client = here.client();
    let error = client.register("ada", "short".into(), ()).await.unwrap_err();
    let fields: Vec<_> = error.fields().iter().map(|field| (&*field.field, &*field.code)).collect();
    assert_eq!((error.code(), fields.len()), (Some("validation_failed"), 2), "{fields:?}");
    register(&here.auth, "ada").await;
    let error = client.register("ada@example.com", PASSWORD.into(), ()).await.unwrap_err();
    assert_eq!(error.code(), Some("email_taken"));
    let error = loop {
        let error = client.login("ada@example.com", "wrong".into()).await.unwrap_err();
        if error.code() != Some("invalid_credentials") {
            break error;
        }
    };
    assert_eq!((error.status(), error.code()), (Some(StatusCode::TOO_MANY_REQUESTS), Some("too_many_attempts")));
    assert!(error.retry_after().is_some());

    let cookies_only = here.world.node();
    let app = app(&cookies_only);
    let http = service_fn(move |request: Request<Full<Bytes>>| app.clone().oneshot(request));
    let client = ClientAuth::builder(HERE).build(http).unwrap();
    let error = client.login("ada@example.com", PASSWORD.into()).await.unwrap_err();
    assert_eq!(error.fields()[0].field, "delivery");
}

#[tokio::test]
async fn neither_debug_nor_the_log_at_trace_shows_a_secret() {
    let log = LogBuffer::default();
    let subscriber =
        || tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE).finish();
    // Everything runs on this thread, except the hashes. With a second subscriber, `tracing` asks
    // all of them, and not only that of the thread that logs a message first.
    let _guards = (tracing::subscriber::set_default(subscriber()), tracing::Dispatch::new(subscriber()));
    let here = InProcess::new();
    let ada = register(&here.auth, "ada").await;
    let client = here.client_with(|builder| builder.refresh_attempts(1));
    let mut shown = vec![format!("{client:?} {:?}", here.storage)];
    let mut canaries = vec![PASSWORD.to_owned(), "canary-password".to_owned()];
    let wrong = client.login("ada@example.com", "canary-password".into()).await.unwrap_err();
    shown.push(format!("{wrong} {wrong:?}"));
    client.login("ada@example.com", PASSWORD.into()).await.unwrap();
    for outage in [true, false] {
        let stored: serde_json::Value =
            serde_json::from_str(here.storage.load().await.unwrap().unwrap().expose()).unwrap();
        for token in ["access_token", "refresh_token"] {
            // The signature alone shows that a token was written out.
            canaries.push(stored[token].as_str().unwrap().rsplit('.').next().unwrap().to_owned());
        }
        here.world.clock.advance(LIFETIME);
        if outage {
            here.world.store.fail("rotate", Failure::Before);
            let error = client.layer().layer(here.http()).oneshot(request(HERE)).await.unwrap_err();
            shown.push(format!("{error} {error:?}"));
            here.world.store.recover();
            here.world.clock.advance(Duration::from_secs(1));
        } else {
            here.auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
        }
        shown.push(format!("{:?}", here.notes(&client).await));
    }
    shown.push(log.text());
    for text in &shown {
        for canary in &canaries {
            assert!(!text.contains(canary), "{canary} is in {text}");
        }
    }
    assert!(shown.last().unwrap().contains("the session has ended"), "the log was captured");
}

/// Starts a server, and uses it with a client over a given transport.
async fn over_tcp<H, R>(http: H)
where
    H: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + Sync + 'static,
    H::Future: Send,
    H::Error: Into<BoxError> + std::fmt::Debug + Send,
    R: http_body::Body<Error: Into<BoxError> + std::fmt::Debug> + Send + 'static,
    R::Data: Send,
{
    let world = World::new();
    let auth = node(&world);
    register(&auth, "ada").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let app = app(&auth).into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let client = ClientAuth::builder(&server).clock(world.clock.clone()).build(http.clone()).unwrap();
    let api = client.layer().layer(http);
    assert_eq!(status(api.clone().oneshot(request(&server)).await).await.0, StatusCode::UNAUTHORIZED);
    client.login("ada@example.com", PASSWORD.into()).await.unwrap();
    assert_eq!(status(api.clone().oneshot(request(&server)).await).await.0, StatusCode::OK);
    world.clock.advance(LIFETIME);
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(api.clone().oneshot(request(&server)))).collect();
    for call in calls {
        assert_eq!(status(call.await.unwrap()).await.0, StatusCode::OK);
    }
    client.logout().await.unwrap();
    assert_eq!(status(api.oneshot(request(&server)).await).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_client_works_with_hyper_util() {
    over_tcp(HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>()).await;
}

#[tokio::test]
async fn the_client_works_with_reqwest() {
    let reqwest = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    over_tcp(service_fn(move |request: Request<Full<Bytes>>| {
        let reqwest = reqwest.clone();
        async move {
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))?;
            reqwest.execute(request).await.map(Response::from)
        }
    }))
    .await;
}
