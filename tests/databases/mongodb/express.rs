//! Tests the migration of an Express app to this crate, as `portcullis::guide::from_express`
//! describes it. The users are as Mongoose writes them. The front end does not change. The app can
//! go back.

use std::{collections::BTreeMap, time::Duration};

use argon2::{Argon2, PasswordVerifier, password_hash::phc};
use axum::{Router, body::Body, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use mongodb::{
    Collection, Database, IndexModel,
    bson::{Document, doc, oid::ObjectId},
    options::{IndexOptions, UpdateModifications},
};
use portcullis::{
    Auth, Claims, User,
    http::{Delivery, ResponseFormat},
    store::{
        UserAdmin,
        mongodb::{MongoSessions, MongoUsers, UserFields},
    },
};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt;

use super::server::Server;

const PASSWORD: &str = "analytical engine 1843";
const NEW_PASSWORD: &str = "another lantern 8 in the yard";
/// The secret of the Express app, which the app keeps. Old tokens are refused nevertheless.
const ACCESS_SECRET: &str = "Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe";
const REFRESH_SECRET: &str = "Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs";

/// The guide, whose commands an operator types into `mongosh`.
const GUIDE: &str = include_str!("../../../src/guide/from_express.md");

/// Returns a token as `jwt.sign({ _id }, secret, { expiresIn })` makes it.
fn old_token(id: &str, secret: &str) -> String {
    let claims = json!({ "_id": id, "iat": 1_700_000_000, "exp": 4_000_000_000_u64 }).to_string();
    let [header, claims] = [r#"{"alg":"HS256","typ":"JWT"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{header}.{claims}").as_bytes());
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// Returns a document of a logged-in user, as the schema, its `pre("save")` hook and
/// `generateTokens` write it.
fn mongoose_user(username: &str, full_name: &str) -> Document {
    let id = ObjectId::new();
    let hash = bcrypt::hash_with_salt(PASSWORD, 10, [7; 16]).unwrap().format_for_version(bcrypt::Version::TwoB);
    doc! {
        "_id": id,
        "username": username,
        "fullName": full_name,
        "email": format!("{username}@example.com"),
        "password": hash,
        "avatarUrl": "https://example.com/a.png",
        "refreshToken": old_token(&id.to_hex(), REFRESH_SECRET),
        "favourites": ["tea", { "of": "the house" }],
        "__v": 0,
    }
}

/// Returns the collection of the Express app, with the indexes that Mongoose makes of `unique:
/// true`.
async fn seeded(database: &Database) -> Collection<Document> {
    let users: Collection<Document> = database.collection("users");
    for field in ["username", "email"] {
        let unique = IndexOptions::builder().unique(true).build();
        let index = IndexModel::builder().keys(doc! { field: 1 }).options(unique).build();
        users.create_index(index).await.unwrap();
    }
    users
        .insert_many([
            mongoose_user("ada", "Ada Lovelace"),
            mongoose_user("eve", "Eve"),
            mongoose_user("mallory", "Mallory"),
        ])
        .await
        .unwrap();
    users
}

/// Does what `loginUser` does in Express, with `isPasswordCorrect` as the guide changes it. With
/// `lowercase: true` in the schema, Express looks up the lower-case form.
async fn express_logs_in(users: &Collection<Document>, login: &str, password: &str) -> bool {
    let login = login.to_lowercase();
    let found = users.find_one(doc! { "$or": [{ "username": &login }, { "email": &login }] }).await.unwrap();
    let Some(user) = found else { return false };
    let Ok(hash) = user.get_str("password") else { return false };
    if user.get_bool("disabled") == Ok(true) {
        return false;
    }
    if hash.starts_with("$argon2") {
        let hash = phc::PasswordHash::new(hash).unwrap();
        return Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
    }
    bcrypt::verify(password, hash).unwrap()
}

/// Does what `refreshAccessToken` does in Express: it compares the token of an old cookie with that
/// of the document.
async fn express_refreshes(users: &Collection<Document>, id: ObjectId) -> bool {
    let user = users.find_one(doc! { "_id": id }).await.unwrap().unwrap();
    user.get_str("refreshToken") == Ok(&old_token(&id.to_hex(), REFRESH_SECRET))
}

/// Runs the commands of a section of the guide, as they are written there.
async fn run_commands_of_the_guide(users: &Collection<Document>, section: &str) {
    let (_, section) = GUIDE.split_once(section).unwrap();
    let section = section.split("\n# ").next().unwrap();
    let commands: Vec<_> = section.lines().filter_map(|line| line.trim().strip_prefix("db.users.")).collect();
    assert!(!commands.is_empty());
    for command in commands {
        let arguments = command.strip_prefix("updateMany(").and_then(|rest| rest.strip_suffix(')')).unwrap();
        let arguments: Value = serde_json::from_str(&with_names_quoted(&format!("[{arguments}]"))).unwrap();
        let bson = |value: &Value| mongodb::bson::to_document(value).unwrap();
        let update = match &arguments[1] {
            Value::Array(pipeline) => pipeline.iter().map(bson).collect::<Vec<_>>().into(),
            update => UpdateModifications::from(bson(update)),
        };
        users.update_many(bson(&arguments[0]), update).await.unwrap();
    }
}

/// Converts a JavaScript object to JSON, by adding quotes around the names of its members.
fn with_names_quoted(javascript: &str) -> String {
    let mut json = String::new();
    for part in javascript.split_inclusive(|character: char| character.is_whitespace()) {
        match part.trim_end().strip_suffix(':') {
            Some(name) => json.extend(["\"", name, "\": "]),
            None => json.push_str(part),
        }
    }
    json
}

/// Returns the app after the migration.
async fn moved(database: &Database) -> Auth<User> {
    let fields = UserFields::mongoose().avatar_url("avatarUrl");
    let users = MongoUsers::existing(database, "users", fields).unwrap().with_timeout(Duration::from_secs(30));
    let sessions = MongoSessions::new(database).with_timeout(Duration::from_secs(30));
    users.migrate().await.unwrap();
    sessions.migrate().await.unwrap();
    Auth::builder(users, sessions)
        .issuer("https://example.com")
        .access_secret(ACCESS_SECRET)
        .refresh_secret(REFRESH_SECRET)
        .mount_path("/api/v1/auth")
        .response_format(ResponseFormat::Envelope)
        .token_delivery([Delivery::Both])
        .build()
        .unwrap()
}

/// Imitates the front end in a browser, which keeps cookies and reads `data`.
struct FrontEnd {
    app: Router,
    cookies: BTreeMap<String, String>,
}

impl FrontEnd {
    fn of(auth: &Auth<User>) -> Self {
        let profile = Router::new().route("/profile", get(async |claims: Claims| claims.subject().to_string()));
        Self { app: profile.route_layer(auth.require()).merge(auth.router()), cookies: BTreeMap::new() }
    }

    async fn fetch(&mut self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(path).header("sec-fetch-site", "same-origin");
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string().into()),
        };
        let (parts, body) = self.app.clone().oneshot(request.unwrap()).await.unwrap().into_parts();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8(body.to_vec()).unwrap().into());
        (parts.status, body)
    }

    async fn post(&mut self, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, body) = self.fetch(Method::POST, &format!("/api/v1/auth{path}"), body).await;
        // The front end's `fetch` wrapper reads these.
        assert_eq!(
            (&body["statusCode"], &body["success"]),
            (&json!(status.as_u16()), &json!(status.is_success())),
            "{body}"
        );
        (status, body)
    }

    async fn profile(&mut self) -> (StatusCode, Value) {
        self.fetch(Method::GET, "/profile", Value::Null).await
    }
}

