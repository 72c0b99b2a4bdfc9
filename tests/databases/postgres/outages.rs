//! PostgreSQL goes away in every way that it can.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use portcullis::store::sql::PostgresStore;
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::Server;
use crate::faults::{Behind, Fault, Ground, Network, Proxy};

/// The process is killed, and started anew over what it had written.
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

/// Every process of the server stands still, with its sockets open.
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
        // What had reached it is done now, though nobody waits for it any more.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The timeout of the store: short, because the tests wait for it.
const TIMEOUT: Duration = Duration::from_secs(2);

async fn store(url: &str) -> PostgresStore {
    let pool: PgPool = PgPoolOptions::new().max_connections(16).connect(url).await.unwrap();
    let store = PostgresStore::new(pool).with_timeout(TIMEOUT);
    store.migrate().await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_postgres_is_a_503_and_leaves_nothing_half_done() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port).await;
    let store = store(&server.url_through(proxy.port(), &server.database().await)).await;
    let ground = Ground::new("PostgreSQL", Arc::new(store.clone()), Arc::new(store), Behind::BOTH).await;
    for fault in Network::all(&proxy) {
        ground.endure(fault).await;
    }
    ground.endure(Killed(&server)).await;
    ground.endure(Stopped(&server)).await;
    ground.cut_at_every_flight(&proxy).await;
    ground.report();
}
