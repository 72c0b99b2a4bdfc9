//! The same service with users and sessions in MongoDB.
//!
//! ```sh
//! MONGODB_URI=mongodb://127.0.0.1:27017/app cargo run --example axum_mongodb --features mongodb_3
//! ```

#[path = "../support/axum_app.rs"]
mod axum_app;
#[path = "../support/mod.rs"]
mod support;

use std::{env, error::Error, net::SocketAddr};

use portcullis::{AuthBuilder, store::mongodb::MongoStore};
use support::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let store = connect().await?;
    let auth = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?.build()?;
    support::seed_admin(&auth, &store).await?;

    let listener = support::listen().await?;
    let app = axum_app::router(auth, store).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

/// Connects to the database that the URI names. An app that cannot reach its users does not start.
async fn connect() -> Result<MongoStore, BoxError> {
    let uri = env::var("MONGODB_URI").unwrap_or_else(|_| "mongodb://127.0.0.1:27017/portcullis".to_owned());
    MongoStore::connect(&uri).await.map_err(|error| {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("MongoDB at MONGODB_URI cannot be used (is it running?): {error}: {cause}").into()
    })
}
