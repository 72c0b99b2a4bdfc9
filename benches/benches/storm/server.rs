//! The servers: this very binary, started again.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use argon2::{Argon2, PasswordVerifier};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use portcullis::{
    Auth, AuthUser, Profile, Registration, User, auth::ClientInfo, http::Delivery, store::memory::MemoryStore,
};
use portcullis_benches::{handwritten_peer::Peer, setup::builder};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    SERVER_CORE,
    clients::{EMAIL, PASSWORD, READER},
};

const KIND: &str = "PORTCULLIS_STORM_SERVER";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Unbounded,
    OnePermit,
}

impl Kind {
    /// The one with the most memory is last, for what it leaves behind.
    pub const ALL: [Self; 3] = [Self::Ours, Self::OnePermit, Self::Unbounded];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "portcullis",
            Self::OnePermit => "spawn_blocking, one permit",
            Self::Unbounded => "spawn_blocking",
        }
    }

    /// Whether this process was started to serve.
    pub fn of_this_process() -> Option<Self> {
        let name = std::env::var(KIND).ok()?;
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A server that ends with its owner.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    process: Child,
}

impl Server {
    /// Starts it, and waits until it serves.
    pub fn start(kind: Kind, pinned: bool) -> Self {
        let this = std::env::current_exe().expect("this is a binary");
        let mut command = if pinned {
            let mut command = Command::new("taskset");
            command.args(["-c", SERVER_CORE]).arg(this);
            command
        } else {
            Command::new(this)
        };
        let mut process =
            command.env(KIND, kind.name()).stdout(Stdio::piped()).spawn().expect("a process can be started");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it serves");
        Self { address: line.trim().parse().expect("an address"), process }
    }

    /// The most memory that it has had.
    pub fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
    }

    pub fn stop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Serves until the process is killed.
#[tokio::main]
pub async fn serve(kind: Kind) {
    let store = MemoryStore::new();
    // One user who logs in again and again is what the throttle is there to slow.
    let builder = builder(&store).no_throttle().token_delivery([Delivery::Body]);
    let auth = builder.build().expect("the settings are good");
    let client = ClientInfo::unknown();
    let registered = |email| auth.register(Registration::new(email, PASSWORD, Profile::default()), &client);
    let user = registered(EMAIL).await.expect("there is room");
    registered(READER).await.expect("there is room");
    let app = match kind {
        Kind::Ours => Router::new().route("/profile", get(ok)).route_layer(auth.require()).merge(auth.router()),
        Kind::Unbounded => by_hand(ByHand::new(auth, user, Semaphore::MAX_PERMITS)),
        Kind::OnePermit => by_hand(ByHand::new(auth, user, 1)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    // The parent may have ended without stopping this process.
    tokio::spawn(async {
        tokio::time::sleep(Duration::from_mins(5)).await;
        std::process::exit(1);
    });
    axum::serve(listener, app).await.expect("it serves");
}

async fn ok() -> &'static str {
    "ok"
}

/// What people write: the hash on a blocking thread, the token by `jsonwebtoken`.
#[derive(Clone)]
struct ByHand {
    peer: Peer,
    /// Makes the sessions and tokens, so that all servers do this alike.
    auth: Auth<User>,
    user: Arc<User>,
    permits: Arc<Semaphore>,
}

impl ByHand {
    fn new(auth: Auth<User>, user: User, permits: usize) -> Self {
        Self { peer: Peer::new(), auth, user: Arc::new(user), permits: Arc::new(Semaphore::new(permits)) }
    }
}

fn by_hand(state: ByHand) -> Router {
    Router::new().route("/profile", get(guarded)).route("/auth/login", post(login)).with_state(state)
}

async fn guarded(State(state): State<ByHand>, headers: HeaderMap) -> Response {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match token.map(|token| state.peer.decode(token)) {
        Some(Ok(_)) => ok().await.into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

async fn login(State(state): State<ByHand>, Json(credentials): Json<Credentials>) -> Response {
    let user = Arc::clone(&state.user);
    if ![EMAIL, READER].contains(&credentials.email.as_str()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let permit = Arc::clone(&state.permits).acquire_owned().await.expect("it is never closed");
    let verified = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let hash = user.password_hash().unwrap_or_default();
        Argon2::default().verify_password(credentials.password.as_bytes(), hash).is_ok()
    });
    if !verified.await.unwrap_or(false) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let tokens = state
        .auth
        .start_session(&state.user, &ClientInfo::unknown())
        .await
        .expect("there is room")
        .into_logged_in()
        .expect("nothing is missing")
        .tokens;
    let body = serde_json::json!({
        "access_token": tokens.access_token.expose(),
        "refresh_token": tokens.refresh_token.expose(),
    });
    Json(body).into_response()
}
