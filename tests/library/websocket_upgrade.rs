//! A WebSocket handshake is verified before the upgrade, on axum and on bare hyper.

use std::{convert::Infallible, fmt::Write, net::SocketAddr};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use portcullis::{Auth, AuthLayer, User};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, service_fn};

use crate::fixture::{World, register, start_session};

/// Answers 101 and sends back what it gets, as a WebSocket library does, without frames.
fn switch<B>(mut request: Request<B>) -> Response<Empty<Bytes>> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut stream = TokioIo::new(upgraded);
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(&word).await.unwrap();
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    response.header(header::CONNECTION, "upgrade").header(header::UPGRADE, "websocket").body(Empty::new()).unwrap()
}

async fn on_hyper(guard: AuthLayer<User>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = guard.layer(service_fn(async |request| Ok::<_, Infallible>(switch(request))));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                server.serve_connection_with_upgrades(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    addr
}

async fn on_axum(guard: AuthLayer<User>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let handler = async |request: axum::extract::Request| switch(request).map(axum::body::Body::new);
    let app = Router::new().route("/", get(handler)).route_layer(guard);
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// Returns the head of the answer to a handshake, and whether the connection then sends back what
/// it gets.
async fn shake_hands(addr: SocketAddr, headers: &[(&str, &str)]) -> (String, bool) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let mut head = format!(
        "GET / HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    stream.write_all((head + "\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    if !answer.starts_with("HTTP/1.1 101 ") {
        return (answer, false);
    }
    stream.write_all(b"ping").await.unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.unwrap();
    (answer, word == *b"ping")
}

async fn world() -> (Auth<User>, String) {
    let auth = World::new().node_with(|builder| builder.insecure_cookies().trusted_origin("https://app.example.com"));
    let ada = register(&auth, "ada").await;
    let token = start_session(&auth, &ada).await.access;
    (auth, token)
}

#[tokio::test]
async fn a_handshake_is_verified_before_the_upgrade() {
    let (auth, token) = world().await;
    for guard in [auth.require(), auth.require().load_user()] {
        for addr in [on_hyper(guard.clone()).await, on_axum(guard.clone()).await] {
            let bearer = format!("Bearer {token}");
            let (answer, echoes) = shake_hands(addr, &[("authorization", &bearer)]).await;
            assert!(echoes, "{answer}");

            let (answer, _) = shake_hands(addr, &[]).await;
            assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("www-authenticate: Bearer\r\n"), "{answer}");
            let (answer, _) = shake_hands(addr, &[("authorization", "Bearer nonsense")]).await;
            assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("invalid_token"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_handshake_of_a_browser_needs_its_own_origin() {
    let (auth, token) = world().await;
    for addr in [on_hyper(auth.require()).await, on_axum(auth.require()).await] {
        let cookie = format!("access_token={token}");
        let own = format!("http://{addr}");
        let from = async |origin: &str, site: Option<&str>| {
            let mut headers = vec![("cookie", cookie.as_str()), ("origin", origin)];
            headers.extend(site.map(|site| ("sec-fetch-site", site)));
            shake_hands(addr, &headers).await
        };
        for (origin, site) in
            [(own.as_str(), Some("same-origin")), (own.as_str(), None), ("https://app.example.com", Some("cross-site"))]
        {
            let (answer, echoes) = from(origin, site).await;
            assert!(echoes, "{origin} {site:?}: {answer}");
        }
        for (origin, site) in
            [("https://evil.example", Some("cross-site")), ("https://evil.example", None), ("null", None)]
        {
            let (answer, echoes) = from(origin, site).await;
            assert!(!echoes && answer.starts_with("HTTP/1.1 403 "), "{origin} {site:?}: {answer}");
        }
    }
}
