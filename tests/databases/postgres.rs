//! PostgreSQL, from the packages of the system, on a port of its own.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use portcullis::{
    session::{RotateOutcome, Rotation},
    store::{SessionStore, conformance, sql::PostgresStore},
    user::Profile,
};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};

use crate::scratch::Scratch;

/// A server that ends with its value.
pub(crate) struct Server {
    child: Child,
    port: u16,
    databases: AtomicU32,
    _scratch: Scratch,
}

/// PostgreSQL does not run as root: then it runs as the user that its package made.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |flag| {
        let output = Command::new("id").args([flag, "postgres"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if root { Some((id("-u")?, id("-g")?)) } else { None }
}

fn binary(name: &str) -> PathBuf {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    versions.sort();
    versions.pop().unwrap_or_else(|| panic!("{name} is not installed: run tests/run, or install PostgreSQL"))
}

fn command(name: &str, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(binary(name));
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Server {
    pub(crate) async fn start() -> Self {
        let scratch = Scratch::new();
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(scratch.path(), Some(uid), Some(gid)).unwrap();
        }
        let data: &Path = &scratch.path().join("data");
        let made = command("initdb", user).arg("-D").arg(data).args(["-U", "tests", "-A", "trust", "-N"]).status();
        assert!(made.unwrap().success(), "initdb failed");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = command("postgres", user)
            .arg("-D")
            .arg(data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", "", "-F", "-c", "max_connections=200"])
            .spawn()
            .unwrap();
        let server = Self { child, port, databases: AtomicU32::new(0), _scratch: scratch };
        let deadline = Instant::now() + Duration::from_secs(60);
        while PgPool::connect(&server.url("postgres")).await.is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://tests@127.0.0.1:{}/{database}", self.port)
    }

    /// An empty database whose transactions have this isolation unless told otherwise.
    async fn pool(&self, isolation: &str) -> PgPool {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let admin = PgPool::connect(&self.url("postgres")).await.unwrap();
        for statement in [
            format!("CREATE DATABASE {name}"),
            format!("ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'"),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(&admin).await.unwrap();
        }
        admin.close().await;
        PgPoolOptions::new().max_connections(16).connect(&self.url(&name)).await.unwrap()
    }

    async fn store(&self, isolation: &str) -> PostgresStore {
        let store = PostgresStore::new(self.pool(isolation).await);
        store.migrate().await.unwrap();
        store
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_every_promise_under_every_isolation() {
    let server = Server::start().await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let fresh = async || server.store(isolation).await;
        let report = conformance::sessions(&fresh).await;
        assert!(report.broken().is_empty(), "{isolation}: {report}");
        let report = conformance::users(&fresh, Profile::default).await;
        assert!(report.broken().is_empty(), "{isolation}: {report}");
    }
    nodes_may_migrate_at_once(&server).await;
    a_database_that_is_down_is_unavailable(server).await;
}

async fn nodes_may_migrate_at_once(server: &Server) {
    let store = PostgresStore::new(server.pool("read committed").await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move { store.migrate().await });
    }
    while let Some(migrated) = tasks.join_next().await {
        migrated.unwrap().unwrap();
    }
}

/// The server is ended under the store, in the middle of its work.
async fn a_database_that_is_down_is_unavailable(server: Server) {
    let pool = server.pool("read committed").await;
    let options = pool.connect_options().as_ref().clone();
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect_with(options).await.unwrap();
    let store = PostgresStore::new(pool);
    store.migrate().await.unwrap();
    let now = portcullis::clock::Timestamp::from_secs(1_800_000_000);
    drop(server);
    let rotation = Rotation {
        user_id: "ada".into(),
        session_id: portcullis::session::SessionId::from_bytes([1; 16]),
        generation: 0,
        token_id: portcullis::session::TokenId::from_bytes([1; 16]),
        token_version: 0,
        next_token_id: portcullis::session::TokenId::from_bytes([2; 16]),
        now,
        grace: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        tombstone: Duration::from_secs(60),
    };
    let answer: Result<RotateOutcome, _> = store.rotate(&rotation).await;
    assert!(answer.unwrap_err().is_unavailable());
    assert!(store.ended_since(now, now).await.unwrap_err().is_unavailable());
}
