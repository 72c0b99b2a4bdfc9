//! Waiting for an access token to stop counting, as connections do that outlive their request.

use std::{pin::Pin, time::Duration};

use portcullis::{
    Auth, Check, Claims, Client, ErrorKind, User,
    clock::Clock,
    store::{SessionStore, memory::MemoryFeed},
};

use crate::fixture::{Failure, PASSWORD, Pair, World, kind, register, sign_in};

type Wait = Pin<Box<dyn Future<Output = ErrorKind> + Send>>;

fn wait(auth: &Auth<User>, claims: &Claims) -> Wait {
    Box::pin(auth.until_ended(claims))
}

async fn claims(auth: &Auth<User>, pair: &Pair) -> Claims {
    auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims
}

/// Whether it still waits, after all that could be done by now has been done.
async fn waits(wait: &mut Wait) -> bool {
    tokio::time::timeout(Duration::from_millis(5), wait).await.is_err()
}

/// The answer, which has to come; the limit is for a test that would wait for ever.
async fn answer(wait: Wait) -> ErrorKind {
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap()
}

#[tokio::test]
async fn every_way_of_ending_wakes_who_waits_here_at_once_and_elsewhere_with_the_next_poll() {
    for way in
        ["logout", "logout_all", "end_session", "reuse", "password", "own_password", "login_again", "limit", "disabled"]
    {
        let world = World::new();
        let (here, there) = (world.node(), world.node());
        let ada = register(&here, "ada").await;
        let (pair, other) = (sign_in(&here, &ada).await, sign_in(&here, &ada).await);
        let (mine, others) = (claims(&here, &pair).await, claims(&here, &other).await);
        let (mut waiting, mut elsewhere) = (wait(&here, &mine), wait(&there, &mine));
        assert!(waits(&mut waiting).await && waits(&mut elsewhere).await, "{way}");
        let new = "close sesame 43".into();
        match way {
            "logout" => here.logout(Some(&pair.refresh), None).await.unwrap(),
            "logout_all" => here.logout_all(&others).await.unwrap(),
            "end_session" => here.end_session(&ada.id, pair.session).await.unwrap(),
            "reuse" => {
                here.refresh(&pair.refresh).await.unwrap();
                world.clock.advance(Duration::from_secs(11));
                assert!(waits(&mut waiting).await, "a refresh ends nothing");
                assert_eq!(kind(here.refresh(&pair.refresh).await), Some(ErrorKind::RefreshReused));
            }
            "password" => {
                here.change_password(&others, PASSWORD.into(), new, &Client::unknown()).await.unwrap();
            }
            "own_password" => {
                here.change_password(&mine, PASSWORD.into(), new, &Client::unknown()).await.unwrap();
            }
            "login_again" => {
                let mut client = Client::unknown();
                client.refresh_token = Some(pair.refresh.as_str().into());
                here.start_session(&ada, &client).await.unwrap();
            }
            "limit" => {
                world.clock.advance(Duration::from_secs(1));
                for _ in 0..99 {
                    sign_in(&here, &ada).await;
                }
            }
            _ => {
                world.store.memory.users().set_disabled(&ada.id, true);
                here.end_sessions_of(&ada.id).await.unwrap();
            }
        }
        assert_eq!(answer(waiting).await, ErrorKind::TokenRevoked, "{way}: here");
        assert!(waits(&mut elsewhere).await, "{way}: there, before the poll");
        there.poll_revocations().await.unwrap();
        assert_eq!(answer(elsewhere).await, ErrorKind::TokenRevoked, "{way}: there");
    }
}

#[tokio::test]
async fn a_feed_wakes_who_waits_on_other_nodes() {
    let world = World::new();
    let feed = MemoryFeed::new();
    let node = || world.node_with(|builder| builder.revocation_feed(feed.clone()));
    let (here, there) = (node(), node());
    let ada = register(&here, "ada").await;
    let (one, all) = (sign_in(&here, &ada).await, sign_in(&here, &ada).await);
    // Verified here, waited for there: nothing else makes that node listen.
    let (mut one_ends, mut all_end) =
        (wait(&there, &claims(&here, &one).await), wait(&there, &claims(&here, &all).await));
    assert!(waits(&mut one_ends).await && waits(&mut all_end).await);
    here.logout(Some(&one.refresh), None).await.unwrap();
    assert_eq!(answer(one_ends).await, ErrorKind::TokenRevoked);
    assert!(waits(&mut all_end).await);
    here.end_sessions_of(&ada.id).await.unwrap();
    assert_eq!(answer(all_end).await, ErrorKind::TokenRevoked);
}

#[tokio::test]
async fn what_ends_for_others_wakes_nobody_else_and_waiting_asks_no_store() {
    let world = World::new();
    let auth = world.node();
    let (ada, eve) = (register(&auth, "ada").await, register(&auth, "eve").await);
    let kept = sign_in(&auth, &ada).await;
    let mut waiting = wait(&auth, &claims(&auth, &kept).await);
    assert!(waits(&mut waiting).await);
    // So many that some wake it, to no avail.
    for _ in 0..2000 {
        let other = sign_in(&auth, &ada).await;
        auth.logout(Some(&other.refresh), None).await.unwrap();
    }
    auth.end_sessions_of(&eve.id).await.unwrap();
    world.store.take_calls();
    assert!(waits(&mut waiting).await);
    assert_eq!(world.store.take_calls(), 0);
}

