//! Tests every way in which PostgreSQL can fail.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use portcullis::{Profile, Registration, auth::ClientInfo, store::sql::PostgresStore};
use sqlx::PgPool;

use super::Server;
use crate::outages::{Behind, Fault, Network, OutageTest};
use crate::proxy::Proxy;
use crate::redis::samples::builder;
use crate::required_servers::can_run;

/// Kills the process, and starts it again over what it had written.
struct Killed<'a>(&'a Server);

#[async_trait]
impl Fault for Killed<'_> {
    fn name(&self) -> String {
        "server killed (SIGKILL)".to_owned()
    }

    async fn begin(&mut self) {
        self.0.kill();
    }

    async fn end(&mut self) {
        self.0.launch();
    }
}

/// Stops every process of the server, with its sockets open.
struct Stopped<'a>(&'a Server);

#[async_trait]
impl Fault for Stopped<'_> {
    fn name(&self) -> String {
        "server stands still (SIGSTOP)".to_owned()
    }

    async fn begin(&mut self) {
        self.0.signal("-STOP");
    }

    async fn end(&mut self) {
        self.0.signal("-CONT");
        // The server now does what it had received, though no client waits for it any more.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The timeout of the store. It is short, because the tests wait for it.
const TIMEOUT: Duration = Duration::from_secs(2);

async fn store(url: &str) -> PostgresStore {
    PostgresStore::connect(url).await.unwrap().with_timeout(TIMEOUT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_postgres_is_a_503_and_leaves_nothing_half_done() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let proxy = Proxy::start(server.port).await;
    let store = store(&server.url_through(proxy.port(), &server.database().await)).await;
    let test = OutageTest::new("PostgreSQL", Arc::new(store.clone()), Arc::new(store), Behind::BOTH).await;
    for fault in Network::all(&proxy) {
        test.run(fault).await;
    }
    test.run(Killed(&server)).await;
    test.run(Stopped(&server)).await;
    test.cut_at_every_flight(&proxy).await;
    test.report();
}

/// A restart of a pooler, or an operator's `pg_terminate_backend`, ends the connections. New ones
/// can be opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_connections_lose_no_session() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let proxy = Proxy::start(server.port).await;
    let database = server.database().await;
    let store = store(&server.url_through(proxy.port(), &database)).await;
    let test = OutageTest::new("PostgreSQL", Arc::new(store.clone()), Arc::new(store), Behind::BOTH).await;
    let admin = PgPool::connect(&server.url("postgres")).await.unwrap();
    let terminate = async || {
        let all = sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1");
        all.bind(&database).execute(&admin).await.unwrap();
    };
    for _ in 0..5 {
        test.goes_on_after("connections cut", async || proxy.cut()).await;
        test.goes_on_after("backends terminated", terminate).await;
    }
}

/// A client may disconnect while its request waits for the lock of a user, and its BEGIN has been
/// sent. What the next owner of the connection writes must not be part of that transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_disconnect_leave_no_transaction_open() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let store = store(&server.url(&database)).await;
    store.migrate().await.unwrap();
    let auth = builder(store.clone(), store).build().unwrap();
    let user = auth
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    for patience in (0..120_u64).map(|step| Duration::from_micros(100 * step)) {
        let logins = (0..3).map(|_| {
            let (auth, user) = (auth.clone(), user.clone());
            tokio::spawn(async move {
                let client = ClientInfo::unknown();
                let login = auth.start_session(&user, &client);
                tokio::time::timeout(patience, login).await.is_ok()
            })
        });
        for login in logins.collect::<Vec<_>>() {
            login.await.unwrap();
        }
    }
    let admin = PgPool::connect(&server.url("postgres")).await.unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND state LIKE 'idle in transaction%'";
    let deadline = Instant::now() + TIMEOUT / 2;
    loop {
        let open: i64 = sqlx::query_scalar(open).bind(&database).fetch_one(&admin).await.unwrap();
        if open == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{open} transactions are open without an owner");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(auth.start_session(&user, &ClientInfo::unknown()).await.is_ok());
}
