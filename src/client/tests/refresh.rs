//! Who refreshes, how often, and what becomes of those who wait.

use super::*;

/// What so many requests come to that are all refused before the refresh is let through.
async fn refused_at_once(
    world: &World,
    auth: &ClientAuth,
    requests: usize,
) -> Vec<Result<StatusCode, ClientErrorKind>> {
    world.refuse_access();
    world.may_refresh.forget_permits(100_000);
    let waiting: Vec<_> = (0..requests)
        .map(|_| {
            let (world, auth) = (world.clone(), auth.clone());
            tokio::spawn(async move { call(&world, &auth, "/notes").await })
        })
        .collect();
    while world.seen("/notes") < requests {
        tokio::task::yield_now().await;
    }
    // Each of them has its answer, and has seen that it has to wait.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.may_refresh.add_permits(100_000);
    let mut answers = Vec::new();
    for waiting in waiting {
        answers.push(waiting.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_are_refused_at_once_make_one_refresh() {
    let world = World::new();
    let auth = world.logged_in().await;
    let answers = refused_at_once(&world, &auth, 100).await;
    assert!(answers.iter().all(|answer| *answer == OK), "{answers:?}");
    assert_eq!((world.seen("/auth/refresh"), world.seen("/notes")), (1, 200));
}

#[tokio::test]
async fn many_that_are_refused_at_once_share_what_is_wrong_with_the_refresh() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.refresh_attempts(1));
    auth.log_in("ada", "open sesame 42".into()).await.unwrap();
    world.fault(Fault::Lost);
    let answers = refused_at_once(&world, &auth, 100).await;
    assert!(answers.iter().all(|answer| *answer == Err(ClientErrorKind::Unreachable)), "{answers:?}");
    assert_eq!(world.seen("/auth/refresh"), 1);
}

#[tokio::test]
async fn a_token_that_is_older_than_the_current_one_is_replaced_without_a_refresh() {
    let world = World::new();
    let auth = world.logged_in().await;
    let old = auth.usable().await.unwrap().unwrap();
    world.refuse_access();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    let newer = auth.after(&old).await.unwrap().unwrap();
    assert!(!newer.is_same_as(&old));
    assert_eq!(world.seen("/auth/refresh"), 1);
}

#[tokio::test]
async fn a_token_that_is_about_to_expire_is_refreshed_before_it_is_sent() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.clock.advance(Duration::from_secs(869));
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 0));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
    assert_eq!(world.seen("/notes"), 2, "no request was in vain");
}

#[tokio::test]
async fn a_token_that_is_still_good_is_used_while_the_server_is_away() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.refresh_attempts(2));
    auth.log_in("ada", "open sesame 42".into()).await.unwrap();
    world.clock.advance(Duration::from_secs(890));
    for _ in 0..4 {
        world.fault(Fault::Lost);
    }
    for _ in 0..5 {
        assert_eq!(call(&world, &auth, "/notes").await, OK);
    }
    assert_eq!(world.seen("/auth/refresh"), 2, "it is not asked again for a second");
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Unreachable), "expired by now");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(call(&world, &auth, "/notes").await, OK, "and nobody was signed out");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_token() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    world.fault(Fault::Unanswered);
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert_eq!((world.seen("/auth/refresh"), world.server().generation), (2, 1));

    // As well where the server could not tell what had happened.
    for status in [500, 502, 503, 504] {
        world.refuse_access();
        world.fault(Fault::Instead(status, "0", ""));
        assert_eq!(call(&world, &auth, "/notes").await, OK, "{status}");
    }
}

