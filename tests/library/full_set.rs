//! A node whose set of endings is full, or whose polls fail: what it asks the store about sessions.

use std::time::Duration;

use portcullis::{
    Auth, ErrorKind, Profile, User,
    auth::{Check, ClientInfo, Presented},
    clock::Clock,
    store::UserStore,
    user::NewUser,
};

use crate::fixture::{Failure, PASSWORD, Pair, World, kind, register, start_session};

const POLL: Duration = Duration::from_secs(5);
const REVOKED: Option<ErrorKind> = Some(ErrorKind::TokenRevoked);

async fn access(auth: &Auth<User>, pair: &Pair) -> Option<ErrorKind> {
    kind(auth.authenticate(&pair.access, Check::Stateless).await)
}

/// Adds a user without a password.
async fn add_user(world: &World, number: usize) -> User {
    let email = format!("user{number}@example.com").parse().unwrap();
    let new = NewUser::new(email, None, None, Profile::default(), world.clock.now());
    UserStore::create(&world.store.memory, new).await.unwrap()
}

/// Makes a node that has no room for an ending in any part of its set.
async fn full_node(world: &World) -> Auth<User> {
    let auth = world.node_with(|builder| builder.revocation_capacity(1));
    for number in 0..1000 {
        let user = add_user(world, number).await;
        let pair = start_session(&auth, &user).await;
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
        auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap();
    }
    auth
}

#[tokio::test]
async fn a_live_session_is_asked_about_once_in_a_polls_length() {
    let world = World::new();
    let auth = full_node(&world).await;
    let ada = register(&auth, "ada").await;
    let (one, two) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
    world.store.take_calls();
    for _ in 0..100 {
        assert_eq!((access(&auth, &one).await, access(&auth, &two).await), (None, None));
    }
    assert_eq!(world.store.take_calls(), 2);
    world.clock.advance(Duration::from_millis(4999));
    assert_eq!(access(&auth, &one).await, None);
    assert_eq!(world.store.take_calls(), 0);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!((access(&auth, &one).await, access(&auth, &one).await), (None, None));
    assert_eq!(world.store.take_calls(), 1);
}

#[tokio::test]
async fn an_answer_of_a_clock_that_was_set_back_does_not_count() {
    let world = World::new();
    let auth = full_node(&world).await;
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    assert_eq!(access(&auth, &pair).await, None);
    world.store.take_calls();
    world.clock.set(world.clock.now().minus(Duration::from_secs(1)));
    assert_eq!(access(&auth, &pair).await, None);
    assert_eq!(world.store.take_calls(), 1);
}

#[tokio::test]
async fn every_ending_on_a_full_node_counts_there_at_once() {
    for way in ["logout", "logout_all", "end_session", "password", "replaced", "limit", "reuse"] {
        let world = World::new();
        let auth = full_node(&world).await;
        let ada = register(&auth, "ada").await;
        let pair = start_session(&auth, &ada).await;
        let other = start_session(&auth, &ada).await;
        let claims = auth.authenticate(&other.access, Check::Stateless).await.unwrap().claims;
        assert_eq!(access(&auth, &pair).await, None, "{way}");
        let client = ClientInfo::unknown();
        match way {
            "logout" => auth.logout(&Presented::access(&pair.access), &client).await.unwrap(),
            "logout_all" => auth.logout_all(&claims, &client).await.unwrap(),
            "end_session" => auth.end_session(&ada.id, pair.session, &client).await.unwrap(),
            "password" => {
                auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap();
                // The session that goes on has other tokens now.
                assert_eq!(access(&auth, &other).await, REVOKED);
            }
            "replaced" => {
                let client = client.with_refresh_token(pair.refresh.as_str());
                auth.start_session(&ada, &client).await.unwrap();
            }
            "limit" => {
                world.clock.advance(Duration::from_secs(1));
                for _ in 0..99 {
                    start_session(&auth, &ada).await;
                }
            }
            _ => {
                auth.refresh(&pair.refresh, &client).await.unwrap();
                assert_eq!(access(&auth, &pair).await, None, "{way}");
                world.clock.advance(Duration::from_secs(11));
                assert_eq!(access(&auth, &pair).await, None, "{way}");
                assert_eq!(kind(auth.refresh(&pair.refresh, &client).await), Some(ErrorKind::RefreshReused));
            }
        }
        assert_eq!(access(&auth, &pair).await, REVOKED, "{way}");
    }
}

