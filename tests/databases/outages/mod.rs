//! Tests a store under outages. A proxy breaks the connections, or the server fails. While the
//! outage lasts, every call of the stores and every endpoint is tried. Then the users and sessions
//! from before the outage are checked.
//!
//! ```ignore
//! let proxy = Proxy::start(server_port).await;
//! let store = /* connects to proxy.port(), with a timeout of about a second */;
//! let test = OutageTest::new("engine", Arc::new(store.clone()), Arc::new(store), Behind::BOTH);
//! for fault in Network::all(&proxy) {
//!     test.run(fault).await;
//! }
//! test.cut_at_every_flight(&proxy).await;
//! test.report();
//! ```
//!
//! A fault of the server itself (killed, stopped, disk full) is a [`Fault`] in the test of its
//! engine.

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

/// The stores that the fault affects. The other store always works.
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

/// What does not work during an outage.
#[allow(dead_code, reason = "each engine has its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Nothing works.
    Everything,
    /// Reads still work. For example, another process keeps the file locked for writing, or the
    /// disk is full.
    Writes,
}

/// A fault, which lasts from `begin` to `end`.
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

/// One line of the report: what was seen under a fault.
struct Line {
    fault: String,
    calls: usize,
    endpoints: usize,
    back_after: Duration,
}

/// An app over the stores of an engine, and the results so far.
pub(crate) struct OutageTest {
    engine: &'static str,
    users: Arc<dyn UserStore<User = User>>,
    sessions: Arc<dyn SessionStore>,
    behind: Behind,
    auth: Auth<User>,
    hash: PasswordHash,
    number: AtomicU32,
    table: Mutex<Vec<Line>>,
}

impl OutageTest {
    /// Makes an app over these stores. They must work now, and each of their calls must end within
    /// a few seconds in any case.
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

    /// Runs one fault. While it lasts, every call of the affected stores is unavailable, and every
    /// endpoint that needs them answers 503 and sets no cookie. Afterwards every request either
    /// happened or did not, and the same app works again.
    pub(crate) async fn run(&self, mut fault: impl Fault) {
        let name = format!("{}, {}", self.engine, fault.name());
        let prepared = self.prepared().await;
        fault.begin().await;
        let (calls, endpoints) = self.ask_everything(&name, &prepared, fault.outage()).await;
        fault.end().await;
        let ended = Instant::now();
        self.wait_until_back(&name).await;
        let back_after = ended.elapsed();
        self.nothing_is_half_done(&name, &prepared).await;
        self.table.lock().unwrap().push(Line { fault: fault.name(), calls, endpoints, back_after });
    }

    /// Prints the report.
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

    /// Returns another node over the same stores.
    fn other_node(&self) -> Auth<User> {
        node(&self.users, &self.sessions)
    }

    fn next_number(&self) -> u32 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits until the stores work again. The app is not restarted, so the stores have to find
    /// their servers.
    async fn wait_until_back(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let unknown = Login::email("unknown@example.com");
        let mut in_a_row = 0;
        // The stores must work several times in a row, because a pool may have a working connection
        // beside a broken one.
        while in_a_row < 3 {
            let now = SystemClock.now();
            let back =
                self.users.find_by_login(&unknown).await.is_ok() && self.sessions.ended_since(now, now).await.is_ok();
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
        // The grace is as long as possible, so that the client of a slow machine does not count as
        // a thief.
        .refresh_grace(Duration::from_secs(60))
        // The polls are as rare as possible, because the tests poll themselves.
        .revocation_poll(Duration::from_secs(60))
        .no_throttle()
        .build()
        .unwrap()
}
