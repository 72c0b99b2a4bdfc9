//! Tests the Redis store, with the server from the system's package.

mod example_app;
mod feed;
mod outages;
mod round_trips;
pub(crate) mod samples;
mod scripts_match_memory;
mod server;
mod settings;

use portcullis::store::conformance;

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
