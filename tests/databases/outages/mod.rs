//! The ground on which stores meet outages: a proxy that breaks connections, a cast of users and sessions, everything that
//! can be asked of stores and endpoints while the outage lasts, and what must be true when it is over.
//!
//! ```ignore
//! let proxy = Proxy::start(server_port).await;
//! let store = /* connects to proxy.port(), with a timeout of about a second */;
//! let ground = Ground::new("engine", Arc::new(store.clone()), Arc::new(store), Behind::BOTH);
//! for fault in Network::all(&proxy) {
//!     ground.endure(fault).await;
//! }
//! ground.cut_at_every_flight(&proxy).await;
//! ground.report();
//! ```
//!
//! A fault of the server itself (killed, stopped, its disk full) is a [`Fault`] that the engine's own test writes.

mod cut_connections;
mod fixture;
mod outage_calls;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use portcullis::{
    Auth, Profile, User,
    auth::ClientInfo,
    clock::{Clock, SystemClock},
    store::{SessionStore, UserStore},
    user::{Login, PasswordHash},
};

use crate::proxy::{Mode, Proxy};

pub(crate) const PASSWORD: &str = "open sesame 42";
pub(crate) const NEW_PASSWORD: &str = "close sesame 43";

/// Which stores are behind the fault; the other one is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) users: bool,
    pub(crate) sessions: bool,
}

#[allow(dead_code, reason = "each engine has its own")]
impl Behind {
    pub(crate) const BOTH: Self = Self { users: true, sessions: true };
    pub(crate) const SESSIONS: Self = Self { users: false, sessions: true };
    pub(crate) const USERS: Self = Self { users: true, sessions: false };
}

/// What an outage leaves working.
#[allow(dead_code, reason = "each engine has its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Nothing works.
    Everything,
    /// Reads still work: a file that another process keeps locked for writing, a full disk.
    Writes,
}

/// Something that can go wrong for as long as it lasts.
#[async_trait]
pub(crate) trait Fault: Send {
    fn name(&self) -> String;

    fn outage(&self) -> Outage {
        Outage::Everything
    }

    async fn begin(&mut self);

    async fn end(&mut self);
}

/// A fault of the connection.
pub(crate) struct Network<'a>(&'a Proxy, Mode);

impl<'a> Network<'a> {
    pub(crate) fn all(proxy: &'a Proxy) -> [Self; 2] {
        [Self(proxy, Mode::Refuse), Self(proxy, Mode::Hang)]
    }
}

#[async_trait]
impl Fault for Network<'_> {
    fn name(&self) -> String {
        if self.1 == Mode::Hang { "no answer any more" } else { "connections cut and refused" }.to_owned()
    }

    async fn begin(&mut self) {
        self.0.set(self.1);
    }

    async fn end(&mut self) {
        self.0.set(Mode::Pass);
    }
}

/// One line of the table: what was seen under a fault.
struct Line {
    fault: String,
    calls: usize,
    endpoints: usize,
    back_after: Duration,
}

/// An app over the stores of an engine.
pub(crate) struct Ground {
    engine: &'static str,
    users: Arc<dyn UserStore<User = User>>,
    sessions: Arc<dyn SessionStore>,
    behind: Behind,
    auth: Auth<User>,
    hash: PasswordHash,
    number: AtomicU32,
    table: Mutex<Vec<Line>>,
}

impl Ground {
    /// The stores must answer now, and each of their calls within a few seconds, come what may.
    pub(crate) async fn new(
        engine: &'static str,
        users: Arc<dyn UserStore<User = User>>,
        sessions: Arc<dyn SessionStore>,
        behind: Behind,
    ) -> Self {
        let auth = node(&users, &sessions);
        let registration = portcullis::Registration::new("first@example.com", PASSWORD, Profile::default());
        let first = auth.register(registration, &ClientInfo::unknown()).await.unwrap();
        let hash = PasswordHash::new(first.password_hash.unwrap());
        let (number, table) = (AtomicU32::new(0), Mutex::default());
        Self { engine, users, sessions, behind, auth, hash, number, table }
    }

    /// Lets a fault come and go. While it lasts every call that needs the stores is unavailable, every such endpoint answers
    /// 503 and touches no cookie. Afterwards nothing is half done, and the same app goes on.
    pub(crate) async fn endure(&self, mut fault: impl Fault) {
        let name = format!("{}, {}", self.engine, fault.name());
        let cast = self.cast().await;
        fault.begin().await;
        let (calls, endpoints) = self.ask_everything(&name, &cast, fault.outage()).await;
        fault.end().await;
        let ended = Instant::now();
        self.wait_until_back(&name).await;
        let back_after = ended.elapsed();
        self.nothing_is_half_done(&name, &cast).await;
        self.table.lock().unwrap().push(Line { fault: fault.name(), calls, endpoints, back_after });
    }

    /// Prints the table.
    #[allow(clippy::print_stdout, reason = "it is what the test shows")]
    pub(crate) fn report(&self) {
        println!("| store | fault | store calls | what the client saw | back after |\n|---|---|---|---|---|");
        for Line { fault, calls, endpoints, back_after } in self.table.lock().unwrap().iter() {
            println!(
                "| {} | {fault} | {calls} unavailable | {endpoints} endpoints: 503, `Retry-After`, no cookie touched | {} ms |",
                self.engine,
                back_after.as_millis()
            );
        }
    }

    /// Another node over the same stores.
    fn other_node(&self) -> Auth<User> {
        node(&self.users, &self.sessions)
    }

    fn next_number(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// The app is not started anew; its stores have to find their servers again.
    async fn wait_until_back(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let nobody = Login::email("nobody@example.com");
        let mut in_a_row = 0;
        // More than once, because a pool may have kept a connection that is good beside one that is not.
        while in_a_row < 3 {
            let now = SystemClock.now();
            let back =
                self.users.find_by_login(&nobody).await.is_ok() && self.sessions.ended_since(now, now).await.is_ok();
            in_a_row = if back { in_a_row + 1 } else { 0 };
            assert!(Instant::now() < deadline, "{name}: the stores do not come back");
            if !back {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

fn node(users: &Arc<dyn UserStore<User = User>>, sessions: &Arc<dyn SessionStore>) -> Auth<User> {
    crate::auth::builder(Arc::clone(users), Arc::clone(sessions))
        // As long as it may be, so that a slow machine is not taken for a thief.
        .refresh_grace(Duration::from_secs(60))
        // As seldom as may be: the tests ask for polls themselves.
        .revocation_poll(Duration::from_secs(60))
        .no_throttle()
        .build()
        .unwrap()
}
