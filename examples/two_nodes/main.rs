//! Two nodes of one service: what ends on one has ended on the other.
//!
//! ```sh
//! cargo run --example two_nodes
//! ```
//!
//! The first listens on `ADDR`, the second on the port after it. They are two tasks of one process,
//! which is easy to start and to watch. Each node has its own keys, caches and revocations in
//! memory. They share the arguments of [`node`], as nodes on two machines do:
//! - the secrets, because each node verifies what the other one signed;
//! - the store. A service has `PostgresStore`, `MongoStore` or `RedisSessions` here;
//! - the feed, by which they learn of revocations at once: `PostgresStore::feed`, `MongoFeed` or
//!   `RedisFeed`. Without a feed they ask the store every 5 s.

#[path = "../support/axum_app.rs"]
mod axum_app;
#[path = "../support/mod.rs"]
mod support;

use std::{env, net::SocketAddr};

use portcullis::{
    Auth, AuthBuilder, User,
    store::memory::{MemoryFeed, MemoryStore},
};
use support::BoxError;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let (secrets, store, feed) = (Secrets::draw()?, MemoryStore::new(), MemoryFeed::new());
    let (one, other) = (node(&secrets, &store, &feed)?, node(&secrets, &store, &feed)?);
    support::seed_admin(&one, &store).await?;

    let listener = support::listen().await?;
    let mut addr = support::addr()?;
    // For port 0 the second node gets any free port too.
    if addr.port() != 0 {
        addr.set_port(addr.port().checked_add(1).ok_or("there is no port after ADDR's")?);
    }
    let next = support::listen_on(addr).await?;
    tokio::try_join!(serve(listener, one, store.clone()), serve(next, other, store))?;
    Ok(())
}

/// Builds one node, as each machine would.
fn node(secrets: &Secrets, store: &MemoryStore, feed: &MemoryFeed) -> Result<Auth<User>, BoxError> {
    let mut builder = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?;
    if !is_set("ACCESS_TOKEN_SECRET") && !is_set("ACCESS_TOKEN_KEY_FILE") {
        builder = builder.access_secret(secrets.access.as_slice());
    }
    if !is_set("REFRESH_TOKEN_SECRET") {
        builder = builder.refresh_secret(secrets.refresh.as_slice());
    }
    Ok(builder.revocation_feed(feed.clone()).build()?)
}

async fn serve(listener: TcpListener, auth: Auth<User>, store: MemoryStore) -> Result<(), BoxError> {
    let app = axum_app::router(auth, store).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

/// Returns secrets for those that the environment does not name, generated once for both nodes.
struct Secrets {
    access: [u8; 32],
    refresh: [u8; 32],
}

impl Secrets {
    fn draw() -> Result<Self, BoxError> {
        let mut secrets = Self { access: [0; 32], refresh: [0; 32] };
        getrandom::fill(&mut secrets.access)?;
        getrandom::fill(&mut secrets.refresh)?;
        Ok(secrets)
    }
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}
