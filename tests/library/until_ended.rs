//! Waits until an access token is no longer accepted, for connections that outlive their request.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use portcullis::{
    Auth, Claims, ErrorKind, User,
    auth::{Check, ClientInfo, Presented},
    clock::Clock,
    store::{SessionStore, memory::MemoryFeed},
    testing::TestAuth,
};

use crate::fixture::{Failure, PASSWORD, Pair, World, end_by, kind, register, start_session};

type Wait = Pin<Box<dyn Future<Output = ErrorKind> + Send>>;

fn wait(auth: &Auth<User>, claims: &Claims) -> Wait {
    Box::pin(auth.until_ended(claims))
}

async fn claims(auth: &Auth<User>, pair: &Pair) -> Claims {
    auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims
}

/// Returns whether it still waits, after all other tasks have run.
async fn waits(wait: &mut Wait) -> bool {
    tokio::time::timeout(Duration::from_millis(5), wait).await.is_err()
}

/// Returns the answer, which has to come. The limit is for a test that would wait for ever.
async fn answer(wait: Wait) -> ErrorKind {
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap()
}

#[tokio::test]
async fn every_way_to_end_a_session_ends_the_wait() {
    for way in
        ["logout", "logout_all", "end_session", "reuse", "password", "own_password", "login_again", "limit", "disabled"]
    {
        let world = World::new();
        let (here, there) = (world.node(), world.node());
        let ada = register(&here, "ada").await;
        let (pair, other) = (start_session(&here, &ada).await, start_session(&here, &ada).await);
        let (mine, others) = (claims(&here, &pair).await, claims(&here, &other).await);
        let (mut waiting, mut elsewhere) = (wait(&here, &mine), wait(&there, &mine));
        assert!(waits(&mut waiting).await && waits(&mut elsewhere).await, "{way}");
        match way {
            "logout" => here.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap(),
            "reuse" => {
                here.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
                world.clock.advance(Duration::from_secs(11));
                assert!(waits(&mut waiting).await, "a refresh ends nothing");
                assert_eq!(
                    kind(here.refresh(&pair.refresh, &ClientInfo::unknown()).await),
                    Some(ErrorKind::RefreshReused)
                );
            }
            "own_password" => {
                here.change_password(&mine, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown())
                    .await
                    .unwrap();
            }
            _ => end_by(way, &world, &here, (&ada, &pair), &others).await,
        }
        assert_eq!(answer(waiting).await, ErrorKind::TokenRevoked, "{way}: here");
        assert!(waits(&mut elsewhere).await, "{way}: there, before the poll");
        there.poll_revocations().await.unwrap();
        assert_eq!(answer(elsewhere).await, ErrorKind::TokenRevoked, "{way}: there");
    }
}

#[tokio::test]
async fn a_feed_ends_waits_on_other_nodes() {
    let world = World::new();
    let feed = MemoryFeed::new();
    let node = || world.node_with(|builder| builder.revocation_feed(feed.clone()));
    let (here, there) = (node(), node());
    let ada = register(&here, "ada").await;
    let (one, all) = (start_session(&here, &ada).await, start_session(&here, &ada).await);
    // The token is verified on one node and waited for on the other. Nothing else makes that node
    // listen.
    let (mut one_ends, mut all_end) =
        (wait(&there, &claims(&here, &one).await), wait(&there, &claims(&here, &all).await));
    assert!(waits(&mut one_ends).await && waits(&mut all_end).await);
    here.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap();
    assert_eq!(answer(one_ends).await, ErrorKind::TokenRevoked);
    assert!(waits(&mut all_end).await);
    here.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    assert_eq!(answer(all_end).await, ErrorKind::TokenRevoked);
}

/// Counts how often the inner future is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_end_of_other_sessions_wakes_few_waits() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let kept = start_session(&auth, &ada).await;
    // Without the pauses that Tokio makes a busy task take.
    let mut waiting = Box::pin(tokio::task::unconstrained(auth.until_ended(&claims(&auth, &kept).await)));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut look = || assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    look();
    let mut seen = 0;
    for _ in 0..2000 {
        let other = start_session(&auth, &ada).await;
        auth.logout(&Presented::refresh(&other.refresh), &ClientInfo::unknown()).await.unwrap();
        world.store.take_calls();
        if wakes.0.load(Ordering::SeqCst) > seen {
            seen = wakes.0.load(Ordering::SeqCst);
            look();
        }
        assert_eq!(world.store.take_calls(), 0);
    }
    // About one in 1024 of them shares a notifier with this wait.
    assert!(seen <= 30, "{seen}");
    auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    assert!(wakes.0.load(Ordering::SeqCst) > seen);
    assert_eq!(answer(waiting).await, ErrorKind::TokenRevoked);
}

