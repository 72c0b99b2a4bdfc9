//! A redis-server with stores over it.

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

/// A server that ends with its value.
pub(crate) struct Server {
    process: ServerProcess,
    prefixes: AtomicU32,
}

impl Server {
    /// Whether the tests of Redis can run here.
    pub(crate) fn can_run() -> bool {
        can_run_redis()
    }

    /// One that is set as it should be.
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

    /// Whether it answers, if only that it wants a password.
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
        self.process.signal(signal);
    }

    /// Ends the process without a warning.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again where it was, with what it had written.
    pub(crate) async fn restart(&mut self) {
        self.process.start_again();
        self.ready().await;
    }
}

/// Returns the URL of a server or proxy at this port of the loopback.
pub(crate) fn url_of(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/")
}