#[tokio::test]
async fn an_express_front_end_keeps_working_and_the_app_can_go_back() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let users = seeded(&database).await;
    let before = users.find_one(doc! { "username": "ada" }).await.unwrap().unwrap();
    let ada = before.get_object_id("_id").unwrap();
    assert!(express_logs_in(&users, "ada", PASSWORD).await);

    let auth = moved(&database).await;
    let mut page = FrontEnd::of(&auth);
    tokens_of_express_log_no_user_in(&mut page, &ada).await;
    every_user_logs_in_once(&mut page, &ada).await;

    // The login renewed the hash. It changed no other field of the document.
    let mut after = users.find_one(doc! { "_id": ada }).await.unwrap().unwrap();
    assert!(after.get_str("password").unwrap().starts_with("$argon2id$"));
    assert_eq!(
        (after.remove("emailKey"), after.remove("usernameKey")),
        (Some("ada@example.com".into()), Some("ada".into()))
    );
    after.insert("password", before.get_str("password").unwrap());
    assert_eq!(after, before);

    the_password_is_changed_and_a_user_registers(&mut page).await;
    somebody_is_disabled(&database, &users).await;

    // On the way back, Express finds every user with their current password. No old cookie logs a
    // user in.
    let every: Vec<_> = users.distinct("_id", doc! { "refreshToken": { "$exists": true } }).await.unwrap();
    assert_eq!(every.len(), 3);
    assert!(!express_logs_in(&users, "grace", PASSWORD).await, "she is there with a capital letter");
    run_commands_of_the_guide(&users, "# The way back").await;
    for id in every {
        assert!(!express_refreshes(&users, id.as_object_id().unwrap()).await, "{id}");
    }
    for (username, password) in [("ada", NEW_PASSWORD), ("eve", PASSWORD), ("Grace", PASSWORD)] {
        for login in [username, &format!("{username}@example.com")] {
            assert!(express_logs_in(&users, login, password).await, "{login}");
        }
    }
    assert!(!express_logs_in(&users, "ada", PASSWORD).await);
    assert!(!express_logs_in(&users, "mallory", PASSWORD).await);
    let grace = users.find_one(doc! { "username": "grace" }).await.unwrap().unwrap();
    for field in ["username", "fullName", "email", "password"] {
        assert!(grace.get_str(field).is_ok(), "the schema requires {field}");
    }
    let ada = users.find_one(doc! { "_id": ada }).await.unwrap().unwrap();
    for field in ["avatarUrl", "favourites", "__v"] {
        assert_eq!(ada.get(field), before.get(field), "{field}");
    }
}

