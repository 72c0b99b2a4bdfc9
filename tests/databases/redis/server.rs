//! A `redis-server` process, and stores over it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use portcullis::store::redis::{RedisOptions, RedisSessions};
use redis::{Client, Value, aio::MultiplexedConnection};

use crate::{
    redis_process::{can_run_redis, start_redis},
    server_process::ServerProcess,
};

/// A server. It stops when this value is dropped.
pub(crate) struct Server {
    process: ServerProcess,
    prefixes: AtomicU32,
}

impl Server {
    /// Returns whether the tests of Redis can run here.
    pub(crate) fn can_run() -> bool {
        can_run_redis()
    }

    /// Starts a server with the right settings.
    pub(crate) async fn start() -> Self {
        Self::with(&["--appendonly", "yes"]).await
    }

    pub(crate) async fn with(settings: &[&str]) -> Self {
        let server = Self { process: start_redis(settings), prefixes: AtomicU32::new(0) };
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

    /// Returns whether the server answers, even if it only asks for a password.
    async fn answers(&self) -> bool {
        match self.try_ask(&["PING"]).await {
            Ok(_) => true,
            Err(error) => error.code() == Some("NOAUTH"),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.process.addr()
    }

    pub(crate) fn port(&self) -> u16 {
        self.process.port()
    }

    pub(crate) fn url(&self) -> String {
        url_of(self.port())
    }

    /// Returns an empty store with its own keys, and with timeouts for a test.
    pub(crate) async fn store(&self) -> RedisSessions {
        RedisSessions::connect(self.options()).await.unwrap()
    }

    /// Returns a store with the same keys as another one.
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

    /// Sends a command on its own connection.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        redis::from_redis_value(self.try_ask(command).await.unwrap()).unwrap()
    }

    /// Sends the process a signal, as `kill` does.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Kills the process.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the server again on the same port, with what it had written.
    pub(crate) async fn restart(&mut self) {
        self.process.start_again();
        self.ready().await;
    }
}

/// Returns the URL of a server or proxy at this port of the loopback.
pub(crate) fn url_of(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/")
}