#[tokio::test]
async fn a_token_that_has_ended_or_expired_is_not_waited_for() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let (ended, expired) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
    let (of_ended, of_expired) = (claims(&auth, &ended).await, claims(&auth, &expired).await);
    auth.logout(&Presented::refresh(&ended.refresh), &ClientInfo::unknown()).await.unwrap();
    assert_eq!(answer(wait(&auth, &of_ended)).await, ErrorKind::TokenRevoked);
    world.clock.set(of_expired.expires_at());
    assert_eq!(answer(wait(&auth, &of_expired)).await, ErrorKind::TokenExpired);
}

#[tokio::test]
async fn a_wait_ends_at_expiry_by_the_injected_clock() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.leeway(Duration::from_secs(5)));
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let claims = claims(&auth, &pair).await;
    let end = claims.expires_at().plus(Duration::from_secs(5));
    // It reads the clock again after the time that is left, which is short, although the clock
    // stands still.
    world.clock.set(end.minus(Duration::from_millis(1)));
    let mut waiting = wait(&auth, &claims);
    assert!(waits(&mut waiting).await);
    assert!(auth.authenticate(&pair.access, Check::Stateless).await.is_ok());
    world.clock.set(end);
    assert_eq!(answer(waiting).await, ErrorKind::TokenExpired);
    assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), Some(ErrorKind::TokenExpired));
}

#[tokio::test]
async fn the_clock_is_read_again_after_a_minute_at_most() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let claims = claims(&auth, &start_session(&auth, &ada).await).await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let mut waiting = wait(&auth, &claims);
    assert!(waits(&mut waiting).await);
    world.clock.set(claims.expires_at());
    assert_eq!(answer(waiting).await, ErrorKind::TokenExpired);
    assert_eq!(began.elapsed().as_secs(), 60, "by the first reading it was a quarter of an hour");

    world.clock.set(claims.expires_at().minus(Duration::from_millis(1)));
    let (mut waiting, mut polls) = (wait(&auth, &claims), 0);
    let counted = std::future::poll_fn(|cx| {
        polls += 1;
        waiting.as_mut().poll(cx)
    });
    assert!(tokio::time::timeout(Duration::from_secs(10), counted).await.is_err());
    assert!((100..=210).contains(&polls), "{polls}");
}

#[tokio::test]
async fn moving_the_clock_of_a_test_ends_a_wait_at_once() {
    let test = TestAuth::new().unwrap();
    let ada = test.user("ada@example.com").create().await.unwrap();
    let session = test.login(&ada).await.unwrap();
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let claims = test.auth().authenticate(session.access_token(), Check::Stateless).await.unwrap().claims;
    let mut waiting = wait(test.auth(), &claims);
    test.advance(Duration::from_secs(15 * 60 - 1));
    assert!(waits(&mut waiting).await);
    test.advance(Duration::from_secs(1));
    assert_eq!(answer(waiting).await, ErrorKind::TokenExpired);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn with_a_full_set_a_store_outage_ends_no_wait() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.revocation_capacity(1));
    let ada = register(&auth, "ada").await;
    // The shards have no room left.
    for _ in 0..1500 {
        let pair = start_session(&auth, &ada).await;
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    }
    let (live, ended) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
    let (of_live, of_ended) = (claims(&auth, &live).await, claims(&auth, &ended).await);
    let (mut waiting, mut others) = (wait(&auth, &of_live), wait(&auth, &of_ended));
    // The wait asks the store again after some seconds.
    tokio::time::pause();
    assert!(waits(&mut waiting).await && waits(&mut others).await);
    world.store.fail("find", Failure::Before);
    auth.logout(&Presented::refresh(&ended.refresh), &ClientInfo::unknown()).await.unwrap();
    assert!(waits(&mut others).await, "the store cannot say that it has ended");
    world.store.recover();
    assert_eq!(answer(others).await, ErrorKind::TokenRevoked);
    assert!(waits(&mut waiting).await);
    let now = world.clock.now();
    assert!(world.store.memory.find(&ada.id, &live.session, now).await.unwrap().is_some());
}

