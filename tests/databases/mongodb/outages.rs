//! Tests what clients see while the server is down, and afterwards.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use http_body_util::Full;
use mongodb::{
    Database,
    bson::{Bson, Document, doc},
};
use portcullis::{
    Auth, ErrorKind, Profile, User,
    auth::ClientInfo,
    session::{EndReason, Ended},
    store::{EndAll, SessionStore, StoreError, UserStore, mongodb::MongoStore},
    user::{Email, Login, NewUser, PasswordHash, UserId},
};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::{
    NOW, PASSWORD, ada, auth_over, new, rotation,
    server::{Server, database_at, fail, migrated, uri_at},
    session,
};
use crate::login::log_in;
use crate::proxy::{Mode, Proxy};

const SHORT: Duration = Duration::from_secs(1);

/// Makes every call of both stores at the same time. Returns the error of each.
async fn every_call(store: &MongoStore) -> Vec<(&'static str, Option<StoreError>)> {
    let id = UserId::from("0123456789abcdef01234567");
    let hash = || PasswordHash::new("$argon2id$");
    let ended = Ended { at: NOW, reason: EndReason::Logout, keep_until: NOW.plus(SHORT) };
    let eve = || UserId::from("eve");
    let registration = move || {
        let email = "eve@example.com".parse::<Email>().unwrap();
        NewUser::new(email, None, hash(), Profile::default(), NOW)
    };
    let mut calls = JoinSet::new();
    macro_rules! call {
        ($name:literal, |$store:ident, $id:ident| $call:expr) => {
            let ($store, $id) = (store.clone(), id.clone());
            calls.spawn(async move { ($name, $call.await.err()) });
        };
    }
    call!("find_by_id", |store, id| store.find_by_id(&id));
    call!("find_by_login", |store, _id| store.find_by_login(&Login::email("eve@example.com")));
    call!("create a user", |store, _id| UserStore::create(&store, registration()));
    call!("replace_password_hash", |store, id| store.replace_password_hash(&id, "old", &hash()));
    call!("set_password", |store, id| store.set_password(&id, Some("old"), &hash()));
    call!("bump_token_version", |store, id| store.bump_token_version(&id));
    call!("create a session", |store, _id| SessionStore::create(&store, new(session("eve", 1, NOW))));
    call!("find", |store, _id| store.find(&eve(), &session("eve", 1, NOW).id, NOW));
    call!("rotate", |store, _id| store.rotate(&rotation("eve", 1, 2, NOW)));
    call!("end", |store, _id| store.end(&eve(), &session("eve", 1, NOW).id, ended));
    call!("end_all", |store, _id| store.end_all(&EndAll::new(eve(), 1, ended)));
    call!("list", |store, _id| store.list(&eve(), NOW));
    call!("ended_since", |store, _id| store.ended_since(NOW, NOW));
    calls.join_all().await
}

async fn nothing_can_be_done(store: &MongoStore, what: &str) {
    for (call, error) in every_call(store).await {
        let error = error.unwrap_or_else(|| panic!("{call} succeeds while {what}"));
        assert!(error.is_unavailable(), "{call} while {what}: {error:?}");
    }
}

async fn status(auth: &Auth<User>, refresh: &str) -> StatusCode {
    let request = Request::post("/auth/refresh").header("cookie", format!("__Host-refresh_token={refresh}"));
    let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
    let response = auth.routes().oneshot(request).await.unwrap();
    let cleared = response.headers().contains_key("set-cookie");
    assert!(response.status().is_success() || !cleared, "an outage clears cookies");
    response.status()
}