#[tokio::test]
async fn what_had_ended_or_expired_before_is_no_wait() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let (ended, expired) = (sign_in(&auth, &ada).await, sign_in(&auth, &ada).await);
    let (of_ended, of_expired) = (claims(&auth, &ended).await, claims(&auth, &expired).await);
    auth.logout(Some(&ended.refresh), None).await.unwrap();
    assert_eq!(answer(wait(&auth, &of_ended)).await, ErrorKind::TokenRevoked);
    world.clock.set(of_expired.expires_at());
    assert_eq!(answer(wait(&auth, &of_expired)).await, ErrorKind::TokenExpired);
}

#[tokio::test]
async fn a_token_is_waited_for_until_it_expires_by_the_injected_clock() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.leeway(Duration::from_secs(5)));
    let ada = register(&auth, "ada").await;
    let pair = sign_in(&auth, &ada).await;
    let claims = claims(&auth, &pair).await;
    let end = claims.expires_at().plus(Duration::from_secs(5));
    // It looks at the clock again after what is left by it: soon, though it stands still.
    world.clock.set(end.minus(Duration::from_millis(1)));
    let mut waiting = wait(&auth, &claims);
    assert!(waits(&mut waiting).await);
    assert!(auth.authenticate(&pair.access, Check::Stateless).await.is_ok());
    world.clock.set(end);
    assert_eq!(answer(waiting).await, ErrorKind::TokenExpired);
    assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), Some(ErrorKind::TokenExpired));
}

#[tokio::test]
async fn a_full_set_of_endings_asks_the_store_whose_outage_ends_no_wait() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.revocation_capacity(1));
    let ada = register(&auth, "ada").await;
    // No shard has room left.
    for _ in 0..1500 {
        let pair = sign_in(&auth, &ada).await;
        auth.logout(Some(&pair.refresh), None).await.unwrap();
    }
    let (live, ended) = (sign_in(&auth, &ada).await, sign_in(&auth, &ada).await);
    let (of_live, of_ended) = (claims(&auth, &live).await, claims(&auth, &ended).await);
    let (mut waiting, mut others) = (wait(&auth, &of_live), wait(&auth, &of_ended));
    // The wait asks again after some seconds.
    tokio::time::pause();
    assert!(waits(&mut waiting).await && waits(&mut others).await);
    world.store.fail("find", Failure::Before);
    auth.logout(Some(&ended.refresh), None).await.unwrap();
    assert!(waits(&mut others).await, "nobody could say that it has ended");
    world.store.recover();
    assert_eq!(answer(others).await, ErrorKind::TokenRevoked);
    assert!(waits(&mut waiting).await);
    let now = world.clock.now();
    assert!(world.store.memory.find(&ada.id, &live.session, now).await.unwrap().is_some());
}

#[tokio::test]
async fn a_slow_store_keeps_nobody_who_was_ended_here_or_has_expired() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    // The load of a node that is new, and the look at the session of one that is out of touch.
    for (slow, end) in [("ended_since", true), ("ended_since", false), ("find", true), ("find", false)] {
        let world = World::new();
        let ada = register(&world.node(), "ada").await;
        let pair = sign_in(&world.node(), &ada).await;
        let of_pair = claims(&world.node(), &pair).await;
        let auth =
            world.node_with(|it| it.revocation_poll(minutes(1)).ask_store_when_polls_fail_for(minutes(2)));
        if slow == "find" {
            auth.authenticate(&pair.access, Check::Stateless).await.unwrap();
        }
        world.clock.set(of_pair.expires_at().minus(Duration::from_millis(20)));
        world.store.hold(slow);
        let mut waiting = wait(&auth, &of_pair);
        assert!(waits(&mut waiting).await);
        world.store.held().await;
        if end {
            auth.end_session(&ada.id, pair.session).await.unwrap();
            assert_eq!(answer(waiting).await, ErrorKind::TokenRevoked, "{slow}");
        } else {
            world.clock.set(of_pair.expires_at());
            assert_eq!(answer(waiting).await, ErrorKind::TokenExpired, "{slow}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_ending_slips_between_a_look_and_a_wait() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let mut waiting = Vec::new();
    for round in 0..300 {
        let pair = sign_in(&auth, &ada).await;
        let claims = claims(&auth, &pair).await;
        let wait = tokio::spawn(auth.until_ended(&claims));
        let auth = auth.clone();
        let end = tokio::spawn(async move {
            // Now before the wait, now after it, now in the middle of it.
            for _ in 0..round % 7 {
                tokio::task::yield_now().await;
            }
            auth.logout(Some(&pair.refresh), None).await.unwrap();
        });
        waiting.push((wait, end));
    }
    for (wait, end) in waiting {
        end.await.unwrap();
        let why = tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
        assert_eq!(why.unwrap(), ErrorKind::TokenRevoked);
    }
}
