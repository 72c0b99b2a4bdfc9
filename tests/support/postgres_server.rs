//! A PostgreSQL server from the packages of the system, in a directory and on a port of its own.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use portcullis::store::sql::PostgresStore;
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};

use crate::{process::free_port, temp_dir::TempDir};

/// A running server. It ends with this value.
pub(crate) struct Server {
    child: Mutex<Option<Child>>,
    pub(crate) port: u16,
    databases: AtomicU32,
    directory: TempDir,
}

/// Returns the user and group that the package made, where this process is root: PostgreSQL refuses
/// to run as root.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    let id = |flag| {
        let output = Command::new("id").args([flag, "postgres"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if root { Some((id("-u")?, id("-g")?)) } else { None }
}

fn binary(name: &str) -> Option<PathBuf> {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    versions.sort();
    versions.pop()
}

fn command(name: &str, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(binary(name).unwrap());
    // `PGPORT`, `PGDATA` and other such variables are for another server.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Server {
    /// Returns whether the package of the server is installed.
    pub(crate) fn is_installed() -> bool {
        binary("initdb").is_some()
    }

    pub(crate) async fn start() -> Self {
        let directory = TempDir::new();
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let data: &Path = &directory.path().join("data");
        let made = command("initdb", user).arg("-D").arg(data).args(["-U", "tests", "-A", "trust", "-N"]).status();
        assert!(made.unwrap().success(), "initdb failed");
        let server = Self { child: Mutex::default(), port: free_port(), databases: AtomicU32::new(0), directory };
        server.launch();
        server.wait().await;
        server
    }

    /// Starts a standby of this server. It has the data of this one and takes no writes.
    pub(crate) async fn standby(&self) -> Self {
        let directory = TempDir::new();
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
        }
        let copied = command("pg_basebackup", user)
            .arg("-D")
            .arg(directory.path().join("data"))
            .args(["-R", "-c", "fast", "-h", "127.0.0.1", "-U", "tests", "-p", &self.port.to_string()])
            .status();
        assert!(copied.unwrap().success(), "pg_basebackup failed");
        let standby = Self { child: Mutex::default(), port: free_port(), databases: AtomicU32::new(0), directory };
        standby.launch();
        standby.wait().await;
        standby
    }

    async fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while PgPool::connect(&self.url("postgres")).await.is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Starts the process over the present data, on the same port.
    pub(crate) fn launch(&self) {
        let child = command("postgres", unprivileged())
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-k", "", "-F", "-c", "max_connections=200"])
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
    }

    /// Kills the server. It recovers from its log when it starts again.
    pub(crate) fn kill(&self) {
        if self.child.lock().unwrap().is_none() {
            return;
        }
        // Kills its children too: the server does not start again while one of them has its memory.
        self.signal("-KILL");
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.wait();
        }
    }

    /// Sends a signal to the server and everything that it started.
    pub(crate) fn signal(&self, signal: &str) {
        let postmaster = self.child.lock().unwrap().as_ref().unwrap().id().to_string();
        let children = Command::new("pgrep").args(["-P", &postmaster]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let processes = std::iter::once(postmaster.as_str()).chain(children.split_whitespace());
        // A child may have ended meanwhile.
        let _ = Command::new("kill").arg(signal).args(processes).stderr(Stdio::null()).status().unwrap();
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.url_through(self.port, database)
    }

    /// Returns the URL of the database at the port of a proxy.
    #[allow(clippy::unused_self, reason = "it is the server's")]
    pub(crate) fn url_through(&self, port: u16, database: &str) -> String {
        format!("postgres://tests@127.0.0.1:{port}/{database}")
    }

    /// Creates an empty database and returns its name.
    pub(crate) async fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let admin = PgPool::connect(&self.url("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&admin).await.unwrap();
        admin.close().await;
        name
    }

    /// Returns a pool of an empty database whose transactions have this isolation by default.
    pub(crate) async fn pool(&self, isolation: &str) -> PgPool {
        let name = self.database().await;
        let admin = PgPool::connect(&self.url("postgres")).await.unwrap();
        let set = format!("ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'");
        sqlx::query(AssertSqlSafe(set)).execute(&admin).await.unwrap();
        admin.close().await;
        PgPoolOptions::new().max_connections(16).connect(&self.url(&name)).await.unwrap()
    }

    pub(crate) async fn store(&self, isolation: &str) -> PostgresStore {
        let store = PostgresStore::new(self.pool(isolation).await);
        store.migrate().await.unwrap();
        store
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