#[tokio::test]
async fn waits_with_a_full_set_ask_the_store_only_about_themselves() {
    let world = World::new();
    let auth = world.node_with(|it| it.revocation_capacity(1).revocation_poll(Duration::from_secs(60)));
    let ada = register(&auth, "ada").await;
    tokio::time::pause();
    // They are so many that they wake nearly all waiting tasks.
    for _ in 0..2000 {
        let pair = start_session(&auth, &ada).await;
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    }
    let mut pairs = Vec::new();
    for _ in 0..40 {
        pairs.push(start_session(&auth, &ada).await);
    }
    let mut waiting = Vec::new();
    for pair in &pairs {
        waiting.push(tokio::spawn(auth.until_ended(&claims(&auth, pair).await)));
    }
    let soon = || tokio::time::sleep(Duration::from_millis(5));
    soon().await;
    auth.poll_revocations().await.unwrap();
    soon().await;
    world.store.take_calls();
    for _ in 0..5 {
        auth.poll_revocations().await.unwrap();
        soon().await;
    }
    assert_eq!(world.store.take_calls(), 5, "the polls, which read nothing new");
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(world.store.take_calls(), 0);
    // One session ends, and only its wait asks the store.
    auth.end_session(&ada.id, pairs[0].session, &ClientInfo::unknown()).await.unwrap();
    assert_eq!(waiting.remove(0).await.unwrap(), ErrorKind::TokenRevoked);
    soon().await;
    assert_eq!(world.store.take_calls(), 2, "the end of the session, and the question of its wait");
    // After 30 to 60 s they ask again, and not together.
    let mut asked = Vec::new();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        asked.push(world.store.take_calls());
    }
    assert!(asked.iter().sum::<usize>() <= 39 && asked.iter().all(|calls| *calls < 39), "{asked:?}");
    assert!(waiting.iter().all(|wait| !wait.is_finished()));
}

#[tokio::test]
async fn a_slow_store_delays_no_end_that_is_known_here() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    // The store is slow at the first read of a new node, and at the question about a session on a
    // node whose polls failed.
    for (slow, end) in [("ended_since", true), ("ended_since", false), ("find", true), ("find", false)] {
        let world = World::new();
        let ada = register(&world.node(), "ada").await;
        let pair = start_session(&world.node(), &ada).await;
        let of_pair = claims(&world.node(), &pair).await;
        let auth = world.node_with(|it| it.revocation_poll(minutes(1)).max_poll_staleness(minutes(2)));
        if slow == "find" {
            auth.authenticate(&pair.access, Check::Stateless).await.unwrap();
        }
        world.clock.set(of_pair.expires_at().minus(Duration::from_millis(20)));
        world.store.hold(slow);
        let mut waiting = wait(&auth, &of_pair);
        assert!(waits(&mut waiting).await);
        world.store.held().await;
        if end {
            auth.end_session(&ada.id, pair.session, &ClientInfo::unknown()).await.unwrap();
            assert_eq!(answer(waiting).await, ErrorKind::TokenRevoked, "{slow}");
        } else {
            world.clock.set(of_pair.expires_at());
            assert_eq!(answer(waiting).await, ErrorKind::TokenExpired, "{slow}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_revocation_is_lost_between_a_check_and_a_wait() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let mut waiting = Vec::new();
    for round in 0..300 {
        let pair = start_session(&auth, &ada).await;
        let claims = claims(&auth, &pair).await;
        let wait = tokio::spawn(auth.until_ended(&claims));
        let auth = auth.clone();
        let end = tokio::spawn(async move {
            // The session ends before, during or after the start of the wait.
            for _ in 0..round % 7 {
                tokio::task::yield_now().await;
            }
            auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
        });
        waiting.push((wait, end));
    }
    for (wait, end) in waiting {
        end.await.unwrap();
        let why = tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
        assert_eq!(why.unwrap(), ErrorKind::TokenRevoked);
    }
}
