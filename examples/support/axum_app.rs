//! The routes of every axum example, over whatever store it has.

#[path = "page/mod.rs"]
pub(crate) mod page;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use portcullis::{
    Auth, AuthUser, Claims, CurrentUser, auth::ClientInfo, axum::AuthRejection, store::UserAdmin, user::UserId,
};
use serde_json::{Value, json};

#[derive(Clone)]
struct App<U: AuthUser, S> {
    auth: Auth<U>,
    store: S,
}

/// Routes behind their guards, the ready endpoints beside them, and the page.
pub(crate) fn router<U: AuthUser, S: UserAdmin<User = U> + Clone>(auth: Auth<U>, store: S) -> Router {
    let logged_in = Router::new().route("/profile", get(profile)).route("/notes", post(add_note));
    let with_user = Router::new().route("/account", get(account::<U>));
    let admins =
        Router::new().route("/admin", get(admin)).route("/admin/users/{id}/disable", post(disable_user::<U, S>));
    let anybody = Router::new().route("/greeting", get(greeting));

    Router::new()
        .route("/ping", get(|| async { "pong" }))
        .merge(logged_in.route_layer(auth.require()))
        .merge(with_user.route_layer(auth.require().load_user()))
        .merge(admins.route_layer(auth.require().role("admin")))
        .merge(anybody.route_layer(auth.optional()))
        .merge(page::router())
        .merge(auth.router())
        .with_state(App { auth, store })
}

async fn profile(claims: Claims) -> Json<Value> {
    let roles: Vec<&str> = claims.roles().collect();
    Json(json!({ "sub": claims.subject().as_str(), "sid": claims.session_id(), "roles": roles }))
}

async fn account<U: AuthUser>(CurrentUser(user): CurrentUser<U>) -> Json<U::Public> {
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

async fn disable_user<U: AuthUser, S: UserAdmin<User = U>>(
    State(app): State<App<U, S>>,
    Path(id): Path<String>,
) -> Result<StatusCode, AuthRejection> {
    let id = UserId::from(id);
    if !app.store.set_disabled(&id, true).await? {
        return Ok(StatusCode::NOT_FOUND);
    }
    app.auth.end_sessions_of(&id, &ClientInfo::unknown()).await?;
    Ok(StatusCode::NO_CONTENT)
}
