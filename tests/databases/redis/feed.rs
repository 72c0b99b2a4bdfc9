//! Tests that a revocation of one node reaches another at once, or at its next poll.

use std::time::{Duration, Instant};

use portcullis::{
    Auth, ErrorKind, Profile, Registration, User,
    auth::{Check, ClientInfo, Presented},
    session::{Revocation, SessionId},
    store::{
        RevocationFeed,
        memory::MemoryUsers,
        redis::{RedisOptions, RedisSessions},
    },
};

use super::{
    Server,
    samples::{at, builder},
    url_of,
};
use crate::login::session_of;
use crate::proxy::{Mode, Proxy};

/// Repeats the check until it holds. The polls of these nodes are a minute apart, so the feed
/// reports what arrives sooner.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn is_revoked(auth: &Auth<User>, access: &str) -> bool {
    match auth.authenticate(access, Check::Stateless).await {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::TokenRevoked => true,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_on_one_node_reaches_another() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let (users, options) = (MemoryUsers::default(), server.options());
    let node = async || {
        let sessions = RedisSessions::connect(options.clone()).await.unwrap();
        let feed = sessions.feed();
        builder(users.clone(), sessions).revocation_poll(Duration::from_secs(60)).revocation_feed(feed).build().unwrap()
    };
    let (here, there) = (node().await, node().await);
    let ada = here
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let (one, all) = (session_of(&here, &ada).await, session_of(&here, &ada).await);
    let (one, all) = ((one.access_token.expose(), one.refresh_token.expose()), all.access_token.expose());
    assert!(!is_revoked(&there, one.0).await && !is_revoked(&there, all).await);
    // The listening task subscribes after the node has begun.
    until("both nodes listen", async || {
        let listeners: Vec<redis::Value> = server.ask(&["PUBSUB", "NUMSUB", "t0:endings:0"]).await;
        let counted = listeners.get(1) == Some(&redis::Value::Int(2));
        // A node begins with its first request.
        counted || is_revoked(&here, one.0).await
    })
    .await;
    here.logout(&Presented::refresh(one.1), &ClientInfo::unknown()).await.unwrap();
    until("the logout is heard", async || is_revoked(&there, one.0).await).await;
    here.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    until("signing out everywhere is heard", async || is_revoked(&there, all).await).await;
}

#[tokio::test]
async fn a_cut_subscription_fails_and_a_new_one_receives() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let feed = RedisSessions::connect(RedisOptions::from(url_of(proxy.port()))).await.unwrap().feed();
    let endings = [
        Revocation::Session { id: SessionId::from_bytes([7; 16]), keep_until: at(60) },
        Revocation::User { id: "a\0d{a}\r\n🦀".into(), min_version: u64::MAX, keep_until: at(61) },
    ];
    let mut heard = feed.subscribe().await.unwrap();
    for ending in &endings {
        feed.publish(ending).await.unwrap();
        assert_eq!(heard.next().await.unwrap(), *ending);
    }
    // A wrong message of another client does not end the subscription.
    server.ask::<usize>(&["PUBLISH", "portcullis:endings:0", "nonsense"]).await;
    feed.publish(&endings[0]).await.unwrap();
    assert_eq!(heard.next().await.unwrap(), endings[0]);

    proxy.set(Mode::Refuse);
    assert!(heard.next().await.unwrap_err().is_unavailable());
    assert!(feed.subscribe().await.err().unwrap().is_unavailable());
    assert!(feed.publish(&endings[0]).await.unwrap_err().is_unavailable());
    proxy.set(Mode::Pass);
    let mut heard = feed.subscribe().await.unwrap();
    feed.publish(&endings[1]).await.unwrap();
    assert_eq!(heard.next().await.unwrap(), endings[1]);
}

/// No node listened to this revocation. The next poll reads it.
#[tokio::test]
async fn a_poll_reads_what_the_feed_missed() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let (users, options) = (MemoryUsers::default(), server.options());
    let sessions = RedisSessions::connect(options.clone()).await.unwrap();
    let here = builder(users.clone(), sessions.clone()).revocation_feed(sessions.feed()).build().unwrap();
    let there = builder(users, RedisSessions::connect(options).await.unwrap())
        .revocation_poll(Duration::from_secs(60))
        .build()
        .unwrap();
    let ada = here
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let tokens = session_of(&here, &ada).await;
    assert!(!is_revoked(&there, tokens.access_token.expose()).await);
    here.logout(&Presented::refresh(tokens.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    assert!(!is_revoked(&there, tokens.access_token.expose()).await);
    there.poll_revocations().await.unwrap();
    assert!(is_revoked(&there, tokens.access_token.expose()).await);
}
