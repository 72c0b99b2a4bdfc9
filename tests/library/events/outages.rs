//! Events while a store cannot be reached: none says that something happened that did not, and an
//! unknown result is reported as unknown.

use std::time::Duration;

use portcullis::{
    ErrorKind, Profile, Registration,
    auth::{Check, ClientInfo, Presented},
    clock::Timestamp,
    session::{EndReason, Ended},
    store::SessionStore,
};

use super::{log_in, node, node_with, now};
use crate::event_log::{EventLog, brief};
use crate::fixture::{Failure, PASSWORD, Pair, World, kind, register, start_session};

fn unavailable(operation: &str, may_have_happened: bool) -> String {
    format!("store.unavailable may_have_happened={may_have_happened} operation={operation}")
}

#[tokio::test]
async fn a_failed_call_emits_the_outage_and_nothing_else() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    let client = ClientInfo::unknown();
    for failure in [Failure::Before, Failure::After] {
        for (call, operation, writes) in [
            ("create_user", "register", true),
            ("find_by_login", "login", false),
            ("create_session", "login", true),
            ("create_session", "start_session", true),
            ("find_by_id", "refresh", false),
            ("rotate", "refresh", true),
            ("find_by_id", "change_password", false),
            ("set_password", "change_password", true),
            ("bump_token_version", "logout_all", true),
            ("bump_token_version", "end_sessions", true),
            ("list", "list_sessions", false),
        ] {
            sink.take();
            world.store.fail(call, failure);
            let failed = match operation {
                "register" => {
                    let name = format!("{failure:?}@example.com");
                    auth.register(Registration::new(name, PASSWORD, Profile::default()), &ClientInfo::unknown())
                        .await
                        .is_err()
                }
                "login" => log_in(&auth, PASSWORD).await.is_none(),
                "start_session" => auth.start_session(&user, &client).await.is_err(),
                "refresh" => auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.is_err(),
                "change_password" => {
                    // The password stays the same, so that it can be changed again.
                    auth.change_password(&claims, PASSWORD.into(), PASSWORD.into(), &client).await.is_err()
                }
                "logout_all" => auth.logout_all(&claims, &ClientInfo::unknown()).await.is_err(),
                "end_sessions" => auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.is_err(),
                _ => auth.sessions(&user.id).await.is_err(),
            };
            world.store.recover();
            assert!(failed, "{operation} {call} {failure:?}");
            assert_eq!(sink.brief(), [unavailable(operation, writes)], "{operation} {call} {failure:?}");
        }
    }
}

#[tokio::test]
async fn the_end_of_a_session_is_emitted_when_the_store_has_it() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let (one, other) = (start_session(&auth, &user).await, start_session(&auth, &user).await);
    sink.take();
    world.store.fail("end", Failure::Before);
    auth.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap_err();
    assert_eq!(sink.brief(), [unavailable("logout", true)]);
    auth.poll_revocations().await.unwrap();
    assert!(sink.take().is_empty(), "the store cannot have it yet");
    world.store.recover();
    for expected in [&["session.ended reason=logout"][..], &[]] {
        auth.poll_revocations().await.unwrap();
        let events = sink.take();
        assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), expected);
        assert!(events.iter().all(|event| event.session_id == Some(one.session)));
    }
    world.store.fail("end_all", Failure::Before);
    auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap_err();
    assert_eq!(sink.brief(), [unavailable("end_sessions", true)]);
    world.store.recover();
    auth.poll_revocations().await.unwrap();
    auth.poll_revocations().await.unwrap();
    assert_eq!(sink.brief(), ["user.sessions_ended reason=by_app"]);
    auth.refresh(&other.refresh, &ClientInfo::unknown()).await.unwrap_err();
}

#[tokio::test]
async fn an_end_whose_answer_was_lost_is_emitted_as_unknown() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    sink.take();
    world.store.fail("end", Failure::After);
    auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap_err();
    world.store.recover();
    auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    auth.poll_revocations().await.unwrap();
    assert_eq!(sink.brief(), [unavailable("logout", true)]);
}

