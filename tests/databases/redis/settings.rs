//! Tests that a server whose settings would lose sessions is refused, with the name of the setting.

use std::{error::Error, time::Duration};

use portcullis::store::{
    StoreError,
    redis::{Persistence, RedisOptions, RedisSessions},
};

use super::Server;

async fn refusal(options: RedisOptions) -> Option<String> {
    let error: StoreError = RedisSessions::connect(options).await.err()?;
    assert!(!error.is_unavailable(), "{error:?}");
    Some(error.source().map(ToString::to_string).unwrap_or_default())
}

#[tokio::test]
async fn a_server_that_would_lose_sessions_is_refused() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    assert_eq!(refusal(server.options()).await, None);
    for policy in ["allkeys-lru", "volatile-ttl"] {
        server.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", policy]).await;
        let why = refusal(server.options()).await.unwrap();
        assert!(why.contains("maxmemory-policy") && why.contains(policy), "{why}");
    }
    server.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;

    let replicas = server.options().min_replicas(2);
    let why = refusal(replicas.clone()).await.unwrap();
    assert!(why.contains("min-replicas-to-write is 0"), "{why}");
    server.ask::<()>(&["CONFIG", "SET", "min-replicas-to-write", "2"]).await;
    assert_eq!(refusal(replicas).await, None);
    server.ask::<()>(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;

    server.ask::<()>(&["CONFIG", "SET", "appendonly", "no"]).await;
    let why = refusal(server.options()).await.unwrap();
    assert!(why.contains("appendonly"), "{why}");
    let snapshots = server.options().persistence(Persistence::Snapshots);
    let why = refusal(snapshots.clone()).await.unwrap();
    assert!(why.contains("neither appendonly nor save"), "{why}");
    server.ask::<()>(&["CONFIG", "SET", "save", "60 1"]).await;
    assert_eq!(refusal(snapshots).await, None);
    assert_eq!(refusal(server.options().persistence(Persistence::Nothing)).await, None);

    let primary = server.addr().port().to_string();
    let replica = Server::with(&["--appendonly", "yes", "--replicaof", "127.0.0.1", &primary]).await;
    let why = refusal(replica.options()).await.unwrap();
    assert!(why.contains("replica"), "{why}");
}

/// Managed servers refuse `CONFIG`. For the usual settings `INFO` is enough.
#[tokio::test]
async fn a_server_without_config_is_checked_by_info() {
    if !Server::can_run() {
        return;
    }
    let server = Server::with(&["--appendonly", "yes", "--rename-command", "CONFIG", ""]).await;
    assert_eq!(refusal(server.options()).await, None);
    let why = refusal(server.options().min_replicas(1)).await.unwrap();
    assert!(why.contains("unknown"), "{why}");
}

#[tokio::test]
async fn a_wrong_option_is_refused_without_its_password() {
    if !Server::can_run() {
        return;
    }
    let server = Server::with(&["--appendonly", "yes", "--requirepass", "canary-password"]).await;
    let url = |password: &str| server.url().replace("redis://", &format!("redis://:{password}@"));
    let sessions = RedisSessions::connect(url("canary-password")).await.unwrap();
    let shown = format!("{sessions:?} {:?} {:?}", sessions.feed(), RedisOptions::from(url("canary-password")));
    assert!(!shown.contains("canary"), "{shown}");

    for refused in [url("canary-wrong"), server.url(), "redis://user:canary-password@[".to_owned()] {
        let error = RedisSessions::connect(refused).await.err().unwrap();
        assert!(!error.is_unavailable());
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    }
    let braces = refusal(RedisOptions::from(url("canary-password")).key_prefix("a{b}")).await.unwrap();
    assert!(braces.contains("braces"), "{braces}");
    let slow = RedisOptions::from(url("canary-password")).wait_for_replicas(1, Duration::from_secs(2));
    assert!(refusal(slow).await.unwrap().contains("below the timeout"));
}