#[tokio::test]
async fn what_is_no_verdict_on_the_session_ends_nothing() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.refresh_attempts(1));
    auth.log_in("ada", "open sesame 42".into()).await.unwrap();
    let stored = world.storage.stored().await;
    for (fault, expected) in [
        (Fault::Lost, ClientErrorKind::Unreachable),
        (Fault::Instead(503, "7", r#"{"code":"store_unavailable"}"#), ClientErrorKind::Refused),
        (Fault::Instead(429, "7", r#"{"code":"too_many_attempts"}"#), ClientErrorKind::Refused),
        (Fault::Instead(500, "", r#"{"code":"internal"}"#), ClientErrorKind::Refused),
        (Fault::Instead(404, "", "nothing here"), ClientErrorKind::Refused),
        (Fault::Instead(401, "", "<html>the network's login page"), ClientErrorKind::Refused),
        (Fault::Instead(401, "", r#"{"message":"No API key found"}"#), ClientErrorKind::Refused),
        (Fault::Instead(401, "", r#"{"code":"refresh_missing"}"#), ClientErrorKind::Refused),
        (Fault::Instead(200, "", "<html>the network's login page"), ClientErrorKind::Unexpected),
        (Fault::Instead(302, "", ""), ClientErrorKind::Unexpected),
    ] {
        world.refuse_access();
        world.fault(fault.clone());
        assert_eq!(call(&world, &auth, "/notes").await, Err(expected), "{fault:?}");
        assert_eq!(world.storage.stored().await, stored);
        world.clock.advance(Duration::from_secs(7));
    }
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}

#[tokio::test]
async fn an_outage_says_when_to_come_back_and_is_not_waited_for_beyond_the_grace() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.clock.advance(LIFETIME);
    world.fault(Fault::Instead(503, "60", r#"{"code":"store_unavailable","detail":"Later."}"#));
    let error = auth.access_token().await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(StatusCode::SERVICE_UNAVAILABLE), Some("store_unavailable")));
    assert_eq!((error.retry_after(), error.detail()), (Some(Duration::from_secs(60)), Some("Later.")));
    assert_eq!(world.seen("/auth/refresh"), 1);
}

#[tokio::test]
async fn who_is_told_when_to_come_back_does_not_come_before() {
    let world = World::new();
    let auth = world.logged_in().await;
    for (status, code) in [(429, r#"{"code":"too_many_attempts"}"#), (503, r#"{"code":"store_unavailable"}"#)] {
        for refused in [false, true] {
            let asked = world.seen("/auth/refresh");
            if refused {
                world.refuse_access();
            } else {
                world.clock.advance(LIFETIME);
            }
            world.fault(Fault::Instead(status, "60", code));
            for seconds in [0, 0, 59] {
                world.clock.advance(Duration::from_secs(seconds));
                assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Refused));
            }
            assert_eq!(auth.access_token().await.is_err(), !refused, "what has not expired is still shown");
            assert_eq!(world.seen("/auth/refresh"), asked + 1);
            world.clock.advance(Duration::from_secs(1));
            assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, asked + 2));
        }
    }

    // A wait without measure is not believed, and a new session waits for nothing.
    world.refuse_access();
    world.fault(Fault::Instead(429, "31536000", ""));
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Refused));
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    world.refuse_access();
    world.fault(Fault::Instead(429, "60", ""));
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Refused));
    auth.log_in("ada", "open sesame 42".into()).await.unwrap();
    world.server().good.clear();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}

#[tokio::test]
async fn a_token_that_is_good_waits_for_no_server_that_hangs() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.timeout(Duration::from_secs(2)));
    auth.log_in("ada", "open sesame 42".into()).await.unwrap();
    world.clock.advance(Duration::from_secs(890));
    world.may_refresh.forget_permits(100_000);
    for _ in 0..3 {
        assert_eq!(call(&world, &auth, "/notes").await, OK);
        assert!(auth.state().flight.is_some(), "it goes on");
    }
    assert_eq!(world.server().generation, 0);
    world.may_refresh.add_permits(100_000);
    auth.settled().await;
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"), "and what it brings is stored");
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_no_refresh_along() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    world.may_refresh.forget_permits(100_000);
    let leaving = tokio::spawn({
        let (world, auth) = (world.clone(), auth.clone());
        async move { call(&world, &auth, "/notes").await }
    });
    while auth.state().held.is_none() || world.seen("/notes") < 1 || world.may_refresh.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    world.may_refresh.add_permits(100_000);
    auth.settled().await;
    assert_eq!(world.server().generation, 1);
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"), "what the server gave is stored");
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
}

#[test]
fn a_runtime_that_ends_in_the_middle_leaves_the_next_one_a_good_token() {
    let world = World::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let auth = first.block_on(world.logged_in());
    world.refuse_access();
    world.may_refresh.forget_permits(100_000);
    first.block_on(async {
        let calling = call(&world, &auth, "/notes");
        tokio::select! {
            biased;
            _ = calling => panic!("the refresh is held"),
            () = async { for _ in 0..100 { tokio::task::yield_now().await; } } => {}
        }
    });
    drop(first);
    world.may_refresh.add_permits(100_000);
    assert_eq!(runtime().block_on(call(&world, &auth, "/notes")), OK);
}

#[test]
fn without_a_runtime_it_is_an_error_and_no_panic() {
    let world = World::new();
    let auth = world.process();
    let waker = std::task::Waker::noop();
    let mut asking = Box::pin(auth.access_token());
    let polled = asking.as_mut().poll(&mut std::task::Context::from_waker(waker));
    assert!(matches!(polled, std::task::Poll::Ready(Err(error)) if error.kind() == ClientErrorKind::Interrupted));
}

#[tokio::test]
async fn the_end_of_a_session_is_the_servers_401_and_an_empty_storage() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    world.server().ended = true;
    assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    assert_eq!(world.storage.stored().await, None);
    assert!(!auth.is_signed_in().await.unwrap());
    assert_eq!(call(&world, &auth, "/open").await, OK, "what is open to anybody still is");
    assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    assert_eq!(world.seen("/auth/refresh"), 1, "nobody asks for a session that is over");

    auth.log_in("ada", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}
