//! gRPC services behind the guard, and the endpoints that issue tokens on the same port.
//!
//! ```sh
//! cargo run -p portcullis-tonic-grpc
//! ```
//!
//! and in another terminal:
//!
//! ```sh
//! token=$(curl -s http://127.0.0.1:3000/auth/register -d email=ada@example.com -d password='open sesame 42' |
//!     sed -E 's/.*"access_token":"([^"]*)".*/\1/')
//! cargo run -p portcullis-tonic-grpc -- describe
//! cargo run -p portcullis-tonic-grpc -- watch "$token" &
//! cargo run -p portcullis-tonic-grpc -- add "$token" 'oil the winch'
//! curl -X POST http://127.0.0.1:3000/auth/logout -H "Authorization: Bearer $token"
//! ```
//!
//! The watch ends at the logout. `notes.rs` has the services, `client.rs` the client.

mod client;
mod notes;
#[path = "../../support/mod.rs"]
mod support;

use std::{env, net::SocketAddr};

use axum::Router;
use portcullis::{Auth, AuthBuilder, User, http::Delivery, store::memory::MemoryStore};
use tonic::service::{LayerExt, Routes};
use tower::ServiceBuilder;

use self::{
    notes::{Info, Notebook, Notes, proto},
    support::BoxError,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.is_empty() { serve().await } else { client::run(&arguments).await }
}

async fn serve() -> Result<(), BoxError> {
    support::init_log();
    let store = MemoryStore::new();
    // These clients have no cookies. They get their tokens in the body.
    let builder = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?.token_delivery([Delivery::Body]);
    let auth = builder.build()?;
    support::seed_admin(&auth, &store).await?;

    let listener = support::listen().await?;
    Ok(axum::serve(listener, app(&auth).into_make_service_with_connect_info::<SocketAddr>()).await?)
}

/// Returns the services, one of them guarded, beside `/auth`. gRPC uses HTTP/2, curl any version.
fn app(auth: &Auth<User>) -> Router {
    let notebook = Notebook::new();
    let info = proto::info_server::InfoServer::new(Info::new(&notebook));
    let notes = proto::notes_server::NotesServer::new(Notes::new(auth.clone(), notebook));
    let guarded = ServiceBuilder::new().layer(auth.require()).named_layer(notes);
    Routes::new(info).add_service(guarded).into_axum_router().reset_fallback().merge(auth.router())
}