/// Refreshes until the server is up again.
async fn refreshed(auth: &Auth<User>, refresh: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match auth.refresh(refresh, &ClientInfo::unknown()).await {
            Ok(logged_in) => return logged_in.tokens.refresh_token.expose().clone(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "the outage ended the session");
                assert!(Instant::now() < deadline, "it does not recover");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One client with two stores: a patient one for a busy machine, and an impatient one for the time
/// of the outage.
struct World {
    database: Database,
    hasty: MongoStore,
    auth: Auth<User>,
    refresh: String,
}

impl World {
    async fn at(uri: &str) -> Self {
        let database = database_at(uri).await;
        let store = migrated(&database).await;
        let auth = auth_over(&store);
        ada(&auth).await;
        let logged_in = log_in(&auth, "ada@example.com", PASSWORD).await.unwrap();
        let refresh = logged_in.tokens.refresh_token.expose().clone();
        Self { database, hasty: store.with_timeout(SHORT), auth, refresh }
    }

    /// Checks what a client sees during the outage, and that its token works afterwards.
    async fn survives(&mut self, what: &str, begin: impl FnOnce(), end: impl AsyncFnOnce()) {
        begin();
        nothing_can_be_done(&self.hasty, what).await;
        let hasty = auth_over(&self.hasty);
        assert_eq!(status(&hasty, &self.refresh).await, StatusCode::SERVICE_UNAVAILABLE, "while {what}");
        let login = log_in(&hasty, "ada@example.com", PASSWORD).await;
        assert_eq!(login.unwrap_err().kind(), ErrorKind::StoreUnavailable, "while {what}");
        end().await;
        self.refresh = refreshed(&self.auth, &self.refresh).await;
        let user = log_in(&self.auth, "ada@example.com", PASSWORD).await;
        let sessions = self.auth.sessions(&user.unwrap().user.id).await.unwrap();
        assert!(!sessions.is_empty(), "{what} ended sessions");
    }
}

fn signal(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// Stops the server. Returns when its last thread has stopped.
fn stop(pid: u32) {
    signal("-STOP", pid);
    let stopped = || {
        fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
        })
    };
    while !stopped() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_or_is_killed_logs_no_user_out() {
    if !Server::can_run() {
        return;
    }
    let mut server = Server::start_own().await;
    let mut world = World::at(server.uri()).await;
    let pid = server.pid();
    world.survives("the server hangs", || stop(pid), async || signal("-CONT", pid)).await;
    server.kill();
    world.survives("the server is gone", || {}, async || server.start_again().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_logs_no_user_out() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start_own().await;
    let proxy = Proxy::start(server.addr().port()).await;
    let mut world = World::at(&uri_at(proxy.addr())).await;
    for mode in [Mode::LoseQuestions, Mode::LoseAnswers] {
        let what = format!("the mode is {mode:?}");
        world.survives(&what, || proxy.set(mode), async || proxy.set(Mode::Pass)).await;
    }
}

const COMMANDS: [&str; 5] = ["find", "findAndModify", "insert", "update", "aggregate"];

fn failing(how: Document) -> Document {
    let mut data = doc! { "failCommands": COMMANDS.as_slice() };
    data.extend(how);
    data
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_server_logs_no_user_out() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start_own().await;
    let mut world = World::at(server.uri()).await;
    let database = world.database.clone();
    let always = Bson::from("alwaysOn");
    for code in [50, 91, 10_107, 11_600] {
        fail(&database, always.clone(), failing(doc! { "errorCode": code })).await;
        let off = async || fail(&database, "off".into(), doc! {}).await;
        world.survives(&format!("the server says {code}"), || {}, off).await;
    }

    // The driver repeats a call whose connection was cut, so the caller does not notice.
    let cut = failing(doc! { "closeConnection": true });
    fail(&database, doc! { "times": 1 }.into(), cut).await;
    world.refresh =
        world.auth.refresh(&world.refresh, &ClientInfo::unknown()).await.unwrap().tokens.refresh_token.expose().clone();

    // The write is on this node, and perhaps not on a majority. The client asks again and gets the
    // answer.
    let unconfirmed = doc! {
        "failCommands": ["findAndModify"],
        "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" },
    };
    fail(&database, always.clone(), unconfirmed).await;
    assert_eq!(status(&world.auth, &world.refresh).await, StatusCode::SERVICE_UNAVAILABLE);
    fail(&database, "off".into(), doc! {}).await;
    world.refresh = refreshed(&world.auth, &world.refresh).await;

    // An error that does not pass by itself is no outage. The answer to the client does not show
    // its cause.
    fail(&database, always, failing(doc! { "errorCode": 13 })).await;
    for (call, error) in every_call(&world.hasty).await {
        assert!(error.is_some_and(|error| !error.is_unavailable()), "{call}");
    }
    assert_eq!(status(&world.auth, &world.refresh).await, StatusCode::INTERNAL_SERVER_ERROR);
    fail(&database, "off".into(), doc! {}).await;
    refreshed(&world.auth, &world.refresh).await;
}