/// Drops a flow while its call is held, and lets the call go on.
async fn hang_up<T: Send + 'static>(world: &World, call: &'static str, flow: impl Future<Output = T> + Send + 'static) {
    world.store.hold(call);
    let caller = tokio::spawn(flow);
    world.store.held().await;
    caller.abort();
    assert!(caller.await.is_err_and(|error| error.is_cancelled()));
    world.store.release();
}

/// Waits for the events of a flow that goes on without its caller.
async fn events_of_task(sink: &EventLog) -> Vec<String> {
    for _ in 0..100_000 {
        let emitted = sink.brief();
        if !emitted.is_empty() {
            return emitted;
        }
        tokio::task::yield_now().await;
    }
    Vec::new()
}

#[tokio::test]
async fn a_session_ends_even_if_the_client_hangs_up() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let (one, other, last) =
        (start_session(&auth, &user).await, start_session(&auth, &user).await, start_session(&auth, &user).await);
    sink.take();
    let end = |id| {
        let (auth, user) = (auth.clone(), user.id.clone());
        async move { auth.end_session(&user, id, &ClientInfo::unknown()).await }
    };
    let refused = async |pair: &Pair| kind(auth.authenticate(&pair.access, Check::Stateless).await);
    assert_eq!(refused(&one).await, None);

    hang_up(&world, "end", end(one.session)).await;
    assert_eq!(events_of_task(&sink).await, ["session.ended reason=ended_by_user"]);
    world.store.idle_after("end").await;
    tokio::task::yield_now().await;
    assert_eq!(refused(&one).await, Some(ErrorKind::TokenRevoked));

    // The store is asked again when its answer is lost.
    world.store.lose_next_answer("end");
    end(other.session).await.unwrap();
    assert_eq!(sink.brief(), ["session.ended reason=ended_by_user"]);
    assert_eq!(refused(&other).await, Some(ErrorKind::TokenRevoked));

    // A session that the store could not end ends later. The session of another user does not.
    let eve = register(&auth, "eve").await;
    let hers = start_session(&auth, &eve).await;
    sink.take();
    world.store.fail("end", Failure::Before);
    for id in [last.session, hers.session] {
        end(id).await.unwrap_err();
        assert_eq!(sink.brief(), [unavailable("end_session", true)]);
    }
    world.store.recover();
    auth.poll_revocations().await.unwrap();
    assert_eq!(sink.brief(), ["session.ended reason=ended_by_user"]);
    assert_eq!((refused(&last).await, refused(&hers).await), (Some(ErrorKind::TokenRevoked), None));
}

#[tokio::test]
async fn an_end_whose_first_answer_was_lost_is_emitted_once() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    sink.take();
    for expected in [&["session.ended reason=logout"][..], &[]] {
        world.store.lose_next_answer("end");
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
        assert_eq!(sink.brief(), expected);
        // Without this the store would take the second call for a repetition of the first.
        world.clock.advance(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_password_change_is_emitted_before_the_sessions_end() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    sink.take();
    world.store.fail("end_all", Failure::Before);
    let changed =
        auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown()).await;
    changed.unwrap_err();
    assert_eq!(sink.brief(), ["password.changed".to_owned(), unavailable("change_password", true)]);
    world.store.recover();
    auth.poll_revocations().await.unwrap();
    assert_eq!(sink.brief(), ["user.sessions_ended reason=password_changed"]);
}

