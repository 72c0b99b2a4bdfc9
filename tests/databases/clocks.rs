//! Tests nodes whose clocks differ from the clock of the server that stores their sessions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use portcullis::{
    Auth, ErrorKind, Profile, Registration, User,
    auth::ClientInfo,
    clock::{Clock, SystemClock, Timestamp},
    store::{SessionStore, memory::MemoryUsers},
};

use crate::login::session_of;
use crate::{mongodb, postgres, redis, required_servers::can_run};

/// Imitates the system clock of another machine.
#[derive(Clone, Default)]
struct Machine(Arc<AtomicI64>);

impl Machine {
    fn differing_by(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    /// Advances the clock by `millis` milliseconds.
    fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis() + self.0.load(Ordering::SeqCst))
    }
}

fn node(users: &MemoryUsers, sessions: &Arc<dyn SessionStore>, clock: &Machine) -> Auth<User> {
    redis::samples::builder(users.clone(), Arc::clone(sessions)).clock(clock.clone()).build().unwrap()
}

/// Tests that two nodes with different clocks agree. Each store is a connection of its own to one
/// database, as nodes have it.
async fn nodes_with_different_clocks_agree(stores: [Arc<dyn SessionStore>; 2]) {
    let users = MemoryUsers::default();
    for (case, (seconds, other)) in [(0, 24), (24, 0), (0, 59), (59, 0), (-29, 30)].into_iter().enumerate() {
        let clocks = [seconds, other].map(|seconds| Machine::differing_by(seconds * 1000));
        let nodes = [0, 1].map(|n: usize| node(&users, &stores[n], &clocks[n]));
        let registration = Registration::new(format!("ada{case}@example.com"), "open sesame 42", Profile::default());
        let ada = nodes[0].register(registration, &ClientInfo::unknown()).await.unwrap();
        // Two browser tabs refresh at the same time.
        let pair = session_of(&nodes[0], &ada).await;
        let refresh = async |n: usize| nodes[n].refresh(pair.refresh_token.expose(), &ClientInfo::unknown()).await;
        let won = refresh(0).await.unwrap();
        let second = refresh(1).await.unwrap_or_else(|error| panic!("{seconds} and {other}: {error:?}"));
        assert_eq!(won.tokens.session_id, second.tokens.session_id);
        // The grace is 10 s on both nodes.
        for n in [1, 0] {
            let pair = session_of(&nodes[n], &ada).await;
            nodes[n].refresh(pair.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
            for clock in &clocks {
                clock.advance(11_000);
            }
            let late = nodes[1 - n]
                .refresh(pair.refresh_token.expose(), &ClientInfo::unknown())
                .await
                .map(|_| ())
                .unwrap_err();
            assert_eq!(late.kind(), ErrorKind::RefreshReused, "{seconds} and {other}, {n} first");
        }
    }
}

/// Tests that a node with the system clock uses the server's clock, which is the same here.
async fn the_server_clock_is_returned(store: &dyn SessionStore) {
    let before = SystemClock.now();
    let returned = store.clock().await.unwrap().unwrap();
    let within = Duration::from_millis(5);
    assert!(before.since(returned) <= within && returned.since(SystemClock.now()) <= within, "{returned}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_different_clocks_agree_over_redis() {
    if redis::Server::can_run() {
        let server = redis::Server::start().await;
        let store = async || Arc::new(server.store_like("clocks").await);
        the_server_clock_is_returned(&*store().await).await;
        nodes_with_different_clocks_agree([store().await, store().await]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_different_clocks_agree_over_postgres() {
    if can_run("PostgreSQL", postgres::Server::is_installed()) {
        let server = postgres::Server::start().await;
        let url = server.url(&server.database().await);
        let store = async || Arc::new(portcullis::store::sql::PostgresStore::connect(&url).await.unwrap());
        the_server_clock_is_returned(&*store().await).await;
        nodes_with_different_clocks_agree([store().await, store().await]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_different_clocks_agree_over_mongodb() {
    if mongodb::server::Server::can_run() {
        let server = mongodb::server::Server::start().await;
        let database = server.database().await;
        let sessions =
            || portcullis::store::mongodb::MongoSessions::new(&database).with_timeout(Duration::from_secs(30));
        sessions().migrate().await.unwrap();
        the_server_clock_is_returned(&sessions()).await;
        nodes_with_different_clocks_agree([Arc::new(sessions()), Arc::new(sessions())]).await;
    }
}
