//! A chat over WebSocket, whose connections end with their sessions.
//!
//! ```sh
//! cargo run --example websocket
//! ```
//!
//! Log in at <http://localhost:3000> and open <http://localhost:3000/chat>. The whole chat is in
//! `chat.rs`.

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
    // For plain HTTP only. In a handshake Chromium sends `Origin` without `Sec-Fetch-Site`. The
    // guard accepts the service's own origin by itself over https only, so the http origin has to
    // be listed.
    let here = format!("http://localhost:{}", listener.local_addr()?.port());

    let store = MemoryStore::new();
    let auth = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?.trusted_origin(here).build()?;
    support::seed_admin(&auth, &store).await?;

    let app = axum_app::router(auth.clone(), store).merge(chat::router(auth));
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}
