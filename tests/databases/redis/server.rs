//! A redis-server of the system's, on a port and in a directory of its own.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use portcullis::store::redis::{RedisOptions, RedisSessions};
use redis::{Client, Value, aio::MultiplexedConnection};

use crate::{skipped_suites::can_run, temp_dir::Scratch};

/// A server that ends with its value.
pub(crate) struct Server {
    child: Child,
    port: u16,
    settings: Vec<String>,
    prefixes: AtomicU32,
    scratch: Scratch,
}

impl Server {
    /// Whether the tests of Redis can run here.
    pub(crate) fn can_run() -> bool {
        let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        can_run("Redis", version.is_ok())
    }

    /// One that is set as it should be.
    pub(crate) async fn start() -> Self {
        Self::with(&["--appendonly", "yes"]).await
    }

    pub(crate) async fn with(settings: &[&str]) -> Self {
        let scratch = Scratch::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let child = spawn(port, &scratch, &settings);
        let server = Self { child, port, settings, prefixes: AtomicU32::new(0), scratch };
        server.ready().await;
        server
    }

    async fn ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.answers().await {
            assert!(Instant::now() < deadline, "redis-server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether it answers, if only that it wants a password.
    async fn answers(&self) -> bool {
        match self.try_ask(&["PING"]).await {
            Ok(_) => true,
            Err(error) => error.code() == Some("NOAUTH"),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.addr())
    }

    /// An empty store with keys of its own, and timeouts that a test has the patience for.
    pub(crate) async fn store(&self) -> RedisSessions {
        RedisSessions::connect(self.options()).await.unwrap()
    }

    /// A store with the keys of another's.
    pub(crate) async fn store_like(&self, prefix: &str) -> RedisSessions {
        RedisSessions::connect(RedisOptions::from(self.url()).key_prefix(prefix)).await.unwrap()
    }

    pub(crate) fn options(&self) -> RedisOptions {
        let prefix = format!("t{}", self.prefixes.fetch_add(1, Ordering::Relaxed));
        RedisOptions::from(self.url()).key_prefix(prefix).timeout(Duration::from_secs(3))
    }

    pub(crate) async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    async fn try_ask(&self, command: &[&str]) -> redis::RedisResult<Value> {
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).query_async(&mut self.connection().await?).await
    }

    /// Asks by a connection of its own.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        redis::from_redis_value(self.try_ask(command).await.unwrap()).unwrap()
    }

    /// Sends the process a signal, as `kill` does.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success(), "{signal} cannot be sent");
    }

    /// Ends the process without a warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, with what it had written.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.port, &self.scratch, &self.settings);
        self.ready().await;
    }
}

fn spawn(port: u16, scratch: &Scratch, settings: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(scratch.path())
        .args(settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
