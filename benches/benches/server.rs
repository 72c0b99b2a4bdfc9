//! A whole axum server on one thread: an empty route bare, behind a layer that does nothing, behind
//! the guard, with an extractor as people write it, and with the least that an extractor can do.
//!
//! Measures the processor time of the server's thread for each request, as the kernel counts it, so
//! that neither the clients nor other programs count. The servers take turns, and each ratio is of
//! two neighbouring turns. Linux only.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    routing::get,
};
use http::{StatusCode, header::AUTHORIZATION, request::Parts};
use portcullis::{
    keys::{Key, KeyRing},
    store::memory::MemoryStore,
};
use portcullis_benches::{
    cases::is_trial,
    handwritten_peer::Peer,
    setup::{ISSUER, USER_AGENT, access_tokens, auth, start},
    tokens::Bare,
};
use tower::util::MapRequestLayer;

const CONNECTIONS: usize = 8;
const TOKENS: usize = 64;

/// The claims of a request, by `jsonwebtoken` alone.
struct ByHand;

impl FromRequestParts<Peer> for ByHand {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, peer: &Peer) -> Result<Self, StatusCode> {
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
        let claims = peer.decode(token).map_err(|_| StatusCode::UNAUTHORIZED)?;
        parts.extensions.insert(claims);
        Ok(Self)
    }
}

/// The claims of a request, by the minimum by hand.
struct Minimum;

impl FromRequestParts<Arc<Bare>> for Minimum {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, bare: &Arc<Bare>) -> Result<Self, StatusCode> {
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
        let claims = bare.minimum(token).ok_or(StatusCode::UNAUTHORIZED)?;
        parts.extensions.insert(Arc::new(claims));
        Ok(Self)
    }
}

struct Server {
    name: &'static str,
    /// What of the bare route's rate was promised.
    promised: Option<f64>,
    addr: SocketAddr,
    task: String,
    tokens: Vec<String>,
}

/// One turn of a server.
struct Turn {
    nanos: f64,
    p99: Duration,
}

fn main() {
    let empty = || Router::new().route("/", get(async || ()));
    let store = MemoryStore::new();
    let by_secret = auth(&store);
    let tokens = access_tokens(&store, &by_secret, TOKENS, &["admin"]);
    start(&by_secret, &tokens[0]);
    let key = Key::generate_ed25519().expect("there is randomness");
    let by_key = unkeyed(&store).access_keys(KeyRing::new(key)).build().expect("the settings are good");
    let signed = access_tokens(&store, &by_key, TOKENS, &["admin"]);
    start(&by_key, &signed[0]);

    let by_hand = Router::new().route("/", get(async |_: ByHand| ())).with_state(Peer::new());
    let minimum = Router::new().route("/", get(async |_: Minimum| ())).with_state(Arc::new(Bare::hs256(&tokens[0])));
    let servers = [
        Server::start("bare", None, empty(), &tokens),
        Server::start(
            "a layer that does nothing",
            None,
            empty().route_layer(MapRequestLayer::new(|request: Request| request)),
            &tokens,
        ),
        Server::start("minimum by hand, HS256", None, minimum, &tokens),
        Server::start("extractor by hand, HS256", None, by_hand, &tokens),
        Server::start("guard, HS256 each time", Some(0.92), empty().route_layer(by_secret.require()), &tokens),
        Server::start("guard, Ed25519 remembered", Some(0.97), empty().route_layer(by_key.require()), &signed),
    ];
    let (rounds, requests) = if is_trial() { (1, 80) } else { (21, 16_000) };
    let mut turns: Vec<Vec<Turn>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (server, turns) in servers.iter().zip(&mut turns) {
            let turn = server.turn(requests);
            // The first one warms up.
            if round > 0 {
                turns.push(turn);
            }
        }
    }
    println!("processor time of a request on a whole server, median of {rounds} rounds of {requests}:");
    let bare = &turns[0];
    for (server, turns) in servers.iter().zip(&turns) {
        let rate = median(turns.iter().zip(bare).map(|(turn, bare)| bare.nanos / turn.nanos));
        let nanos = median(turns.iter().map(|turn| turn.nanos));
        let p99 = median(turns.iter().zip(bare).map(|(turn, bare)| turn.p99.as_secs_f64() / bare.p99.as_secs_f64()));
        let verdict = match server.promised {
            Some(promised) if rate < promised => format!(" (UNDER {promised})"),
            Some(promised) => format!(" (at least {promised})"),
            None => String::new(),
        };
        println!("  {:<28} {:>6.2} µs  {rate:.3} of the bare rate{verdict}, p99 x{p99:.2}", server.name, nanos / 1e3);
    }
}

/// Without a secret for access tokens.
fn unkeyed(store: &MemoryStore) -> portcullis::AuthBuilder<portcullis::User> {
    portcullis::Auth::builder(store.clone(), store.clone())
        .issuer(ISSUER)
        .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
}

impl Server {
    fn start(name: &'static str, promised: Option<f64>, app: Router, tokens: &[String]) -> Self {
        let (ready, announced) = mpsc::channel();
        thread::spawn(move || {
            let task = fs::read_link("/proc/thread-self").expect("this is Linux");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("there is room");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
                let addr = listener.local_addr().expect("it is bound");
                ready.send((addr, format!("/proc/{}/schedstat", task.display()))).expect("somebody waits");
                axum::serve(listener, app).await
            })
        });
        let (addr, task) = announced.recv().expect("it starts");
        Self { name, promised, addr, task, tokens: tokens.to_vec() }
    }

    /// Nanoseconds that its thread was on a processor.
    fn busy(&self) -> u64 {
        let stat = fs::read_to_string(&self.task).unwrap_or_default();
        stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("the kernel counts")
    }

    fn turn(&self, requests: usize) -> Turn {
        let before = self.busy();
        let mut latencies: Vec<Duration> = thread::scope(|scope| {
            let clients = (0..CONNECTIONS).map(|at| scope.spawn(move || self.client(at, requests / CONNECTIONS)));
            let clients: Vec<_> = clients.collect();
            clients.into_iter().flat_map(|client| client.join().expect("it does not panic")).collect()
        });
        let nanos = (self.busy() - before) as f64 / latencies.len() as f64;
        latencies.sort_unstable();
        Turn { nanos, p99: latencies[latencies.len() * 99 / 100] }
    }

    /// One connection that is kept, and the time of each request on it.
    fn client(&self, at: usize, requests: usize) -> Vec<Duration> {
        let mut stream = TcpStream::connect(self.addr).expect("it listens");
        stream.set_nodelay(true).expect("it is a socket");
        let mut answer = [0; 1024];
        let tokens = self.tokens.iter().cycle().skip(at * TOKENS / CONNECTIONS);
        let sent = tokens.take(requests).map(|token| {
            let request = format!(
                "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n\
                 Accept-Encoding: gzip, br\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            let start = Instant::now();
            stream.write_all(request.as_bytes()).expect("it is there");
            let mut filled = 0;
            while !answer[..filled].ends_with(b"\r\n\r\n") {
                filled += stream.read(&mut answer[filled..]).expect("it answers");
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..filled]));
            start.elapsed()
        });
        sent.collect()
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
