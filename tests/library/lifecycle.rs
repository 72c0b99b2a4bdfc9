//! The start, the health and the shutdown of a node.

use std::time::Duration;

use async_trait::async_trait;
use portcullis::{
    ErrorKind,
    auth::{Check, ClientInfo, Presented},
    clock::Clock,
    session::Revocation,
    store::{RevocationFeed, StoreError, Subscription, memory::MemoryFeed},
};
use serde_json::{Value, json};

use crate::fixture::{Failure, World, kind, register, start_session};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_node_is_ready_once_it_has_read_what_has_ended() {
    let world = World::new();
    world.store.fail("ended_since", Failure::Before);
    let auth = world.node();
    assert!(!auth.health().is_ready);
    assert_eq!(kind(auth.start().await), Some(ErrorKind::StoreUnavailable));
    let health = auth.health();
    assert!(!health.is_ready && !health.is_in_touch);
    assert_eq!(health.last_poll_age, None);
    world.store.recover();
    auth.start().await.unwrap();
    let health = auth.health();
    assert!(health.is_ready && health.is_in_touch);
    assert_eq!(health.last_poll_age, Some(Duration::ZERO));
}

#[tokio::test]
async fn an_outage_after_the_start_leaves_a_node_ready() {
    let world = World::new();
    let auth = world.node();
    auth.start().await.unwrap();
    world.store.fail("*", Failure::Before);
    world.clock.advance(15 * SECOND);
    auth.poll_revocations().await.unwrap_err();
    assert!(auth.health().is_in_touch, "three polls have not passed");
    world.clock.advance(SECOND);
    let health = auth.health();
    assert!(health.is_ready && !health.is_in_touch);
    assert_eq!(health.last_poll_age, Some(16 * SECOND));
}

#[tokio::test]
async fn health_costs_no_call_of_the_store_and_serializes_flat() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.revocation_capacity(64));
    auth.start().await.unwrap();
    world.clock.advance(1500 * Duration::from_millis(1));
    world.store.take_calls();
    let text = serde_json::to_string(&auth.health()).unwrap();
    assert_eq!(world.store.take_calls(), 0);
    let health: Value = serde_json::from_str(&text).unwrap();
    let expected = json!({
        "is_ready": true,
        "is_in_touch": true,
        "last_poll_age_seconds": 1.5,
        "last_poll_entries": 0,
        "revoked_sessions": 0,
        "revoked_users": 0,
        "revocation_capacity": 64,
        "full_for_seconds": null,
        "is_feed_up": null,
        "unwritten_revocations": 0,
        "lost_revocations": 0,
        "store_questions": 0,
        "tasks": 0,
        "hashing": {"waiting": 0, "running": 0, "blocks_filled": health["hashing"]["blocks_filled"]},
    });
    assert_eq!(health, expected);
}

#[tokio::test]
async fn health_counts_what_is_revoked_and_what_is_not_written() {
    let world = World::new();
    let (auth, other) = (world.node(), world.node());
    let ada = register(&auth, "ada").await;
    let (one, two) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
    auth.start().await.unwrap();
    other.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap();
    auth.poll_revocations().await.unwrap();
    let health = auth.health();
    assert_eq!((health.revoked_sessions, health.revoked_users, health.last_poll_entries), (1, 0, 1));
    world.store.fail("end", Failure::Before);
    auth.logout(&Presented::refresh(&two.refresh), &ClientInfo::unknown()).await.unwrap_err();
    assert_eq!((auth.health().revoked_sessions, auth.health().unwritten_revocations), (2, 1));
    world.store.recover();
    auth.poll_revocations().await.unwrap();
    assert_eq!((auth.health().unwritten_revocations, auth.health().lost_revocations), (0, 0));
}

#[tokio::test]
async fn health_says_for_how_long_a_full_set_asks_the_store() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.revocation_capacity(1));
    let ada = register(&auth, "ada").await;
    let live = start_session(&auth, &ada).await;
    assert_eq!(auth.health().full_for, None);
    for _ in 0..65 {
        let pair = start_session(&auth, &ada).await;
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    }
    let full_for = auth.health().full_for.unwrap();
    assert!(full_for > 900 * SECOND && full_for <= 961 * SECOND, "{full_for:?}");
    auth.authenticate(&live.access, Check::Stateless).await.unwrap();
    assert_eq!(auth.health().store_questions, 1);
    world.clock.advance(full_for);
    assert_eq!(auth.health().full_for, None);
}