#[tokio::test]
async fn an_outage_is_emitted_after_the_caller_has_hung_up() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    for (call, operation) in [
        ("end", "logout"),
        ("end", "end_session"),
        ("bump_token_version", "end_sessions"),
        ("set_password", "change_password"),
        // It is the last, because it raises the version.
        ("end_all", "logout_all"),
    ] {
        sink.take();
        world.store.fail(call, Failure::Before);
        let (auth, user, claims, pair) = (auth.clone(), user.id.clone(), claims.clone(), pair.clone());
        let flow = async move {
            match operation {
                "logout" => auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.is_ok(),
                "end_session" => auth.end_session(&user, pair.session, &ClientInfo::unknown()).await.is_ok(),
                "logout_all" => auth.logout_all(&claims, &ClientInfo::unknown()).await.is_ok(),
                "end_sessions" => auth.end_sessions_of(&user, &ClientInfo::unknown()).await.is_ok(),
                _ => auth
                    .change_password(&claims, PASSWORD.into(), PASSWORD.into(), &ClientInfo::unknown())
                    .await
                    .is_ok(),
            }
        };
        hang_up(&world, call, flow).await;
        assert_eq!(events_of_task(&sink).await, [unavailable(operation, true)], "{operation}");
        world.store.recover();
    }
}

#[tokio::test]
async fn a_failure_after_the_password_was_written_is_uncertain() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    sink.take();
    world.store.hold("end_all");
    let change = tokio::spawn({
        let auth = auth.clone();
        async move {
            auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown())
                .await
                .is_ok()
        }
    });
    world.store.held().await;
    // The session has ended and cannot be kept, so that the user is read for a new one.
    let ended =
        Ended { at: now(&world), reason: EndReason::TokenVersion, keep_until: Timestamp::from_secs(2_000_000_000) };
    assert!(world.store.memory.end(&user.id, &pair.session, ended).await.unwrap());
    world.store.fail("find_by_id", Failure::Before);
    world.store.release();
    assert!(!change.await.unwrap());
    let emitted = ["password.changed".to_owned(), "user.sessions_ended reason=password_changed".to_owned()];
    assert_eq!(sink.brief(), [&emitted[..], &[unavailable("change_password", true)]].concat());
}

#[tokio::test]
async fn a_later_end_of_all_sessions_replaces_an_older_one() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    sink.take();
    let missed = async || {
        world.store.fail("end_all", Failure::Before);
        auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap_err();
        assert_eq!(sink.brief(), [unavailable("end_sessions", true)]);
        world.store.recover();
    };
    missed().await;
    missed().await;
    auth.poll_revocations().await.unwrap();
    assert_eq!(sink.brief(), ["user.sessions_ended reason=by_app"], "the later one replaces the older");
    missed().await;
    auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap();
    auth.poll_revocations().await.unwrap();
    assert_eq!(sink.brief(), ["user.sessions_ended reason=by_app"]);
}

#[tokio::test]
async fn an_end_without_an_event_replaces_none_that_has_one() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    sink.take();
    world.store.fail("end_all", Failure::Before);
    auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap_err();
    world.store.recover();
    // It finds the raised version, and ends the other sessions of lower versions.
    auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap_err();
    sink.take();
    auth.poll_revocations().await.unwrap();
    assert_eq!(sink.brief(), ["user.sessions_ended reason=by_app"]);
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_emitted_once() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node_with(&world, &sink, |builder| builder.refresh_grace(Duration::ZERO));
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    sink.take();
    world.store.lose_next_answer("rotate");
    auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
    assert_eq!(sink.brief(), ["session.refreshed"]);
    // The call whose answer was lost has found the reuse. The second call reads that in the record,
    // and it is emitted once.
    for expected in [
        &["session.reuse_found", "session.ended reason=reuse"][..],
        &["session.refresh_refused ended_by=reuse reason=ended"],
    ] {
        world.store.lose_next_answer("rotate");
        auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap_err();
        assert_eq!(sink.brief(), expected);
        world.clock.advance(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_thief_who_hangs_up_does_not_stop_the_alarm() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node_with(&world, &sink, |builder| builder.refresh_grace(Duration::ZERO));
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let current = auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
    sink.take();
    let theft = auth.clone();
    hang_up(&world, "rotate", async move { theft.refresh(&pair.refresh, &ClientInfo::unknown()).await.is_ok() }).await;
    assert_eq!(events_of_task(&sink).await, ["session.reuse_found", "session.ended reason=reuse"]);
    let access = current.tokens.access_token.expose();
    auth.authenticate(access, Check::Stateless).await.unwrap_err();
}
