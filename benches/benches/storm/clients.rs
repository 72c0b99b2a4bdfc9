//! The clients: connections that are kept, and requests that do not wait for each other.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::{JoinSet, LocalSet, spawn_local},
};

pub const EMAIL: &str = "ada@example.com";
/// The user of the guarded requests. The other one soon has more sessions than one user may have.
pub const READER: &str = "bob@example.com";
pub const PASSWORD: &str = "correct horse battery staple";

/// Clients that log in again and again.
const CLIENTS: usize = 16;
/// Between two guarded requests.
const INTERVAL: Duration = Duration::from_millis(5);

/// How late tokio's timer may be.
const TIMER: Duration = Duration::from_millis(2);

/// What was measured of one server.
#[derive(Debug)]
pub struct Measured {
    pub idle: Latencies,
    pub storm: Latencies,
    pub logins_per_second: f64,
}

/// How long requests took, in order.
#[derive(Debug)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index is small and not negative")]
    pub fn at(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// The clients of one server.
#[derive(Debug)]
pub struct Load {
    address: SocketAddr,
}

impl Load {
    pub fn of(address: &SocketAddr) -> Self {
        Self { address: *address }
    }

    /// Guarded requests alone for `idle`, then with the storm for `storm`.
    pub async fn run(self, idle: Duration, storm: Duration) -> Measured {
        LocalSet::new()
            .run_until(async move {
                let token = token(self.address).await;
                // The first requests of a server load and allocate what later ones find.
                guarded(self.address, &token, idle / 3).await;
                let idle = guarded(self.address, &token, idle).await;
                let logins = Rc::new(RefCell::new(0_u32));
                let clients: Vec<_> = (0..CLIENTS)
                    .map(|_| spawn_local(log_in_again_and_again(self.address, Rc::clone(&logins))))
                    .collect();
                // Until every client has had its first turn.
                tokio::time::sleep(storm / 8).await;
                let (before, start) = (*logins.borrow(), Instant::now());
                let storm = guarded(self.address, &token, storm).await;
                let made = f64::from(*logins.borrow() - before);
                let logins_per_second = made / start.elapsed().as_secs_f64();
                clients.iter().for_each(tokio::task::JoinHandle::abort);
                Measured { idle, storm, logins_per_second }
            })
            .await
    }
}

/// Logs in this many times at once. Returns how many were answered 503.
pub async fn at_once(address: &SocketAddr, logins: usize) -> usize {
    let address = *address;
    let one = move || async move {
        let mut connection = Connection::open(address).await;
        connection.log_in(EMAIL).await.status()
    };
    let mut clients = JoinSet::new();
    let set = LocalSet::new();
    for _ in 0..logins {
        clients.spawn_local_on(one(), &set);
    }
    let statuses = set.run_until(clients.join_all()).await;
    for status in &statuses {
        assert!(matches!(*status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE), "a login was answered {status}");
    }
    statuses.into_iter().filter(|status| *status == StatusCode::SERVICE_UNAVAILABLE).count()
}

async fn token(address: SocketAddr) -> String {
    let answer = Connection::open(address).await.log_in(READER).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).expect("it is JSON");
    body["access_token"].as_str().expect("it has a token").to_owned()
}

async fn log_in_again_and_again(address: SocketAddr, logins: Rc<RefCell<u32>>) {
    let mut connection = Connection::open(address).await;
    loop {
        assert_eq!(connection.log_in(EMAIL).await.status(), StatusCode::OK);
        *logins.borrow_mut() += 1;
    }
}

/// A guarded request every five milliseconds, whether or not those before have been answered. Each
/// counts from when it was due.
async fn guarded(address: SocketAddr, token: &str, during: Duration) -> Latencies {
    let idle: Rc<RefCell<Vec<Connection>>> = Rc::default();
    let took = Rc::new(RefCell::new(Vec::new()));
    let (start, mut due) = (Instant::now(), Instant::now());
    let mut requests = JoinSet::new();
    while start.elapsed() < during {
        // The timer is as coarse as what is measured: it ends early, and the rest is waited out.
        tokio::time::sleep(due.saturating_duration_since(Instant::now()).saturating_sub(TIMER)).await;
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        let (idle, took, token) = (Rc::clone(&idle), Rc::clone(&took), format!("Bearer {token}"));
        requests.spawn_local(async move {
            let free = idle.borrow_mut().pop();
            let mut connection = match free {
                Some(connection) => connection,
                None => Connection::open(address).await,
            };
            let request = Request::get("/profile").header(header::AUTHORIZATION, token);
            let answer = connection.send(request, Bytes::new()).await;
            took.borrow_mut().push(due.elapsed());
            assert_eq!(answer.status(), StatusCode::OK);
            idle.borrow_mut().push(connection);
        });
        due += INTERVAL;
    }
    requests.join_all().await;
    let mut took = took.take();
    took.sort();
    Latencies(took)
}

/// A connection that takes one request after the other.
struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("it is a socket");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
        spawn_local(connection);
        Self(sender)
    }

    async fn log_in(&mut self, email: &str) -> Response<Bytes> {
        let body = serde_json::json!({ "email": email, "password": PASSWORD }).to_string();
        let request = Request::post("/auth/login").header(header::CONTENT_TYPE, "application/json");
        self.send(request, body.into()).await
    }

    async fn send(&mut self, request: http::request::Builder, body: Bytes) -> Response<Bytes> {
        let request = request.header(header::HOST, "localhost").body(Full::new(body)).expect("it is a request");
        self.0.ready().await.expect("the connection is kept");
        let (parts, body) = self.0.send_request(request).await.expect("it is answered").into_parts();
        Response::from_parts(parts, body.collect().await.expect("it has a body").to_bytes())
    }
}
