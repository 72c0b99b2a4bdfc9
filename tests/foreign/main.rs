//! Tokens of every algorithm between us and two foreign libraries, `jose` on Node and PyJWT on
//! Python: each verifies what we issue, by the set that we publish; of what they make with the same
//! keys we take the one header that we write ourselves.
//!
//! `tests/run foreign` brings both libraries along; without them this fails.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]

#[path = "../support/login.rs"]
mod login;

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use axum::Router;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis::{
    Auth, ErrorKind, Profile, Registration, User,
    auth::{Check, ClientInfo},
    keys::{Algorithm, Key, KeyRing},
    resource::ResourceServer,
    store::memory::MemoryStore,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://auth.example.com";
const AUDIENCE: &str = "https://api.example.com";
/// Long enough for HS512, so that one secret can be tried under each HMAC.
const SECRET: &str = "A0b1C2d3E4f5G6h7I8j9K0l1M2n3O4p5Q6r7S8t9U0v1W2x3Y4z5a6B7c8D9e0F1";

/// A service with one key, which the foreign libraries hold as well.
struct Service {
    algorithm: Algorithm,
    kid: String,
    pem: Option<&'static str>,
    public_pem: Option<&'static str>,
    auth: Auth<User>,
    token: String,
}

impl Service {
    async fn new(algorithm: Algorithm) -> Self {
        let pem = match algorithm {
            Algorithm::EdDSA => Some((include_str!("../keys/ed25519.pem"), include_str!("../keys/ed25519.pub.pem"))),
            Algorithm::ES256 => Some((include_str!("../keys/p256.pem"), include_str!("../keys/p256.pub.pem"))),
            Algorithm::RS256 | Algorithm::PS256 => {
                Some((include_str!("../keys/rsa2048.pem"), include_str!("../keys/rsa2048.pub.pem")))
            }
            _ => None,
        };
        let key = pem.map_or_else(|| Key::from_secret(SECRET), |(private, _)| Key::from_pem(private)).unwrap();
        let key = key.with_algorithm(algorithm).unwrap();
        let store = MemoryStore::new();
        let auth = Auth::builder(store.clone(), store)
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .mount_path(format!("/{algorithm}"))
            .access_keys(KeyRing::new(key.clone()))
            .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
            .hash_threads(1)
            .build()
            .unwrap();
        let ada = Registration::new("ada@example.com", "open sesame 42", Profile::default());
        let ada = auth.register(ada, &ClientInfo::unknown()).await.unwrap();
        let token = login::session_of(&auth, &ada).await.access_token.expose().clone();
        Self {
            algorithm,
            kid: key.kid().to_owned(),
            pem: pem.map(|(private, _)| private),
            public_pem: pem.map(|(_, public)| public),
            auth,
            token,
        }
    }

    fn secret(&self) -> Option<&'static str> {
        self.pem.is_none().then_some(SECRET)
    }

    /// A token, and by what a foreign library checks it.
    fn to_check(&self, token: &str, origin: &str) -> Value {
        let jwks = format!("{origin}/{}/.well-known/jwks.json", self.algorithm);
        json!({
            "token": token, "alg": self.algorithm.name(), "secret": self.secret(), "jwks": jwks,
            "issuer": ISSUER, "audience": AUDIENCE,
        })
    }

    /// The claims of the genuine token, as they were signed.
    fn payload(&self) -> String {
        let payload = self.token.split('.').nth(1).unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    /// What a foreign library is to sign; the header keeps its order.
    fn to_sign(&self, header: &str) -> String {
        let payload = Value::String(self.payload());
        format!(
            r#"{{"header":{header},"payload":{payload},"secret":{},"pem":{}}}"#,
            json!(self.secret()),
            json!(self.pem)
        )
    }

    fn header(&self) -> String {
        format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"}}"#, self.algorithm, self.kid)
    }

    /// Headers that tokens under this key must not have.
    fn other_headers(&self) -> Vec<String> {
        let (alg, kid) = (self.algorithm, &self.kid);
        let mut headers = vec![
            format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{alg}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"{alg}"}}"#),
            format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"{alg}","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{alg}","typ":"rt+jwt","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"other"}}"#),
            format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{kid}","jku":"http://127.0.0.1:1/"}}"#),
            format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{kid}","extra":1}}"#),
        ];
        let swapped: &[&str] = match alg {
            Algorithm::HS256 => &["HS384", "HS512"],
            Algorithm::HS384 => &["HS256", "HS512"],
            Algorithm::HS512 => &["HS256", "HS384"],
            Algorithm::RS256 => &["RS384", "RS512", "PS256"],
            Algorithm::PS256 => &["PS384", "PS512", "RS256"],
            _ => &[],
        };
        headers.extend(swapped.iter().map(|other| format!(r#"{{"alg":"{other}","typ":"at+jwt","kid":"{kid}"}}"#)));
        headers
    }

    async fn verdict(&self, token: &str) -> Option<ErrorKind> {
        self.auth.authenticate(token, Check::Stateless).await.err().map(|error| error.kind())
    }
}

/// Services of every algorithm, listening; where they listen.
async fn services() -> (Vec<Service>, String) {
    let mut services = Vec::new();
    for algorithm in [
        Algorithm::HS256,
        Algorithm::HS384,
        Algorithm::HS512,
        Algorithm::EdDSA,
        Algorithm::ES256,
        Algorithm::RS256,
        Algorithm::PS256,
    ] {
        services.push(Service::new(algorithm).await);
    }
    let app = services.iter().fold(Router::new(), |app, service| app.merge(service.auth.router()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (services, origin)
}

/// Gives a script its task and reads its answer.
async fn ask(mut command: Command, task: String) -> Value {
    let answer = tokio::task::spawn_blocking(move || {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}: see `tests/run foreign`"));
        child.stdin.take().unwrap().write_all(task.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let answer = answer.await.unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    serde_json::from_slice(&answer.stdout).unwrap()
}

fn tools() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/foreign")
}

fn jose() -> Command {
    let mut node = Command::new("node");
    // A script that is given as text finds its imports where it runs.
    node.current_dir(tools()).args(["--input-type=module", "--eval", include_str!("jose.mjs")]);
    node
}

fn pyjwt() -> Command {
    let mut python = Command::new(tools().join("venv/bin/python"));
    python.args(["-c", include_str!("pyjwt.py")]);
    python
}

/// What both libraries are to verify and to refuse, and what each is to sign.
fn task(services: &[Service], origin: &str, sign: &[String]) -> String {
    let verify: Vec<Value> = services.iter().map(|service| service.to_check(&service.token, origin)).collect();
    let mut refuse = Vec::new();
    for service in services {
        let (message, signature) = service.token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        refuse.push(service.to_check(&format!("{message}.{first}{}", &signature[1..]), origin));
    }
    format!(r#"{{"verify":{},"refuse":{},"sign":[{}]}}"#, json!(verify), json!(refuse), sign.join(","))
}

/// The claims that a library has read are the ones that we signed.
fn assert_read(services: &[Service], answer: &Value) {
    let claims: Vec<Value> = services.iter().map(|service| serde_json::from_str(&service.payload()).unwrap()).collect();
    assert_eq!(answer["claims"], json!(claims));
}

fn texts(answer: &Value) -> Vec<&str> {
    answer.as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect()
}

/// What each service is to be shown: its own header first, then the others.
fn all_headers(services: &[Service]) -> Vec<(usize, String)> {
    let with_number = |(number, service): (usize, &Service)| {
        let headers = std::iter::once(service.header()).chain(service.other_headers());
        headers.map(|header| (number, header)).collect::<Vec<_>>()
    };
    services.iter().enumerate().flat_map(with_number).collect()
}

async fn assert_only_the_own_header_is_taken(services: &[Service], headers: &[(usize, String)], tokens: &[&str]) {
    assert_eq!(tokens.len(), headers.len());
    for ((number, header), token) in headers.iter().zip(tokens) {
        let service = &services[*number];
        let sent = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        assert_eq!(String::from_utf8(sent).unwrap(), *header, "what was asked for");
        let expected = (*header != service.header()).then_some(ErrorKind::TokenInvalid);
        assert_eq!(service.verdict(token).await, expected, "{header}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_and_we_accept_valid_tokens_of_each_other_only() {
    let (services, origin) = services().await;
    let headers = all_headers(&services);
    let mut sign: Vec<String> = headers.iter().map(|(number, header)| services[*number].to_sign(header)).collect();
    // The published key as a secret, and the newer name of EdDSA: only `jose` agrees to make them.
    let mut confused = Vec::new();
    for service in &services {
        if let Some(public) = service.public_pem {
            let header = service.header().replace(service.algorithm.name(), "HS256");
            let payload = json!(service.payload());
            sign.push(format!(r#"{{"header":{header},"payload":{payload},"secret":{},"pem":null}}"#, json!(public)));
            confused.push(service);
        }
        if service.algorithm == Algorithm::EdDSA {
            sign.push(service.to_sign(&service.header().replace("EdDSA", "Ed25519")));
            confused.push(service);
        }
    }
    let answer = ask(jose(), task(&services, &origin, &sign)).await;
    assert_read(&services, &answer);
    let tokens = texts(&answer["tokens"]);
    let (tokens, others) = tokens.split_at(headers.len());
    assert_only_the_own_header_is_taken(&services, &headers, tokens).await;
    assert_eq!(others.len(), confused.len());
    for (token, service) in others.iter().zip(confused) {
        assert_eq!(service.verdict(token).await, Some(ErrorKind::TokenInvalid), "{token}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_and_we_accept_valid_tokens_of_each_other_only() {
    let (services, origin) = services().await;
    let headers = all_headers(&services);
    let sign: Vec<String> = headers.iter().map(|(number, header)| services[*number].to_sign(header)).collect();
    let answer = ask(pyjwt(), task(&services, &origin, &sign)).await;
    assert_read(&services, &answer);
    assert_only_the_own_header_is_taken(&services, &headers, &texts(&answer["tokens"])).await;
    // PyJWT sorts the members: never a token of ours, and a good one of another issuer.
    for ((number, header), token) in headers.iter().zip(texts(&answer["usual"])) {
        let service = &services[*number];
        assert_eq!(service.verdict(token).await, Some(ErrorKind::TokenInvalid), "{header}");
        if *header == service.header() && service.algorithm.is_asymmetric() {
            let server = ResourceServer::builder(ISSUER, AUDIENCE).jwks(service.auth.jwks()).build().unwrap();
            let claims = server.verify(token).unwrap();
            assert_eq!((claims.issuer(), claims.client_id()), (ISSUER, Some(AUDIENCE)));
        }
    }
}
