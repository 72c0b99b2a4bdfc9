//! The guard before a tonic server: refusals in gRPC's own shape, claims in the extensions, streams
//! left alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "../../support/auth.rs"]
mod auth;
#[path = "../../support/login.rs"]
mod login;

use http_body_util::BodyExt;
use portcullis::{
    Auth, AuthLayer, Profile, Registration, User,
    auth::{Check, ClientInfo},
    store::memory::MemoryStore,
};
use portcullis_grpc::{ECHO, Notes, Text, WHO};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    service::LayerExt,
    transport::{Channel, Endpoint, Server},
};
use tower::{Service, ServiceBuilder};

use login::session_of;

struct World {
    auth: Auth<User>,
    token: String,
    /// What the service answers this user.
    greeting: String,
}

async fn world() -> World {
    let store = MemoryStore::new();
    let auth = auth::builder(store.clone(), store).build().unwrap();
    let user = auth
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let tokens = session_of(&auth, &user).await;
    World { token: tokens.access_token.expose().clone(), greeting: format!("hello to {}", user.id), auth }
}

/// A server whose every service is behind the guard, and a client's connection to it.
async fn serve(guard: AuthLayer<User>) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().layer(guard).add_service(Notes);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Endpoint::from_shared(address).unwrap().connect().await.unwrap()
}

fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

async fn who(channel: &Channel, token: Option<&str>) -> Result<Response<String>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    client.unary(with_token("hello".to_owned(), token), WHO.parse().unwrap(), Text).await
}

#[tokio::test]
async fn a_good_token_passes_with_its_claims() {
    let World { auth, token, greeting } = world().await;
    for guard in [auth.require(), auth.require().check_session(), auth.require().load_user()] {
        let channel = serve(guard).await;
        assert_eq!(who(&channel, Some(&token)).await.unwrap().into_inner(), greeting);
    }
    let anybody = serve(auth.optional()).await;
    assert_eq!(who(&anybody, None).await.unwrap().into_inner(), "hello to ");
}

#[tokio::test]
async fn without_a_good_token_the_call_is_unauthenticated() {
    let World { auth, token, .. } = world().await;
    let channel = serve(auth.require()).await;
    let missing = who(&channel, None).await.unwrap_err();
    assert_eq!((missing.code(), missing.message()), (Code::Unauthenticated, "An access token is required"));
    let bad = who(&channel, Some("nonsense")).await.unwrap_err();
    assert_eq!((bad.code(), bad.message()), (Code::Unauthenticated, "The access token is not valid"));
    let claims = auth.authenticate(&token, Check::Stateless).await.unwrap().claims;
    auth.logout_all(&claims, &ClientInfo::unknown()).await.unwrap();
    let ended = who(&channel, Some(&token)).await.unwrap_err();
    assert_eq!((ended.code(), ended.message()), (Code::Unauthenticated, "The session has ended"));
}

#[tokio::test]
async fn without_the_role_or_the_scope_permission_is_denied() {
    let World { auth, token, .. } = world().await;
    for guard in [
        auth.require().role("admin"),
        auth.require().scope("notes:read"),
        auth.require().check_claims(|_| false),
        auth.require().load_user().role("admin"),
    ] {
        let denied = who(&serve(guard).await, Some(&token)).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn a_refusal_is_trailers_only() {
    let World { auth, .. } = world().await;
    let mut channel = serve(auth.require()).await;
    let request = http::Request::post(WHO).header("content-type", "application/grpc").body(Body::empty()).unwrap();
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    let response = channel.call(request).await.unwrap();
    // HTTP 200, the status among the headers, the stream ended by them.
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers()["grpc-status"], "16");
    assert_eq!(response.headers()["grpc-message"], "An%20access%20token%20is%20required");
    let mut body = response.into_body();
    assert!(http_body::Body::is_end_stream(&body) && body.frame().await.is_none());
}

#[tokio::test]
async fn streams_go_both_ways_while_they_are_open() {
    let World { auth, token, .. } = world().await;
    for guard in [auth.require(), auth.require().load_user()] {
        let channel = serve(guard).await;
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let (say, said) = mpsc::channel(1);
        let request = with_token(ReceiverStream::new(said), Some(&token));
        let response = client.streaming(request, ECHO.parse().unwrap(), Text).await.unwrap();
        let mut echoes = response.into_inner();
        // Each echo is awaited before the next message is sent: a guard that gathered a body would
        // wait for ever.
        for word in ["one", "two", "three"] {
            say.send(word.to_owned()).await.unwrap();
            assert_eq!(echoes.message().await.unwrap().unwrap(), format!("{word}!"));
        }
        drop(say);
        assert_eq!(echoes.message().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_stream_is_refused_before_it_begins() {
    let World { auth, .. } = world().await;
    let mut client = tonic::client::Grpc::new(serve(auth.require()).await);
    client.ready().await.unwrap();
    let (_say, said) = mpsc::channel::<String>(1);
    let refused = client.streaming(Request::new(ReceiverStream::new(said)), ECHO.parse().unwrap(), Text).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn one_service_is_guarded_and_its_neighbours_are_not() {
    let World { auth, token, greeting } = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let guarded = ServiceBuilder::new().layer(auth.require()).named_layer(Notes);
    let server = Server::builder().add_service(guarded);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    assert_eq!(who(&channel, Some(&token)).await.unwrap().into_inner(), greeting);
    assert_eq!(who(&channel, None).await.unwrap_err().code(), Code::Unauthenticated);
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let elsewhere: http::uri::PathAndQuery = "/other.Service/Who".parse().unwrap();
    let unknown = client.unary::<_, String, _>(Request::new(String::new()), elsewhere, Text).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
}
