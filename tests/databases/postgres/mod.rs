//! Tests the PostgreSQL store, with the server from the system's packages on its own port.

mod changes;
mod failover;
mod feed;
mod outages;
mod pooler;
mod round_trips;

use std::time::Duration;

use portcullis::{
    Profile,
    session::{RotateOutcome, Rotation},
    store::{SessionStore, conformance, sql::PostgresStore},
};
use sqlx::postgres::PgPoolOptions;

pub(crate) use crate::postgres_server::Server;
use crate::{required_servers::can_run, sqlite::ROLES};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_every_promise_under_every_isolation() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let fresh = async || server.store(isolation).await;
        let report = conformance::sessions(&fresh).await;
        assert!(report.broken().is_empty(), "{isolation}: {report}");
        let report = conformance::users(&fresh, Profile::default).await;
        assert!(report.broken().is_empty(), "{isolation}: {report}");
        let report = conformance::user_admin(&fresh, Profile::default, &ROLES).await;
        assert!(report.broken().is_empty(), "{isolation}: {report}");
    }
    nodes_may_migrate_at_once(&server).await;
    a_database_that_is_down_is_unavailable(server).await;
}

async fn nodes_may_migrate_at_once(server: &Server) {
    let store = PostgresStore::new(server.pool("read committed").await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move { store.migrate().await });
    }
    while let Some(migrated) = tasks.join_next().await {
        migrated.unwrap().unwrap();
    }
}

/// Stops the server while the store is in use.
async fn a_database_that_is_down_is_unavailable(server: Server) {
    let pool = server.pool("read committed").await;
    let options = pool.connect_options().as_ref().clone();
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect_with(options).await.unwrap();
    let store = PostgresStore::new(pool);
    store.migrate().await.unwrap();
    let now = portcullis::clock::Timestamp::from_secs(1_800_000_000);
    drop(server);
    let rotation = Rotation {
        user_id: "ada".into(),
        session_id: portcullis::session::SessionId::from_bytes([1; 16]),
        generation: 0,
        token_id: portcullis::session::TokenId::from_bytes([1; 16]),
        token_version: 0,
        next_token_id: portcullis::session::TokenId::from_bytes([2; 16]),
        now,
        grace: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        tombstone: Duration::from_secs(60),
    };
    let answer: Result<RotateOutcome, _> = store.rotate(&rotation).await;
    assert!(answer.unwrap_err().is_unavailable());
    assert!(store.ended_since(now, now).await.unwrap_err().is_unavailable());
}
