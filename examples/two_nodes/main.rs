//! Two nodes of one service: what ends on one has ended on the other.
//!
//! ```sh
//! cargo run --example two_nodes
//! ```
//!
//! The first listens on `ADDR`, the second on the port after it. That they are two tasks of one process makes them easy to
//! start and to watch, and no less two nodes: each has keys, caches and a memory of what has ended of its own. They share
//! what nodes on two machines share, which is all that [`node`] is given:
//! - the secrets, because each verifies what the other signed;
//! - the store, in the place of which a service has `PostgresStore`, `MongoStore` or `RedisSessions`;
//! - the feed, by which they hear of endings at once: `PostgresStore::feed`, `MongoFeed` or `RedisFeed`. Without one they ask
//!   the store every five seconds.

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
    // Any free port is as good as the one after it.
    if addr.port() != 0 {
        addr.set_port(addr.port().checked_add(1).ok_or("there is no port after ADDR's")?);
    }
    let next = support::listen_on(addr).await?;
    tokio::try_join!(serve(listener, one, store.clone()), serve(next, other, store))?;
    Ok(())
}

/// One node, as each machine would start it.
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

/// What stands in for secrets that the environment does not name, drawn once for both.
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
