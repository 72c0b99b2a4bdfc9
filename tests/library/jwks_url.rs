//! A service that fetches the public keys of another one: when, how often, and only from where.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use portcullis::{
    ErrorKind,
    clock::{Clock, ManualClock, Timestamp},
    resource::{ForeignClaims, JwksUrl, ResourceServer},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::{Layer, ServiceExt, service_fn};

use crate::fixture::kind;

const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://api.example.com";

/// Answer of the issuer.
#[derive(Clone)]
enum Answer {
    /// A set of the keys with these numbers.
    Keys(Vec<u8>),
    /// Any other answer, with its status line and headers.
    Raw(Vec<u8>),
    /// No answer, ever.
    Silence,
}

/// An issuer that is not of this crate, on this machine.
#[derive(Clone)]
struct Issuer {
    port: u16,
    clock: ManualClock,
    answer: Arc<Mutex<Answer>>,
    /// Number of requests that it got.
    asked: Arc<AtomicUsize>,
    /// Acquired for each answer.
    may_answer: Arc<Semaphore>,
}

impl Issuer {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            port: listener.local_addr().unwrap().port(),
            clock: ManualClock::new(Timestamp::from_secs(1_800_000_000)),
            answer: Arc::new(Mutex::new(Answer::Keys(vec![1]))),
            asked: Arc::default(),
            may_answer: Arc::new(Semaphore::new(1000)),
        };
        let this = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(this.clone().serve(stream));
            }
        });
        issuer
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte @ 1..) = stream.read_buf(&mut request).await else { return };
            assert!(byte < 10_000);
        }
        assert!(request.starts_with(b"GET /jwks?v=1 HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&request));
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.may_answer.acquire().await.unwrap().forget();
        let answer = self.answer.lock().unwrap().clone();
        let bytes = match answer {
            Answer::Keys(numbers) => ok(&set(&numbers)),
            Answer::Raw(bytes) => bytes,
            Answer::Silence => return std::future::pending().await,
        };
        // A client that has read enough may have closed the connection.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn url(&self) -> JwksUrl {
        JwksUrl::new(format!("http://127.0.0.1:{}/jwks?v=1", self.port)).timeout(Duration::from_secs(30))
    }

    fn server(&self) -> ResourceServer {
        self.server_at(self.url())
    }

    fn server_at(&self, url: JwksUrl) -> ResourceServer {
        ResourceServer::builder(ISSUER, AUDIENCE).clock(self.clock.clone()).jwks_url(url).build().unwrap()
    }

    fn token(&self, number: u8) -> String {
        self.token_with(number, &json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": format!("k{number}") }))
    }

    fn token_with(&self, number: u8, header: &Value) -> String {
        let exp = self.clock.now().as_secs() + 900;
        let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": exp });
        let parts = [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
        let message = parts.join(".");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(key(number).sign(message.as_bytes()).to_bytes()))
    }

    /// Waits for work that runs beside the requests.
    async fn until_asked(&self, times: usize) {
        while self.asked() < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn set(numbers: &[u8]) -> String {
    let jwk = |number: &u8| {
        let x = URL_SAFE_NO_PAD.encode(key(*number).verifying_key().as_bytes());
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": format!("k{number}"), "use": "sig" })
    };
    json!({ "keys": numbers.iter().map(jwk).collect::<Vec<_>>() }).to_string()
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn verdict(server: &ResourceServer, token: &str) -> Option<ErrorKind> {
    kind(server.authenticate(token).await)
}

#[tokio::test]
async fn only_the_first_request_waits_for_the_keys() {
    let issuer = Issuer::new().await;
    let server = issuer.server();
    assert_eq!(kind(server.verify(&issuer.token(1))), Some(ErrorKind::StoreUnavailable), "it does not wait");
    for _ in 0..10 {
        assert_eq!(verdict(&server, &issuer.token(1)).await, None);
    }
    assert!(server.verify(&issuer.token(1)).is_ok());
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn the_first_token_under_a_new_key_has_the_set_fetched() {
    let issuer = Issuer::new().await;
    let server = issuer.server();
    server.refresh().await.unwrap();
    issuer.answers(Answer::Keys(vec![2]));
    assert_eq!(verdict(&server, &issuer.token(2)).await, Some(ErrorKind::TokenInvalid), "too soon after the last one");
    issuer.clock.advance(Duration::from_secs(10));
    assert_eq!(verdict(&server, &issuer.token(2)).await, None);
    assert_eq!(verdict(&server, &issuer.token(1)).await, Some(ErrorKind::TokenInvalid), "withdrawn");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_old_set_is_fetched_again_beside_the_requests() {
    let issuer = Issuer::new().await;
    let server = issuer.server();
    server.refresh().await.unwrap();
    issuer.clock.advance(Duration::from_secs(300));
    issuer.answers(Answer::Silence);
    assert_eq!(verdict(&server, &issuer.token(1)).await, None, "it does not wait");
    issuer.until_asked(2).await;
    assert_eq!(verdict(&server, &issuer.token(1)).await, None);
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_outage_changes_nothing_for_a_day_and_is_a_503_afterwards() {
    let issuer = Issuer::new().await;
    let server = issuer.server();
    server.refresh().await.unwrap();
    issuer.answers(Answer::Raw(Vec::new()));
    for hours in 1..=24 {
        issuer.clock.advance(Duration::from_secs(3600));
        assert_eq!(kind(server.refresh().await), Some(ErrorKind::StoreUnavailable));
        assert_eq!(verdict(&server, &issuer.token(1)).await, None, "{hours} hours");
    }
    issuer.clock.advance(Duration::from_secs(1));
    assert_eq!(verdict(&server, &issuer.token(1)).await, Some(ErrorKind::StoreUnavailable));
    issuer.answers(Answer::Keys(vec![1]));
    assert_eq!(verdict(&server, &issuer.token(1)).await, Some(ErrorKind::StoreUnavailable), "too soon to try again");
    issuer.clock.advance(Duration::from_secs(10));
    assert_eq!(verdict(&server, &issuer.token(1)).await, None);
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_changes_nothing() {
    let issuer = Issuer::new().await;
    let elsewhere = Issuer::new().await;
    let server = issuer.server_at(issuer.url().timeout(Duration::from_secs(2)));
    server.refresh().await.unwrap();
    let private = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}]}"#;
    let many = set(&(0..65).collect::<Vec<u8>>());
    let location = format!("location: http://127.0.0.1:{}/jwks?v=1", elsewhere.port);
    let endless =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", "8\r\n        \r\n".repeat(100_000));
    let with_status = |status: &str, extra: &str| {
        let body = set(&[2]);
        format!("HTTP/1.1 {status}\r\n{extra}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let answers = [
        Answer::Raw(with_status("302 Found", &location)),
        Answer::Raw(with_status("307 Temporary Redirect", &location)),
        Answer::Raw(with_status("404 Not Found", "x: y")),
        Answer::Raw(with_status("503 Service Unavailable", "x: y")),
        Answer::Raw(with_status("206 Partial Content", "x: y")),
        Answer::Raw(ok("<html>")),
        Answer::Raw(ok("")),
        Answer::Raw(ok(r#"{"keys":[]}"#)),
        Answer::Raw(ok(private)),
        Answer::Raw(ok(&many)),
        Answer::Raw(ok(&format!("{}{}", set(&[2]), " ".repeat(300_000)))),
        Answer::Raw(endless.into_bytes()),
        Answer::Raw(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(50_000)).into_bytes()),
        Answer::Raw(b"\x16\x03\x01 garbage".to_vec()),
        Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"keys\":[".to_vec()),
        Answer::Silence,
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        issuer.answers(answer);
        issuer.clock.advance(Duration::from_secs(10));
        assert_eq!(verdict(&server, &issuer.token(2)).await, Some(ErrorKind::StoreUnavailable), "answer {number}");
        assert_eq!(verdict(&server, &issuer.token(1)).await, None, "answer {number}");
        assert_eq!(issuer.asked(), number + 2);
    }
    assert_eq!(elsewhere.asked(), 0, "no redirect is followed");
}

#[tokio::test]
async fn a_new_key_that_cannot_be_fetched_is_a_503() {
    let issuer = Issuer::new().await;
    let server = issuer.server();
    server.refresh().await.unwrap();
    issuer.answers(Answer::Raw(Vec::new()));
    issuer.clock.advance(Duration::from_secs(10));
    let new = issuer.token(2);
    assert_eq!(verdict(&server, &new).await, Some(ErrorKind::StoreUnavailable), "the fetch has failed");
    assert_eq!(verdict(&server, &new).await, Some(ErrorKind::StoreUnavailable), "too soon to try again");
    assert_eq!(kind(server.verify(&new)), Some(ErrorKind::StoreUnavailable));
    assert_eq!(verdict(&server, &issuer.token(1)).await, None, "the known key is accepted");
    // A token that no key of the issuer can have signed causes no fetch.
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" });
    assert_eq!(verdict(&server, &issuer.token_with(9, &header)).await, Some(ErrorKind::TokenInvalid));
    assert_eq!(verdict(&server, "a.b.c").await, Some(ErrorKind::TokenInvalid));
    issuer.answers(Answer::Keys(vec![2]));
    issuer.clock.advance(Duration::from_secs(10));
    assert_eq!(verdict(&server, &new).await, None);
    assert_eq!(verdict(&server, &issuer.token(3)).await, Some(ErrorKind::TokenInvalid), "the last fetch was good");
}

#[tokio::test]
async fn many_unknown_keys_cause_one_fetch() {
    let issuer = Issuer::new().await;
    let server = issuer.server();
    server.refresh().await.unwrap();
    issuer.clock.advance(Duration::from_secs(10));
    issuer.answers(Answer::Keys(vec![1, 2]));
    issuer.may_answer.forget_permits(1000);
    let waiting: Vec<_> = (0..100)
        .map(|number| {
            // Every other token is forged. Its key will never be in the set.
            let token = if number % 2 == 0 { issuer.token(2) } else { issuer.token(3) };
            let server = server.clone();
            tokio::spawn(async move { kind(server.authenticate(&token).await) })
        })
        .collect();
    issuer.until_asked(2).await;
    // A caller that gives up does not stop the fetch.
    let impatient = tokio::time::timeout(Duration::from_millis(20), server.authenticate(&issuer.token(2))).await;
    assert!(impatient.is_err());
    assert_eq!(verdict(&server, &issuer.token(1)).await, None, "a known key needs no wait");
    issuer.may_answer.add_permits(1);
    for (number, verdict) in waiting.into_iter().enumerate() {
        let expected = (number % 2 == 1).then_some(ErrorKind::TokenInvalid);
        assert_eq!(verdict.await.unwrap(), expected, "{number}");
    }
    for _ in 0..100 {
        assert_eq!(verdict(&server, &issuer.token(3)).await, Some(ErrorKind::TokenInvalid));
    }
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_token_cannot_say_where_its_key_is() {
    let issuer = Issuer::new().await;
    let evil = Issuer::new().await;
    evil.answers(Answer::Keys(vec![9]));
    let server = issuer.server();
    server.refresh().await.unwrap();
    issuer.clock.advance(Duration::from_secs(10));
    let there = format!("http://127.0.0.1:{}/jwks?v=1", evil.port);
    let good = |header: &Value| {
        let mut all = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k9", "jku": there, "x5u": there });
        all.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        all
    };
    // No key of the issuer can have signed one of these, so none causes a fetch.
    for header in [
        json!({ "kid": null }),
        json!({ "typ": "JWT" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "none" }),
        json!({ "crit": ["jku"] }),
        json!({ "kid": 1 }),
        json!({ "kid": "k1" }),
    ] {
        let token = issuer.token_with(9, &good(&header));
        assert_eq!(verdict(&server, &token).await, Some(ErrorKind::TokenInvalid));
    }
    for token in ["", ".", "a.b.c", "é.é.é"] {
        assert_eq!(verdict(&server, token).await, Some(ErrorKind::TokenInvalid));
    }
    assert_eq!(issuer.asked(), 1);
    assert_eq!(verdict(&server, &issuer.token_with(9, &good(&json!({})))).await, Some(ErrorKind::TokenInvalid));
    assert_eq!((issuer.asked(), evil.asked()), (2, 0));
}

#[tokio::test]
async fn the_guard_waits_for_the_keys_and_says_503_without() {
    let issuer = Issuer::new().await;
    let inner = service_fn(|request: Request<Full<Bytes>>| async move {
        assert_eq!(request.extensions().get::<ForeignClaims>().unwrap().subject(), "ada");
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let request = |token: &str| {
        let request = Request::get("/").header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.body(Full::<Bytes>::default()).unwrap()
    };
    let server = issuer.server();
    let guarded = server.require().layer(inner);
    issuer.answers(Answer::Raw(Vec::new()));
    let response = guarded.clone().oneshot(request(&issuer.token(1))).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    issuer.answers(Answer::Keys(vec![1]));
    issuer.clock.advance(Duration::from_secs(10));
    let response = guarded.clone().oneshot(request(&issuer.token(1))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    issuer.clock.advance(Duration::from_secs(10));
    let response = guarded.oneshot(request(&issuer.token(2))).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let admins = server.require().role("admin").layer(inner);
    let fresh = issuer.server().require().role("admin").layer(inner);
    for guarded in [admins, fresh] {
        let response = guarded.oneshot(request(&issuer.token(1))).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "after waiting as well as before");
    }
}

#[tokio::test]
async fn a_document_at_start_counts_until_the_first_fetch() {
    let issuer = Issuer::new().await;
    issuer.answers(Answer::Keys(vec![2]));
    let builder = ResourceServer::builder(ISSUER, AUDIENCE).clock(issuer.clock.clone());
    let server = builder.jwks(set(&[1])).jwks_url(issuer.url()).build().unwrap();
    assert_eq!(verdict(&server, &issuer.token(1)).await, None);
    server.refresh().await.unwrap();
    assert_eq!(verdict(&server, &issuer.token(1)).await, Some(ErrorKind::TokenInvalid));
    server.replace_jwks(&set(&[1])).unwrap();
    assert_eq!(verdict(&server, &issuer.token(1)).await, None);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_the_keys_and_the_fetches() {
    let issuer = Issuer::new().await;
    let server = issuer.server();
    server.refresh().await.unwrap();
    issuer.clock.set(issuer.clock.now().minus(Duration::from_secs(86_400)));
    assert_eq!(verdict(&server, &issuer.token(1)).await, None);
    issuer.answers(Answer::Keys(vec![2]));
    issuer.clock.advance(Duration::from_secs(10));
    assert_eq!(verdict(&server, &issuer.token(2)).await, None);
}

#[tokio::test]
async fn https_never_falls_back_to_http() {
    let issuer = Issuer::new().await;
    let url = JwksUrl::new(format!("https://127.0.0.1:{}/jwks?v=1", issuer.port)).timeout(Duration::from_secs(2));
    let server = issuer.server_at(url);
    assert_eq!(kind(server.refresh().await), Some(ErrorKind::StoreUnavailable));
    assert_eq!(issuer.asked(), 0);
}
