//! A store that cannot be reached: nothing is told that did not happen, and what nobody knows is said to be unknown.

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
async fn a_failed_call_tells_of_the_outage_and_of_nothing_else() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
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
            ear.take();
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
                    // The same password, so that it can be changed again.
                    auth.change_password(&claims, PASSWORD.into(), PASSWORD.into(), &client).await.is_err()
                }
                "logout_all" => auth.logout_all(&claims, &ClientInfo::unknown()).await.is_err(),
                "end_sessions" => auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.is_err(),
                _ => auth.sessions(&user.id).await.is_err(),
            };
            world.store.recover();
            assert!(failed, "{operation} {call} {failure:?}");
            assert_eq!(ear.brief(), [unavailable(operation, writes)], "{operation} {call} {failure:?}");
        }
    }
}

#[tokio::test]
async fn an_ending_that_the_store_missed_is_told_when_it_is_brought() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let (one, other) = (start_session(&auth, &user).await, start_session(&auth, &user).await);
    ear.take();
    world.store.fail("end", Failure::Before);
    auth.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap_err();
    assert_eq!(ear.brief(), [unavailable("logout", true)]);
    auth.poll_revocations().await.unwrap();
    assert!(ear.take().is_empty(), "it cannot be brought yet");
    world.store.recover();
    for expected in [&["session.ended reason=logout"][..], &[]] {
        auth.poll_revocations().await.unwrap();
        let events = ear.take();
        assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), expected);
        assert!(events.iter().all(|event| event.session_id == Some(one.session)));
    }
    world.store.fail("end_all", Failure::Before);
    auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap_err();
    assert_eq!(ear.brief(), [unavailable("end_sessions", true)]);
    world.store.recover();
    auth.poll_revocations().await.unwrap();
    auth.poll_revocations().await.unwrap();
    assert_eq!(ear.brief(), ["user.sessions_ended reason=by_app"]);
    auth.refresh(&other.refresh, &ClientInfo::unknown()).await.unwrap_err();
}

#[tokio::test]
async fn an_ending_whose_answer_was_lost_is_said_to_be_unknown_and_never_told_twice() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    ear.take();
    world.store.fail("end", Failure::After);
    auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap_err();
    world.store.recover();
    auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    auth.poll_revocations().await.unwrap();
    assert_eq!(ear.brief(), [unavailable("logout", true)]);
}

/// Hangs up while a flow's call is held, and lets the call go on.
async fn hang_up<T: Send + 'static>(world: &World, call: &'static str, flow: impl Future<Output = T> + Send + 'static) {
    world.store.hold(call);
    let caller = tokio::spawn(flow);
    world.store.held().await;
    caller.abort();
    assert!(caller.await.is_err_and(|error| error.is_cancelled()));
    world.store.release();
}

/// What is told until there is something, by a flow that goes on without its caller.
async fn told_at_last(ear: &EventLog) -> Vec<String> {
    for _ in 0..100_000 {
        let told = ear.brief();
        if !told.is_empty() {
            return told;
        }
        tokio::task::yield_now().await;
    }
    Vec::new()
}

#[tokio::test]
async fn a_listed_session_ends_whether_or_not_its_user_waits_for_it() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let (one, other, last) =
        (start_session(&auth, &user).await, start_session(&auth, &user).await, start_session(&auth, &user).await);
    ear.take();
    let end = |id| {
        let (auth, user) = (auth.clone(), user.id.clone());
        async move { auth.end_session(&user, id, &ClientInfo::unknown()).await }
    };
    let refused = async |pair: &Pair| kind(auth.authenticate(&pair.access, Check::Stateless).await);
    assert_eq!(refused(&one).await, None);

    hang_up(&world, "end", end(one.session)).await;
    assert_eq!(told_at_last(&ear).await, ["session.ended reason=ended_by_user"]);
    world.store.idle_after("end").await;
    tokio::task::yield_now().await;
    assert_eq!(refused(&one).await, Some(ErrorKind::TokenRevoked));

    // A lost answer is asked for again.
    world.store.lose_next_answer("end");
    end(other.session).await.unwrap();
    assert_eq!(ear.brief(), ["session.ended reason=ended_by_user"]);
    assert_eq!(refused(&other).await, Some(ErrorKind::TokenRevoked));

    // One that the store could not take is brought, and another user's is not.
    let eve = register(&auth, "eve").await;
    let hers = start_session(&auth, &eve).await;
    ear.take();
    world.store.fail("end", Failure::Before);
    for id in [last.session, hers.session] {
        end(id).await.unwrap_err();
        assert_eq!(ear.brief(), [unavailable("end_session", true)]);
    }
    world.store.recover();
    auth.poll_revocations().await.unwrap();
    assert_eq!(ear.brief(), ["session.ended reason=ended_by_user"]);
    assert_eq!((refused(&last).await, refused(&hers).await), (Some(ErrorKind::TokenRevoked), None));
}

