//! The same service for several machines: users in PostgreSQL, sessions in Redis, and revocations
//! that reach every node at once. Guesses at passwords are counted in Redis as well.
//!
//! On Debian or Ubuntu, as root, once:
//!
//! ```sh
//! apt-get install postgresql redis-server
//! service postgresql start
//! service redis-server start
//! redis-cli config set appendonly yes && redis-cli config rewrite
//! su postgres -c "psql -c \"CREATE ROLE portcullis LOGIN PASSWORD 'portcullis'\" -c 'CREATE DATABASE portcullis OWNER portcullis'"
//! ```
//!
//! ```sh
//! export DATABASE_URL=postgres://portcullis:portcullis@127.0.0.1/portcullis REDIS_URL=redis://127.0.0.1/
//! cargo run --example axum_postgres_redis --features sqlx_0_9_postgres,redis_1
//! ```
//!
//! Those two are the defaults. Several nodes share sessions when they share `ACCESS_TOKEN_SECRET`
//! and `REFRESH_TOKEN_SECRET`.

#[path = "../support/axum_app.rs"]
mod axum_app;
#[path = "../support/mod.rs"]
mod support;

use std::{env, error::Error, net::SocketAddr};

use portcullis::{
    AuthBuilder,
    store::{StoreError, redis::RedisSessions, sql::PostgresStore},
    throttle::RedisThrottle,
};
use support::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let users = users().await?;
    let sessions = sessions().await?;
    let feed = sessions.feed();
    // Guesses are counted for all nodes together.
    let throttle = RedisThrottle::new(&sessions);
    let auth = AuthBuilder::from_env_or_ephemeral(users.clone(), sessions)?;
    let auth = auth.revocation_feed(feed).throttle(throttle).build()?;
    support::seed_admin(&auth, &users).await?;

    let listener = support::listen().await?;
    let app = axum_app::router(auth, users).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

/// Connects to PostgreSQL. An app that cannot reach its users does not start.
async fn users() -> Result<PostgresStore, BoxError> {
    let url =
        env::var("DATABASE_URL").unwrap_or_else(|_| "postgres://portcullis:portcullis@127.0.0.1/portcullis".to_owned());
    let users = PostgresStore::connect(&url).await;
    Ok(users.map_err(|error| format!("DATABASE_URL: PostgreSQL cannot be used: {}", cause(&error)))?)
}

async fn sessions() -> Result<RedisSessions, BoxError> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let sessions = RedisSessions::connect(url).await;
    Ok(sessions.map_err(|error| format!("REDIS_URL: Redis cannot be used: {}", cause(&error)))?)
}

/// Says what is wrong to the operator. Clients never see it.
fn cause(error: &StoreError) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
