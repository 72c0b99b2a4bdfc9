//! Servers with a database file: a restart, a crash, and files of earlier versions.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::{fs, thread};

use sqlx::Connection;

use crate::forge::Genuine;
use crate::server::{AXUM_SQLITE, EXISTING_APP, Launch, Server, poll_until};
use crate::temp_dir::TempDir;

/// A database file in a directory of its own.
pub(crate) struct Database(TempDir);

impl Database {
    pub(crate) fn new() -> Self {
        Self(TempDir::new())
    }

    fn file(&self) -> String {
        self.0.path().join("app.db").to_str().expect("its path is UTF-8").to_owned()
    }

    pub(crate) fn launch(&self) -> Launch {
        self.launch_example(AXUM_SQLITE)
    }

    pub(crate) fn launch_example(&self, example: &'static str) -> Launch {
        Launch::new(example).env("DATABASE_URL", self.file())
    }

    /// The text that a statement answers, made in a file that need not be there yet.
    pub(crate) fn ask(&self, statement: &'static str) -> Option<String> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        runtime.block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.file()).create_if_missing(true);
            let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("the file opens");
            sqlx::query_scalar(statement).fetch_optional(&mut connection).await.expect("the statement is good")
        })
    }

    /// What SQLite says of the file.
    fn integrity(&self) -> String {
        self.ask("PRAGMA integrity_check").expect("it says something")
    }
}

#[test]
fn a_restart_keeps_users_and_sessions_and_what_had_ended() {
    let database = Database::new();
    let server = database.launch().start();
    let (kept, ended) = (server.register("lovelace"), server.log_in("lovelace"));
    let (kept, ended) = (kept.refresh(), ended.refresh());
    server.post("/auth/logout").cookie("refresh_token", &ended).send().expect(204);
    server.stop();

    let server = database.launch().start();
    server.refresh_with(&ended).problem(401, "refresh_invalid");
    let answer = server.refresh_with(&kept).expect(200);
    let next = answer.set_cookie("refresh_token").value;
    assert_eq!(Genuine::refresh(&next).number("gen"), 1);
    server.log_in("lovelace");
}

#[test]
fn a_url_of_a_database_names_its_file_and_no_other() {
    for example in [AXUM_SQLITE, EXISTING_APP] {
        let database = Database::new();
        let url = format!("sqlite://{}?mode=rwc", database.file());
        let server = database.launch_example(example).env("DATABASE_URL", &url).start();
        server.register("lovelace");
        server.stop();
        let names = fs::read_dir(database.0.path())
            .expect("the directory is there")
            .map(|entry| entry.expect("it can be read").file_name().to_str().expect("it is UTF-8").to_owned());
        let others: Vec<_> = names.filter(|name| !name.starts_with("app.db") || name.contains('?')).collect();
        assert!(others.is_empty(), "{example}: {others:?}");
        assert_eq!(database.integrity(), "ok");
    }
}

/// Refreshes again and again until the server is gone, and counts. The slot has the newest token.
fn refresh_until_killed(server: &Server, slot: &Mutex<String>, refreshed: &AtomicU32, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let token = slot.lock().expect("nobody panics").clone();
        let wire = format!(
            "POST /auth/refresh HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\
             Cookie: refresh_token={token}\r\n\r\n",
            server.host()
        );
        let Ok(answer) = server.raw(wire.as_bytes()) else { return };
        let token = answer.expect(200).set_cookie("refresh_token").value;
        *slot.lock().expect("nobody panics") = token;
        refreshed.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_node_killed_amid_refreshes_loses_and_doubles_no_session() {
    const USERS: usize = 8;
    let database = Database::new();
    // As long as it may be, so that a slow machine is not taken for a thief.
    let launch = || database.launch().env("REFRESH_TOKEN_GRACE", "60s");
    let mut server = launch().start();
    let names: Vec<_> = (0..USERS).map(|number| format!("lovelace{number}")).collect();
    let held: Vec<_> = names.iter().map(|name| Mutex::new(server.register(name).refresh())).collect();
    for _ in 0..3 {
        let (refreshed, stop) = (AtomicU32::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for slot in &held {
                scope.spawn(|| refresh_until_killed(&server, slot, &refreshed, &stop));
            }
            poll_until("the storm is there", || (refreshed.load(Ordering::SeqCst) >= 100).then_some(()));
            server.kill();
            stop.store(true, Ordering::SeqCst);
        });
        assert_eq!(database.integrity(), "ok");
        server = launch().start();
        for slot in &held {
            let mut held = slot.lock().expect("nobody panics");
            let before = Genuine::refresh(&held);
            let answer = server.refresh_with(&held).expect(200);
            let next = answer.set_cookie("refresh_token").value;
            let after = Genuine::refresh(&next);
            assert_eq!(after.claim("sid"), before.claim("sid"));
            let advanced = after.number("gen") - before.number("gen");
            assert!((1..=2).contains(&advanced), "the chain advanced by {advanced}");
            let access = answer.set_cookie("access_token").value;
            let sessions = server.get("/auth/sessions").cookie("access_token", &access).send().expect(200).json();
            assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1), "{sessions}");
            *held = next;
        }
    }
}
