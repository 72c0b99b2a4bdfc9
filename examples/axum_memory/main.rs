//! A whole authentication service on axum, with users and sessions in memory.
//!
//! ```sh
//! cargo run --example axum_memory
//! ```

#[path = "../support/axum_app.rs"]
mod axum_app;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;

use portcullis::{AuthBuilder, store::memory::MemoryStore};
use support::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let store = MemoryStore::new();
    let auth = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?.build()?;
    support::seed_admin(&auth, &store).await?;

    let listener = support::listen().await?;
    let app = axum_app::router(auth, store).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
