//! An app that exists already: its own user struct and its own table, with the sessions beside it.
//!
//! ```sh
//! cargo run --example existing_app --features sqlx_0_9_sqlite
//! ```
//!
//! `store.rs` is all that the table needs to take part; `members.rs` is the app as it was before.

#[path = "../support/axum_app.rs"]
mod axum_app;
mod members;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::{env, net::SocketAddr};

use async_trait::async_trait;
use portcullis::{
    AuthBuilder,
    store::{
        StoreError,
        sql::{SqliteStore, store_error},
    },
    user::UserId,
};
use support::{Administer, BoxError};

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

#[async_trait]
impl Administer for Members {
    async fn make_admin(&self, id: &UserId) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE members SET is_staff = 1 WHERE member_id = $1").bind(id.to_key::<i64>());
        update.execute(self.pool()).await.map(drop).map_err(store_error)
    }

    async fn disable(&self, id: &UserId) -> Result<bool, StoreError> {
        let update = sqlx::query("UPDATE members SET banned = 1 WHERE member_id = $1").bind(id.to_key::<i64>());
        Ok(update.execute(self.pool()).await.map_err(store_error)?.rows_affected() > 0)
    }
}