#[tokio::test]
async fn an_ending_whose_first_answer_was_lost_is_told_once() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    ear.take();
    for expected in [&["session.ended reason=logout"][..], &[]] {
        world.store.lose_next_answer("end");
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
        assert_eq!(ear.brief(), expected);
        // Or it would be the very ending that was asked for.
        world.clock.advance(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_password_that_was_changed_is_told_though_the_other_sessions_end_later() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    ear.take();
    world.store.fail("end_all", Failure::Before);
    let changed =
        auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown()).await;
    changed.unwrap_err();
    assert_eq!(ear.brief(), ["password.changed".to_owned(), unavailable("change_password", true)]);
    world.store.recover();
    auth.poll_revocations().await.unwrap();
    assert_eq!(ear.brief(), ["user.sessions_ended reason=password_changed"]);
}

#[tokio::test]
async fn an_outage_is_told_though_nobody_waits_any_more() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    for (call, operation) in [
        ("end", "logout"),
        ("end", "end_session"),
        ("bump_token_version", "end_sessions"),
        ("set_password", "change_password"),
        // The last, because it raises the version.
        ("end_all", "logout_all"),
    ] {
        ear.take();
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
        assert_eq!(told_at_last(&ear).await, [unavailable(operation, true)], "{operation}");
        world.store.recover();
    }
}

#[tokio::test]
async fn what_fails_after_the_password_was_written_may_have_happened() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    ear.take();
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
    // The session is not there to be kept, so that the user is read for another one.
    let ended =
        Ended { at: now(&world), reason: EndReason::TokenVersion, keep_until: Timestamp::from_secs(2_000_000_000) };
    assert!(world.store.memory.end(&user.id, &pair.session, ended).await.unwrap());
    world.store.fail("find_by_id", Failure::Before);
    world.store.release();
    assert!(!change.await.unwrap());
    let told = ["password.changed".to_owned(), "user.sessions_ended reason=password_changed".to_owned()];
    assert_eq!(ear.brief(), [&told[..], &[unavailable("change_password", true)]].concat());
}

#[tokio::test]
async fn an_older_ending_of_all_is_not_brought_after_a_later_one() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    ear.take();
    let missed = async || {
        world.store.fail("end_all", Failure::Before);
        auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap_err();
        assert_eq!(ear.brief(), [unavailable("end_sessions", true)]);
        world.store.recover();
    };
    missed().await;
    missed().await;
    auth.poll_revocations().await.unwrap();
    assert_eq!(ear.brief(), ["user.sessions_ended reason=by_app"], "the later one covers the older");
    missed().await;
    auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap();
    auth.poll_revocations().await.unwrap();
    assert_eq!(ear.brief(), ["user.sessions_ended reason=by_app"]);
}

#[tokio::test]
async fn an_ending_of_all_that_nobody_tells_of_covers_none_that_is_to_be_told() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    ear.take();
    world.store.fail("end_all", Failure::Before);
    auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap_err();
    world.store.recover();
    // It finds the raised version, and writes the floor.
    auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap_err();
    ear.take();
    auth.poll_revocations().await.unwrap();
    assert_eq!(ear.brief(), ["user.sessions_ended reason=by_app"]);
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_told_once_when_the_store_says_so() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node_with(&world, &ear, |builder| builder.refresh_grace(Duration::ZERO));
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    ear.take();
    world.store.lose_next_answer("rotate");
    auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
    assert_eq!(ear.brief(), ["session.refreshed"]);
    // The reuse was found by the call whose answer was lost; asked again, the record says so, and says it once.
    for expected in [
        &["session.reuse_found", "session.ended reason=reuse"][..],
        &["session.refresh_refused ended_by=reuse reason=ended"],
    ] {
        world.store.lose_next_answer("rotate");
        auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap_err();
        assert_eq!(ear.brief(), expected);
        world.clock.advance(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_thief_who_hangs_up_does_not_take_the_alarm_along() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node_with(&world, &ear, |builder| builder.refresh_grace(Duration::ZERO));
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let current = auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
    ear.take();
    let theft = auth.clone();
    hang_up(&world, "rotate", async move { theft.refresh(&pair.refresh, &ClientInfo::unknown()).await.is_ok() }).await;
    assert_eq!(told_at_last(&ear).await, ["session.reuse_found", "session.ended reason=reuse"]);
    let access = current.tokens.access_token.expose();
    auth.authenticate(access, Check::Stateless).await.unwrap_err();
}
