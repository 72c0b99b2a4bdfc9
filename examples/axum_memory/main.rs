//! A whole authentication service on axum, with users and sessions in memory.
//!
//! ```sh
//! cargo run --example axum_memory
//! ```

#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use portcullis::{
    Auth, AuthUser, Builder, Claims, CurrentUser, User, UserId, axum::AuthRejection, store::memory::MemoryStore,
    user::PublicUser,
};
use serde_json::{Value, json};
use support::BoxError;

#[derive(Clone)]
struct App {
    auth: Auth<User>,
    store: MemoryStore,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let store = MemoryStore::new();
    let auth = Builder::from_env_or_ephemeral(store.clone(), store.clone())?.build()?;
    support::seed_admin(&auth, &store).await?;

    let listener = support::listen().await?;
    let app = router(App { auth, store }).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

fn router(app: App) -> Router {
    let auth = &app.auth;
    let signed_in = Router::new().route("/profile", get(profile)).route("/notes", post(add_note));
    let with_user = Router::new().route("/account", get(account));
    let admins = Router::new().route("/admin", get(admin)).route("/admin/users/{id}/disable", post(disable_user));
    let anybody = Router::new().route("/greeting", get(greeting));

    Router::new()
        .route("/ping", get(|| async { "pong" }))
        .merge(signed_in.route_layer(auth.require()))
        .merge(with_user.route_layer(auth.require().load_user()))
        .merge(admins.route_layer(auth.require().role("admin")))
        .merge(anybody.route_layer(auth.optional()))
        .merge(auth.router())
        .with_state(app)
}

async fn profile(claims: Claims) -> Json<Value> {
    let roles: Vec<&str> = claims.roles().collect();
    Json(json!({ "sub": claims.subject().as_str(), "sid": claims.session_id(), "roles": roles }))
}

async fn account(CurrentUser(user): CurrentUser<User>) -> Json<PublicUser> {
    Json(user.public())
}

async fn add_note(claims: Claims) -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({ "by": claims.subject().as_str() })))
}

async fn greeting(claims: Option<Claims>) -> Json<Value> {
    Json(json!({ "hello": claims.as_ref().map_or("stranger", |claims| claims.subject().as_str()) }))
}

async fn admin() -> Json<Value> {
    Json(json!({ "admin": true }))
}

async fn disable_user(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, AuthRejection> {
    let id = UserId::from(id);
    if !app.store.users().set_disabled(&id, true) {
        return Ok(StatusCode::NOT_FOUND);
    }
    app.auth.end_sessions_of(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