#[tokio::test]
async fn an_ending_elsewhere_counts_after_the_next_poll() {
    let world = World::new();
    let (full, there) = (full_node(&world).await, world.node());
    let ada = register(&full, "ada").await;
    let pair = start_session(&full, &ada).await;
    assert_eq!(access(&full, &pair).await, None);
    there.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    assert_eq!(access(&full, &pair).await, None);
    full.poll_revocations().await.unwrap();
    assert_eq!(access(&full, &pair).await, REVOKED);
}

#[tokio::test]
async fn an_ending_while_the_store_answers_is_not_missed() {
    let world = World::new();
    let auth = full_node(&world).await;
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.hold_all("end");
    let logout = tokio::spawn({
        let (auth, refresh) = (auth.clone(), pair.refresh.clone());
        async move { auth.logout(&Presented::refresh(&refresh), &ClientInfo::unknown()).await }
    });
    // The logout has revoked the session on this node, and the store has not written it yet.
    while world.store.take_calls() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(access(&auth, &pair).await, None);
    world.store.release_all();
    logout.await.unwrap().unwrap();
    assert_eq!(access(&auth, &pair).await, REVOKED);
}

#[tokio::test]
async fn one_question_is_under_way_for_each_session() {
    let world = World::new();
    let auth = full_node(&world).await;
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.hold_all("find");
    world.store.take_calls();
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (auth, pair) = (auth.clone(), pair.clone());
            tokio::spawn(async move { access(&auth, &pair).await })
        })
        .collect();
    // The request that has asked hangs up. The others need its answer.
    while world.store.take_calls() == 0 {
        tokio::task::yield_now().await;
    }
    requests[0].abort();
    world.store.release_all();
    for request in requests.into_iter().skip(1) {
        assert_eq!(request.await.unwrap(), None);
    }
    assert_eq!(world.store.take_calls(), 0);
}

#[tokio::test]
async fn too_many_questions_are_refused_with_a_time_to_come_back() {
    let world = World::new();
    let auth = full_node(&world).await;
    let mut pairs = Vec::new();
    for number in 0..300 {
        let user = add_user(&world, 1000 + number).await;
        pairs.push(start_session(&auth, &user).await);
    }
    world.store.hold_all("find");
    let requests: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let (auth, pair) = (auth.clone(), pair.clone());
            tokio::spawn(async move { auth.authenticate(&pair.access, Check::Stateless).await.map(drop) })
        })
        .collect();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let refused = requests.iter().filter(|request| request.is_finished()).count();
    assert_eq!(refused, 300 - 256);
    world.store.release_all();
    let mut admitted = 0;
    for request in requests {
        match request.await.unwrap() {
            Ok(()) => admitted += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Overloaded);
                assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
            }
        }
    }
    assert_eq!(admitted, 256);
    // All have their turn when the store answers again.
    for pair in &pairs {
        assert_eq!(access(&auth, pair).await, None);
    }
}

#[tokio::test]
async fn an_outage_while_the_set_is_full_is_503_and_is_not_remembered() {
    let world = World::new();
    let auth = full_node(&world).await;
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.fail("find", Failure::Before);
    assert_eq!(access(&auth, &pair).await, Some(ErrorKind::StoreUnavailable));
    world.store.recover();
    assert_eq!(access(&auth, &pair).await, None);
    // What the store has answered counts in an outage that begins now, for a poll's length.
    world.store.fail("*", Failure::Before);
    assert_eq!(access(&auth, &pair).await, None);
    world.clock.advance(POLL);
    assert_eq!(access(&auth, &pair).await, Some(ErrorKind::StoreUnavailable));
}

#[tokio::test]
async fn an_explicit_check_of_the_session_is_always_asked() {
    let world = World::new();
    let auth = full_node(&world).await;
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    assert_eq!(access(&auth, &pair).await, None);
    world.store.take_calls();
    for _ in 0..3 {
        auth.authenticate(&pair.access, Check::Session).await.unwrap();
    }
    assert_eq!(world.store.take_calls(), 3);
}

#[tokio::test]
async fn an_answer_that_came_late_counts_for_no_other_request() {
    let world = World::new();
    let (auth, other) = (full_node(&world).await, world.node());
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    // The store has read the session, and its answer is on the way.
    world.store.hold_answers("find");
    let first = tokio::spawn({
        let (auth, pair) = (auth.clone(), pair.clone());
        async move { access(&auth, &pair).await }
    });
    world.store.held().await;
    other.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    world.clock.advance(POLL);
    let second = tokio::spawn(async move { access(&auth, &pair).await });
    tokio::task::yield_now().await;
    world.store.release();
    assert_eq!(first.await.unwrap(), None);
    assert_eq!(second.await.unwrap(), REVOKED);
}