async fn somebody_is_disabled(database: &Database, users: &Collection<Document>) {
    let mallory = users.find_one(doc! { "username": "mallory" }).await.unwrap().unwrap();
    let id = mallory.get_object_id("_id").unwrap();
    assert!(express_logs_in(users, "mallory", PASSWORD).await && express_refreshes(users, id).await);
    let store = MongoUsers::existing(database, "users", UserFields::mongoose()).unwrap();
    assert!(store.with_timeout(Duration::from_secs(30)).set_disabled(&id.to_hex().into(), true).await.unwrap());
}

/// Checks what the browser still has from Express. It is refused, and no session ends.
async fn tokens_of_express_log_no_user_in(page: &mut FrontEnd, ada: &ObjectId) {
    let [access, refresh] = [ACCESS_SECRET, REFRESH_SECRET].map(|secret| old_token(&ada.to_hex(), secret));
    page.cookies = BTreeMap::from([("accessToken".into(), access.clone()), ("refreshToken".into(), refresh.clone())]);
    let (status, body) = page.profile().await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::UNAUTHORIZED, &json!("token_missing")),
        "the new cookies are prefixed"
    );
    assert_eq!(page.post("/refresh-token", Value::Null).await.1["code"], "refresh_missing");
    assert_eq!(page.post("/refresh-token", json!({ "refreshToken": refresh })).await.1["code"], "refresh_invalid");
    page.cookies = BTreeMap::from([("__Host-accessToken".into(), access)]);
    assert_eq!(page.profile().await.1["code"], "token_invalid");
    page.cookies.clear();
}

async fn every_user_logs_in_once(page: &mut FrontEnd, ada: &ObjectId) {
    let wrong = page.post("/login", json!({ "username": "ada", "password": "a wrong guess" })).await;
    assert_eq!((wrong.0, &wrong.1["code"]), (StatusCode::UNAUTHORIZED, &json!("invalid_credentials")));
    let (status, body) = page.post("/login", json!({ "username": "Ada", "email": "", "password": PASSWORD })).await;
    assert_eq!((status, &body["message"]), (StatusCode::OK, &json!("User logged in successfully")));
    let user = &body["data"]["user"];
    assert_eq!(
        (&user["_id"], &user["username"], &user["fullName"]),
        (&json!(ada.to_hex()), &json!("ada"), &json!("Ada Lovelace"))
    );
    assert_eq!((&user["email"], &user["avatarUrl"]), (&json!("ada@example.com"), &json!("https://example.com/a.png")));
    assert_eq!(body["data"]["accessToken"], page.cookies["__Host-accessToken"]);
    assert_eq!(body["data"]["refreshToken"], page.cookies["__Host-refreshToken"]);
    assert_eq!(page.profile().await, (StatusCode::OK, json!(ada.to_hex())));

    let first = page.cookies["__Host-refreshToken"].clone();
    let (status, body) = page.post("/refresh-token", Value::Null).await;
    assert_eq!((status, &body["data"]["accessToken"]), (StatusCode::OK, &json!(page.cookies["__Host-accessToken"])));
    assert_ne!(page.cookies["__Host-refreshToken"], first);
    assert_eq!(page.profile().await.0, StatusCode::OK);
}

async fn the_password_is_changed_and_a_user_registers(page: &mut FrontEnd) {
    let change = json!({ "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD });
    let changed = page.fetch(Method::PUT, "/api/v1/auth/password", change).await;
    assert_eq!((changed.0, &changed.1["success"]), (StatusCode::OK, &json!(true)));
    let (status, body) = page.post("/logout", Value::Null).await;
    assert_eq!((status, &body["data"]), (StatusCode::OK, &json!({})));
    assert!(page.cookies.is_empty());
    assert_eq!(page.profile().await.0, StatusCode::UNAUTHORIZED);

    let new_user =
        json!({ "username": "Grace", "fullName": "Grace Hopper", "email": "Grace@Example.com", "password": PASSWORD });
    let (status, body) = page.post("/register", new_user.clone()).await;
    assert_eq!((status, &body["data"]["fullName"]), (StatusCode::CREATED, &json!("Grace Hopper")));
    assert!(page.cookies.is_empty(), "a registration logs no user in there");
    let (status, body) = page.post("/register", new_user).await;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("email_taken")));
    // Mongoose's own unique index accepts one user without a username, and refuses the next.
    for expected in [StatusCode::CREATED, StatusCode::CONFLICT] {
        let address = format!("nameless{}@example.com", expected.as_u16());
        let nameless = json!({ "fullName": "Nobody", "email": address, "password": PASSWORD });
        assert_eq!(page.post("/register", nameless).await.0, expected);
    }
    let (status, _) = page.post("/login", json!({ "email": "grace@example.com", "password": PASSWORD })).await;
    assert_eq!(status, StatusCode::OK);
}
