//! A database file of its own for each server, and what outlives the server.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use crate::forge::Genuine;
use crate::server::{AXUM_SQLITE, Launch};

/// A file in a directory that is removed with this value.
pub(crate) struct Database(PathBuf);

impl Database {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("portcullis-flows-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let directory = env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("the directory for temporary files can be written");
        Self(directory)
    }

    pub(crate) fn launch(&self) -> Launch {
        let file = self.0.join("app.db");
        Launch::new(AXUM_SQLITE).env("DATABASE_URL", file.to_str().expect("its path is UTF-8"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[test]
fn a_restart_keeps_users_and_sessions_and_what_had_ended() {
    let database = Database::new();
    let server = database.launch().start();
    let (kept, ended) = (server.sign_up("lovelace"), server.sign_in("lovelace"));
    let (kept, ended) = (kept.refresh(), ended.refresh());
    server.post("/auth/logout").cookie("refresh_token", &ended).send().expect(204);
    server.stop();

    let server = database.launch().start();
    server.refresh_with(&ended).problem(401, "refresh_invalid");
    let answer = server.refresh_with(&kept).expect(200);
    let next = answer.set_cookie("refresh_token").value;
    assert_eq!(Genuine::refresh(&next).number("gen"), 1);
    server.sign_in("lovelace");
}
