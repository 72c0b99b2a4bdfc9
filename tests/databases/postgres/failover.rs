//! Tests a failover, after which connections of the pool still lead to the old primary.

use portcullis::{
    ErrorKind, Profile, Registration,
    auth::ClientInfo,
    store::{SessionStore, UserStore, sql::PostgresStore},
};
use sqlx::postgres::PgPoolOptions;

use super::Server;
use crate::proxy::Proxy;
use crate::redis::samples::{NOW, at, builder, ended, id, new, rotation, session};
use crate::required_servers::can_run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_the_next_call_reaches_the_primary() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let primary = Server::start().await;
    let database = primary.database().await;
    PostgresStore::connect(&primary.url(&database)).await.unwrap();
    let standby = primary.standby().await;
    let proxy = Proxy::start(standby.port).await;
    let url = primary.url_through(proxy.port(), &database);
    let user = "ada".into();
    for write in 0..6 {
        // The pool has connections to the standby, as behind a router after a failover.
        proxy.lead_to(standby.port);
        let pool = PgPoolOptions::new().max_connections(5).connect(&url).await.unwrap();
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(pool.acquire().await.unwrap());
        }
        drop(held);
        while pool.num_idle() < 5 {
            tokio::task::yield_now().await;
        }
        proxy.lead_to(primary.port);
        let store = PostgresStore::new(pool);
        let id = id(write);
        let once = async || match write {
            0 => SessionStore::create(&store, new(session(&user, id, NOW))).await.map(drop),
            1 => store.end(&user, &id, ended(portcullis::session::EndReason::Logout, at(1))).await.map(drop),
            2 => store.rotate(&rotation(&user, id, at(1))).await.map(drop),
            3 => store.bump_token_version(&"1".into()).await.map(drop),
            4 => store.sweep(NOW).await,
            _ => UserStore::create(&store, crate::sql_rules::new_user()).await.map(drop),
        };
        let error = once().await.unwrap_err();
        assert!(error.is_unavailable(), "write {write}: {error:?}");
        once().await.unwrap_or_else(|error| panic!("write {write} again: {error:?}"));
    }
}

/// Checks what a client sees of the failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_at_a_standby_is_a_503_and_not_a_500() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let primary = Server::start().await;
    let database = primary.database().await;
    let store = PostgresStore::connect(&primary.url(&database)).await.unwrap();
    let auth = builder(store.clone(), store).build().unwrap();
    let ada = auth
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let standby = primary.standby().await;
    // The store can connect, because the tables exist. Reads are answered, and writes wait for the
    // primary.
    let store = PostgresStore::connect(&standby.url(&database)).await.unwrap();
    let auth = builder(store.clone(), store).build().unwrap();
    for _ in 0..3 {
        let error = auth.start_session(&ada, &ClientInfo::unknown()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error:?}");
    }
}
