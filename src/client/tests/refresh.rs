//! When the client refreshes, how often, and what the waiting requests get.

use super::*;

/// Sends requests that are all refused before the refresh gets its answer. Returns their results.
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
    // Lets each of them read its answer and wait for the refresh.
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
async fn requests_refused_at_once_share_one_refresh() {
    let world = World::new();
    let auth = world.logged_in().await;
    let answers = refused_at_once(&world, &auth, 100).await;
    assert!(answers.iter().all(|answer| *answer == OK), "{answers:?}");
    assert_eq!((world.seen("/auth/refresh"), world.seen("/notes")), (1, 200));
}

#[tokio::test]
async fn requests_refused_at_once_share_the_error_of_the_refresh() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.refresh_attempts(1));
    auth.login("ada", "open sesame 42".into()).await.unwrap();
    world.fault(Fault::Lost);
    let answers = refused_at_once(&world, &auth, 100).await;
    assert!(answers.iter().all(|answer| *answer == Err(ClientErrorKind::Unreachable)), "{answers:?}");
    assert_eq!(world.seen("/auth/refresh"), 1);
}

#[tokio::test]
async fn a_token_older_than_the_current_one_needs_no_refresh() {
    let world = World::new();
    let auth = world.logged_in().await;
    let old = auth.usable().await.unwrap().unwrap();
    world.refuse_access();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    let newer = auth.replacement_of(&old).await.unwrap().unwrap();
    assert!(!newer.is_same_as(&old));
    assert_eq!(world.seen("/auth/refresh"), 1);
}

#[tokio::test]
async fn a_token_that_expires_soon_is_refreshed_before_it_is_sent() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.clock.advance(Duration::from_secs(869));
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 0));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
    assert_eq!(world.seen("/notes"), 2, "no request was refused");
}

#[tokio::test]
async fn a_valid_token_is_used_while_the_server_is_unreachable() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.refresh_attempts(2));
    auth.login("ada", "open sesame 42".into()).await.unwrap();
    world.clock.advance(Duration::from_secs(890));
    for _ in 0..4 {
        world.fault(Fault::Lost);
    }
    for _ in 0..5 {
        assert_eq!(call(&world, &auth, "/notes").await, OK);
    }
    assert_eq!(world.seen("/auth/refresh"), 2, "the server is not asked again for a second");
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Unreachable), "the token has expired");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(call(&world, &auth, "/notes").await, OK, "the user is still logged in");
}

#[tokio::test]
async fn a_lost_answer_is_requested_again_with_the_same_token() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    world.fault(Fault::Unanswered);
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert_eq!((world.seen("/auth/refresh"), world.server().generation), (2, 1));

    // The same after an error of the server, which may have rotated the token.
    for status in [500, 502, 503, 504] {
        world.refuse_access();
        world.fault(Fault::Instead(status, "0", ""));
        assert_eq!(call(&world, &auth, "/notes").await, OK, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_the_session_clears_nothing() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.refresh_attempts(1));
    auth.login("ada", "open sesame 42".into()).await.unwrap();
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
async fn a_refresh_does_not_wait_for_a_retry_beyond_the_grace() {
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
async fn the_server_is_not_asked_before_its_retry_after() {
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
            assert_eq!(auth.access_token().await.is_err(), !refused, "a token that has not expired is still returned");
            assert_eq!(world.seen("/auth/refresh"), asked + 1);
            world.clock.advance(Duration::from_secs(1));
            assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, asked + 2));
        }
    }

    // A backoff is 5 min at most, and a new session has none.
    world.refuse_access();
    world.fault(Fault::Instead(429, "31536000", ""));
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Refused));
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    world.refuse_access();
    world.fault(Fault::Instead(429, "60", ""));
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Refused));
    auth.login("ada", "open sesame 42".into()).await.unwrap();
    world.server().valid.clear();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}

#[tokio::test]
async fn a_request_with_a_valid_token_does_not_wait_for_a_slow_server() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.timeout(Duration::from_secs(2)));
    auth.login("ada", "open sesame 42".into()).await.unwrap();
    world.clock.advance(Duration::from_secs(890));
    world.may_refresh.forget_permits(100_000);
    for _ in 0..3 {
        assert_eq!(call(&world, &auth, "/notes").await, OK);
        assert!(auth.state().refresh.is_some(), "the refresh goes on");
    }
    assert_eq!(world.server().generation, 0);
    world.may_refresh.add_permits(100_000);
    auth.settled().await;
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"), "its pair is stored");
}

#[tokio::test]
async fn a_caller_that_is_aborted_does_not_stop_the_refresh() {
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
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"), "the new pair is stored");
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
}

#[test]
fn after_the_end_of_a_runtime_the_next_one_gets_a_valid_token() {
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
fn a_call_without_a_runtime_is_an_error_and_no_panic() {
    let world = World::new();
    let auth = world.process();
    let waker = std::task::Waker::noop();
    let mut asking = Box::pin(auth.access_token());
    let polled = asking.as_mut().poll(&mut std::task::Context::from_waker(waker));
    assert!(matches!(polled, std::task::Poll::Ready(Err(error)) if error.kind() == ClientErrorKind::Interrupted));
}

#[tokio::test]
async fn a_session_that_the_server_ended_is_cleared_from_the_storage() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    world.server().ended = true;
    assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    assert_eq!(world.storage.stored().await, None);
    assert!(!auth.is_logged_in().await.unwrap());
    assert_eq!(call(&world, &auth, "/open").await, OK, "a route without a guard needs no session");
    assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    assert_eq!(world.seen("/auth/refresh"), 1, "an ended session is not refreshed");

    auth.login("ada", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}