/// A feed whose subscription fails.
struct Deaf;

#[async_trait]
impl RevocationFeed for Deaf {
    async fn publish(&self, _: &Revocation) -> Result<(), StoreError> {
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        Err(StoreError::unavailable("as the test wants"))
    }
}

#[tokio::test]
async fn health_says_whether_the_feed_is_subscribed() {
    let world = World::new();
    let heard = world.node_with(|builder| builder.revocation_feed(MemoryFeed::new()));
    let deaf = world.node_with(|builder| builder.revocation_feed(Deaf));
    assert_eq!(heard.health().is_feed_up, Some(false));
    heard.start().await.unwrap();
    deaf.start().await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!((heard.health().is_feed_up, deaf.health().is_feed_up), (Some(true), Some(false)));
}

#[tokio::test]
async fn a_shutdown_writes_what_the_store_could_not_take() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.fail("end", Failure::Before);
    auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap_err();
    world.store.recover();
    auth.shutdown(SECOND).await.unwrap();
    assert!(!auth.health().is_ready);
    let node = world.node();
    assert_eq!(kind(node.authenticate(&pair.access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
}

#[tokio::test]
async fn a_shutdown_waits_for_a_flow_whose_caller_hung_up() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.hold("end");
    let logout = tokio::spawn({
        let (auth, refresh) = (auth.clone(), pair.refresh.clone());
        async move { auth.logout(&Presented::refresh(&refresh), &ClientInfo::unknown()).await }
    });
    world.store.held().await;
    logout.abort();
    let shutdown = tokio::spawn({
        let auth = auth.clone();
        async move { auth.shutdown(60 * SECOND).await }
    });
    while auth.health().is_ready {
        tokio::task::yield_now().await;
    }
    assert!(!shutdown.is_finished());
    assert_eq!(auth.health().tasks, 1);
    world.store.release();
    shutdown.await.unwrap().unwrap();
    let node = world.node();
    assert_eq!(kind(node.authenticate(&pair.access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
}

#[tokio::test]
async fn a_shutdown_in_an_outage_ends_at_its_deadline() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.fail("*", Failure::Before);
    auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap_err();
    tokio::time::pause();
    assert_eq!(kind(auth.shutdown(3 * SECOND).await), Some(ErrorKind::StoreUnavailable));
    assert_eq!(auth.health().unwritten_revocations, 1);
}

#[tokio::test]
async fn a_node_still_serves_requests_after_its_shutdown() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    auth.shutdown(SECOND).await.unwrap();
    auth.authenticate(&pair.access, Check::Stateless).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_writes_although_a_feed_hangs() {
    struct Hanging;

    #[async_trait]
    impl RevocationFeed for Hanging {
        async fn publish(&self, _: &Revocation) -> Result<(), StoreError> {
            std::future::pending().await
        }

        async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
            std::future::pending().await
        }
    }

    let world = World::new();
    let auth = world.node_with(|builder| builder.revocation_feed(Hanging));
    let ada = register(&auth, "ada").await;
    let (one, two) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
    auth.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap();
    world.store.fail("end", Failure::Before);
    auth.logout(&Presented::refresh(&two.refresh), &ClientInfo::unknown()).await.unwrap_err();
    world.store.recover();
    tokio::time::pause();
    assert_eq!(kind(auth.shutdown(SECOND).await), Some(ErrorKind::StoreUnavailable), "one publishes still");
    assert_eq!(auth.health().unwritten_revocations, 0);
    // A feed that hangs keeps no task for ever.
    tokio::time::sleep(10 * SECOND).await;
    auth.shutdown(SECOND).await.unwrap();
    assert_eq!(auth.health().tasks, 0);
}

#[tokio::test]
async fn a_node_goes_on_polling_after_its_shutdown() {
    let world = World::new();
    let (auth, other) = (world.node(), world.node());
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    auth.start().await.unwrap();
    auth.shutdown(SECOND).await.unwrap();
    other.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    tokio::time::pause();
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
}

#[tokio::test]
async fn a_clock_that_was_set_back_hides_no_outage_from_health() {
    let world = World::new();
    let auth = world.node();
    auth.start().await.unwrap();
    world.store.fail("*", Failure::Before);
    world.clock.set(world.clock.now().minus(3600 * SECOND));
    assert!(!auth.health().is_in_touch);
}
