//! Tests the Redis store, with the server from the system's package.

mod example_app;
mod feed;
mod outages;
mod round_trips;
pub(crate) mod samples;
mod scripts_match_memory;
mod server;
mod settings;
mod throttle;

use portcullis::{
    session::EndReason,
    store::{SessionStore, conformance},
};

pub(crate) use self::server::{Server, url_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_every_promise() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    conformance::sessions(async || server.store().await).await.assert_kept();
}

/// A server of a cluster refuses a script whose keys are in different slots. One server with all
/// slots works alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_every_promise_in_a_cluster() {
    if !Server::can_run() {
        return;
    }
    let server = Server::with(&["--appendonly", "yes", "--cluster-enabled", "yes"]).await;
    server.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    while !server.ask::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    conformance::sessions(async || server.store().await).await.assert_kept();
}

/// A member of a later release, or of another program, hides no other revocation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_cannot_be_read_is_left_out() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let store = server.store_like("app").await;
    let user = "ada".into();
    SessionStore::create(&store, samples::new(samples::session(&user, samples::id(1), samples::NOW))).await.unwrap();
    store.end(&user, &samples::id(1), samples::ended(EndReason::Logout, samples::NOW)).await.unwrap();
    for bucket in 0..64 {
        let key = format!("{{app:{bucket}}}:endings");
        server.ask::<()>(&["ZADD", &key, "1800000000000", "z of a later release"]).await;
    }
    let listed = store.ended_since(samples::NOW, samples::NOW).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
}
