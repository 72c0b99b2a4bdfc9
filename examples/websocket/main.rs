//! A chat over WebSocket, whose connections end with their sessions.
//!
//! ```sh
//! cargo run --example websocket
//! ```
//!
//! Log in at <http://localhost:3000> and open <http://localhost:3000/chat>. `chat.rs` is all that the chat needs.

#[path = "../support/axum_app.rs"]
mod axum_app;
mod chat;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;

use portcullis::{AuthBuilder, store::memory::MemoryStore};
use support::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let listener = support::listen().await?;
    // For plain HTTP alone: Chromium says in a handshake which origin it comes from, and not that it is ours, which the guard
    // then believes of https only, or where it is told.
    let here = format!("http://localhost:{}", listener.local_addr()?.port());

    let store = MemoryStore::new();
    let auth = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?.trusted_origin(here).build()?;
    support::seed_admin(&auth, &store).await?;

    let app = axum_app::router(auth.clone(), store).merge(chat::router(auth));
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}
