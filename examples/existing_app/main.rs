//! An app that exists already: its own user struct and its own table, with the sessions beside it.
//!
//! ```sh
//! cargo run --example existing_app --features sqlx_0_9_sqlite
//! ```
//!
//! `store.rs` is all that the table needs to take part. `admin.rs` is for the app's admin pages.
//! `members.rs` is the app as it was before.

mod admin;
#[path = "../support/axum_app.rs"]
mod axum_app;
mod members;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::{env, net::SocketAddr};

use portcullis::{AuthBuilder, store::sql::SqliteStore};
use support::BoxError;

use self::members::Members;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let members = Members::open(&env::var("DATABASE_URL").unwrap_or_else(|_| "members.db".to_owned())).await?;
    let sessions = SqliteStore::new(members.pool().clone());
    sessions.migrate().await?;
    let auth = AuthBuilder::from_env_or_ephemeral(members.clone(), sessions)?.build()?;
    support::seed_admin(&auth, &members).await?;

    let listener = support::listen().await?;
    let app = axum_app::router(auth, members).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
