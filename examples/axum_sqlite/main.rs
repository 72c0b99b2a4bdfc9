//! The same service with users and sessions in a SQLite file. With `ACCESS_TOKEN_SECRET` and
//! `REFRESH_TOKEN_SECRET` set, a restart ends no session.
//!
//! ```sh
//! cargo run --example axum_sqlite --features sqlx_0_9_sqlite
//! ```

#[path = "../support/axum_app.rs"]
mod axum_app;
#[path = "../support/mod.rs"]
mod support;

use std::{env, net::SocketAddr};

use portcullis::{AuthBuilder, store::sql::SqliteStore};
use support::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    // A path, or a URL such as `sqlite://app.db?mode=rwc`.
    let url = env::var("DATABASE_URL").unwrap_or_else(|_| "portcullis.db".to_owned());
    let store = SqliteStore::connect(&url).await?;
    let auth = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?.build()?;
    support::seed_admin(&auth, &store).await?;

    let listener = support::listen().await?;
    let app = axum_app::router(auth, store).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
