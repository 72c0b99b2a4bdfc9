//! Events that sinks get: everything that happened, once, in order, and nothing else.

mod outages;
mod secrets;
mod versions;
mod web;

use std::time::Duration;

use portcullis::{
    Auth, AuthBuilder, User,
    auth::{Check, ClientInfo, Presented},
    clock::{Clock, Timestamp},
    event::{
        AuthEvent, EndAllReason, EndReason, EventKind, LoginFailure, LoginMethod, Operation, RefreshRefusal,
        RegistrationRefusal,
    },
    session::SessionId,
    store::{NewSession, SessionLimit, SessionStore, UserAdmin, UserStore},
    user::Login,
};

use crate::event_log::{EventLog, brief};
use crate::fixture::{PASSWORD, Pair, World, kind, register, start_session};

fn node(world: &World, sink: &EventLog) -> Auth<User> {
    node_with(world, sink, |builder| builder)
}

fn node_with(
    world: &World,
    sink: &EventLog,
    settings: impl FnOnce(AuthBuilder<User>) -> AuthBuilder<User>,
) -> Auth<User> {
    world.node_with(|builder| settings(builder.event_sink(sink.clone())))
}

fn now(world: &World) -> Timestamp {
    world.clock.now()
}

fn ada() -> Login {
    Login::either("ada@example.com")
}

async fn log_in(auth: &Auth<User>, password: &str) -> Option<Pair> {
    crate::login::log_in(auth, "ada@example.com", password).await.ok().map(Pair::from)
}

#[tokio::test]
async fn each_operation_emits_its_events() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let client = ClientInfo::unknown();
    let mut table: Vec<(&str, Vec<String>)> = Vec::new();
    let mut emitted = |operation: &'static str| table.push((operation, sink.brief()));

    let user = register(&auth, "ada").await;
    emitted("register");
    let first = start_session(&auth, &user).await;
    emitted("session started by the app");
    let second = log_in(&auth, PASSWORD).await.unwrap();
    emitted("login");
    assert!(log_in(&auth, "a wrong guess").await.is_none());
    emitted("wrong password");
    auth.login(&Login::either("eve@example.com"), PASSWORD.into(), &client).await.unwrap_err();
    emitted("unknown login");
    auth.authenticate(&second.access, Check::User).await.unwrap();
    let claims = auth.authenticate(&second.access, Check::Stateless).await.unwrap().claims;
    auth.sessions(&user.id).await.unwrap();
    auth.poll_revocations().await.unwrap();
    emitted("guarded requests, a list, a poll");
    let third = Pair::from(auth.refresh(&second.refresh, &ClientInfo::unknown()).await.unwrap());
    emitted("refresh");
    auth.refresh(&second.refresh, &ClientInfo::unknown()).await.unwrap();
    emitted("refresh within the grace");
    auth.change_password(&claims, "not the password".into(), "close sesame 43".into(), &client).await.unwrap_err();
    emitted("password change, current one wrong");
    world.clock.advance(Duration::from_secs(1));
    let changed = auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap();
    emitted("password change");
    auth.refresh(&third.refresh, &ClientInfo::unknown()).await.unwrap_err();
    emitted("refresh that the change overtook");
    auth.refresh(&first.refresh, &ClientInfo::unknown()).await.unwrap_err();
    emitted("refresh of a session that the change ended");
    let changed = Pair::from(changed);
    auth.logout(&Presented::refresh(&changed.refresh), &ClientInfo::unknown()).await.unwrap();
    emitted("logout");
    auth.logout(&Presented::refresh(&changed.refresh).with_access(&changed.access), &ClientInfo::unknown())
        .await
        .unwrap();
    emitted("logout again");
    auth.refresh(&changed.refresh, &ClientInfo::unknown()).await.unwrap_err();
    emitted("refresh after logout");
    let forged = format!("{}x", changed.refresh);
    auth.refresh(&forged, &ClientInfo::unknown()).await.unwrap_err();
    auth.logout(&Presented::refresh(&forged).with_access(&forged), &ClientInfo::unknown()).await.unwrap();
    emitted("forged tokens");
    let pair = log_in(&auth, "close sesame 43").await.unwrap();
    auth.end_session(&user.id, pair.session, &ClientInfo::unknown()).await.unwrap();
    auth.end_session(&user.id, pair.session, &ClientInfo::unknown()).await.unwrap_err();
    emitted("login, ended from elsewhere, twice");
    auth.logout_all(&claims, &ClientInfo::unknown()).await.unwrap();
    auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap();
    emitted("logout everywhere, and the app");

    let expected: [(&str, &[&str]); 18] = [
        ("register", &["user.registered"]),
        ("session started by the app", &["login.succeeded method=app"]),
        ("login", &["login.succeeded method=password"]),
        ("wrong password", &["login.failed reason=wrong_password"]),
        ("unknown login", &["login.failed reason=unknown_login"]),
        ("guarded requests, a list, a poll", &[]),
        ("refresh", &["session.refreshed"]),
        ("refresh within the grace", &["session.replayed"]),
        ("password change, current one wrong", &["password.change_failed"]),
        ("password change", &["password.changed", "user.sessions_ended reason=password_changed"]),
        ("refresh that the change overtook", &["session.refresh_refused reason=superseded"]),
        (
            "refresh of a session that the change ended",
            &["session.refresh_refused ended_by=password_changed reason=ended"],
        ),
        ("logout", &["session.ended reason=logout"]),
        ("logout again", &[]),
        ("refresh after logout", &["session.refresh_refused ended_by=logout reason=ended"]),
        ("forged tokens", &[]),
        (
            "login, ended from elsewhere, twice",
            &["login.succeeded method=password", "session.ended reason=ended_by_user"],
        ),
        (
            "logout everywhere, and the app",
            &["user.sessions_ended reason=logout_all", "user.sessions_ended reason=by_app"],
        ),
    ];
    assert_eq!(table.len(), expected.len());
    for (emitted, expected) in table.iter().zip(expected) {
        assert_eq!(
            (emitted.0, emitted.1.iter().map(String::as_str).collect::<Vec<_>>()),
            (expected.0, expected.1.to_vec())
        );
    }
}

#[tokio::test]
async fn an_event_has_time_user_session_and_client() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    sink.take();
    world.clock.advance(Duration::from_secs(5));
    let mut client = ClientInfo::unknown();
    client.ip = Some([192, 0, 2, 7].into());
    client.user_agent = Some("Firefox".repeat(100));
    let tokens = auth.login(&ada(), PASSWORD.into(), &client).await.unwrap().into_logged_in().unwrap().tokens;
    let [event] = sink.take().try_into().unwrap();
    assert_eq!((event.at, event.user_id, event.ip), (now(&world), Some(user.id), client.ip));
    assert_eq!(event.session_id, Some(tokens.session_id));
    assert_eq!(event.user_agent.unwrap().len(), 256, "it is cut");

    auth.login(&Login::either("eve@example.com"), PASSWORD.into(), &client).await.unwrap_err();
    let [event] = sink.take().try_into().unwrap();
    assert_eq!((event.user_id, event.session_id, event.ip), (None, None, client.ip), "an unknown login has no user");
}

#[tokio::test]
async fn only_the_operator_learns_why_a_login_failed() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    register(&auth, "federated").await;
    world.store.memory.set_disabled(&user.id, true).await.unwrap();
    sink.take();
    let mut answers = Vec::new();
    for login in ["ada@example.com", "federated@example.com", "eve@example.com"] {
        let answer = crate::login::log_in(&auth, login, PASSWORD).await;
        answers.push(answer.unwrap_err().to_string());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer: {answers:?}");
    let reasons = ["disabled", "no_password", "unknown_login"];
    assert_eq!(sink.brief(), reasons.map(|reason| format!("login.failed reason={reason}")));
    // The same holds for a user who was authenticated by the app.
    let mut disabled = user.clone();
    disabled.disabled = true;
    auth.start_session(&disabled, &ClientInfo::unknown()).await.unwrap_err();
    let [event] = sink.take().try_into().unwrap();
    assert!(matches!(event.kind, EventKind::LoginFailed { reason: LoginFailure::Disabled, .. }));
    assert_eq!(event.user_id, Some(user.id));
}

#[tokio::test]
async fn reuse_is_emitted_once_and_ends_the_session() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node_with(&world, &sink, |builder| builder.refresh_grace(Duration::ZERO));
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    sink.take();
    // They come all at once. One is the first to use the token, and one finds the reuse.
    let mut refreshes = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (auth, refresh) = (auth.clone(), pair.refresh.clone());
        refreshes.spawn(async move { auth.refresh(&refresh, &ClientInfo::unknown()).await.is_ok() });
    }
    assert_eq!(refreshes.join_all().await.into_iter().filter(|good| *good).count(), 1);
    let events = sink.take();
    assert!(events.iter().all(|event| event.session_id == Some(pair.session)));
    let count = |name: &str| events.iter().filter(|event| brief(event) == name).count();
    assert_eq!(count("session.refreshed"), 1);
    assert_eq!(count("session.reuse_found"), 1);
    assert_eq!(count("session.ended reason=reuse"), 1);
    assert_eq!(count("session.refresh_refused ended_by=reuse reason=ended"), 8);
}

#[tokio::test]
async fn a_refresh_for_a_deleted_user_ends_the_session_once() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    world.store.memory.set_disabled(&user.id, true).await.unwrap();
    sink.take();
    for _ in 0..2 {
        auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap_err();
    }
    let refused = "session.refresh_refused reason=user_gone";
    assert_eq!(sink.brief(), ["session.ended reason=user_gone", refused, refused]);
}

#[tokio::test]
async fn each_refusal_of_a_refresh_token_has_a_reason() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let record = world.store.memory.find(&user.id, &pair.session, now(&world)).await.unwrap().unwrap();
    let next = Pair::from(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap());
    sink.take();

    // A store that has lost the session, and one that was restored from a backup from before the
    // refresh.
    let restored = World { clock: world.clock.clone(), ..World::new() };
    let there = crate::auth::builder(world.store.clone(), restored.store.clone())
        .clock(world.clock.clone())
        .event_sink(sink.clone())
        .build()
        .unwrap();
    there.refresh(&next.refresh, &ClientInfo::unknown()).await.unwrap_err();
    assert_eq!(sink.brief(), ["session.refresh_refused reason=unknown"]);
    let limit = SessionLimit::EndLeastRecentlyUsed(100);
    let new = NewSession::new(record, limit, Duration::from_secs(3600));
    SessionStore::create(&restored.store.memory, new).await.unwrap();
    there.refresh(&next.refresh, &ClientInfo::unknown()).await.unwrap_err();
    assert_eq!(sink.brief(), ["session.foreign_token"]);

    // The version was raised twice without ending the sessions. Each refusal emits an event, and
    // the end of the session emits none.
    UserStore::bump_token_version(&world.store, &user.id).await.unwrap();
    for _ in 0..2 {
        auth.refresh(&next.refresh, &ClientInfo::unknown()).await.unwrap_err();
        assert_eq!(sink.brief(), ["session.refresh_refused ended_by=token_version reason=ended"]);
    }
}

#[tokio::test]
async fn a_login_emits_the_sessions_that_it_ends_with_their_owners() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node_with(&world, &sink, |builder| builder.session_limit(SessionLimit::EndLeastRecentlyUsed(1)));
    let (user, other) = (register(&auth, "ada").await, register(&auth, "bob").await);
    let (old, others) = (start_session(&auth, &user).await, start_session(&auth, &other).await);
    sink.take();
    world.clock.advance(Duration::from_secs(1));
    let mut client = ClientInfo::unknown();
    client.refresh_token = Some(others.refresh.into());
    auth.login(&ada(), PASSWORD.into(), &client).await.unwrap();
    let events = sink.take();
    assert_eq!(events[0].name(), "login.succeeded");
    let mut ended: Vec<_> =
        events[1..].iter().map(|event| (brief(event), event.user_id.clone().unwrap(), event.session_id)).collect();
    ended.sort_by_key(|(emitted, ..)| emitted.clone());
    let session = |id: SessionId| Some(id);
    assert_eq!(
        ended,
        [
            ("session.ended reason=limit".to_owned(), user.id, session(old.session)),
            ("session.ended reason=signed_in_again".to_owned(), other.id, session(others.session)),
        ]
    );
}

#[tokio::test]
async fn a_refusal_by_the_limit_or_the_throttle_is_emitted() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node_with(&world, &sink, |builder| builder.session_limit(SessionLimit::Refuse(1)));
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    sink.take();
    assert!(log_in(&auth, PASSWORD).await.is_none());
    assert_eq!(sink.brief(), ["login.failed reason=too_many_sessions"]);

    let mut client = ClientInfo::unknown();
    client.ip = Some([192, 0, 2, 7].into());
    // A refusal costs the client nothing, so it must not fill a log.
    for _ in 0..20 {
        auth.login(&ada(), "a wrong guess".into(), &client).await.unwrap_err();
    }
    let events = sink.take();
    assert_eq!(events.len(), 7);
    assert_eq!(brief(&events[6]), "attempt.throttled operation=login retry_after_ms=1000");
    assert_eq!((&events[6].user_id, events[6].ip), (&None, client.ip), "nothing was looked up");
    world.clock.advance(Duration::from_secs(1));
    for _ in 0..3 {
        auth.login(&ada(), "a wrong guess".into(), &client).await.unwrap_err();
    }
    let next = ["login.failed reason=wrong_password", "attempt.throttled operation=login retry_after_ms=2000"];
    assert_eq!(sink.brief(), next, "the next delay emits one event");

    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    for _ in 0..7 {
        auth.change_password(&claims, "a wrong guess".into(), "close sesame 43".into(), &client).await.unwrap_err();
    }
    let events = sink.take();
    assert_eq!(brief(&events[6]), "attempt.throttled operation=change_password retry_after_ms=1000");
    assert_eq!((events[6].user_id.clone(), events[6].session_id), (Some(user.id), Some(pair.session)));
}

#[tokio::test]
async fn a_taken_address_is_emitted_without_the_address() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    register(&auth, "ada").await;
    let again = portcullis::Registration::new("Ada@example.com", PASSWORD, portcullis::Profile::default());
    auth.register(again, &ClientInfo::unknown()).await.unwrap_err();
    let emitted = sink.take();
    assert_eq!(brief(&emitted[1]), "user.registration_refused reason=email_taken");
    assert!(emitted[1].user_id.is_none() && !format!("{:?}", emitted[1]).to_lowercase().contains("ada"));
}

#[tokio::test]
async fn a_better_hash_is_emitted_once() {
    let (world, sink) = (World::new(), EventLog::default());
    register(&world.node(), "ada").await;
    let auth = node_with(&world, &sink, |builder| builder.pepper("Wd4Xg7Lk0Np3Rs6Uv9Yb2Ce5Fh8Jm1Qt"));
    for expected in
        [&["password.hash_upgraded", "login.succeeded method=password"][..], &["login.succeeded method=password"]]
    {
        log_in(&auth, PASSWORD).await.unwrap();
        assert_eq!(sink.brief(), expected);
    }
}

#[test]
fn every_kind_of_the_table_has_a_constructor() {
    let (operation, second) = (Operation::Login, Duration::from_secs(1));
    let kinds = [
        EventKind::registered(),
        EventKind::registration_refused(RegistrationRefusal::EmailTaken),
        EventKind::sessions_ended(EndAllReason::LogoutAll, None),
        EventKind::logged_in(LoginMethod::Password),
        EventKind::login_failed(LoginFailure::Superseded),
        EventKind::throttled(operation, second),
        EventKind::refreshed(),
        EventKind::replayed(),
        EventKind::refresh_refused(RefreshRefusal::Unknown),
        EventKind::reuse_found(),
        EventKind::foreign_token(),
        EventKind::session_ended(EndReason::Logout),
        EventKind::password_changed(),
        EventKind::password_change_failed(),
        EventKind::hash_upgraded(),
        EventKind::store_unavailable(operation, true),
    ];
    let page = include_str!("../../../src/event/mod.rs");
    let rows = page.lines().skip_while(|line| *line != "//! # Events").filter_map(|line| {
        let name = line.strip_prefix("//! | `")?.split('`').next()?;
        name.contains('.').then_some(name)
    });
    let names = kinds.map(|kind| AuthEvent::new(Timestamp::EPOCH, kind).name());
    assert_eq!(rows.collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn a_sink_that_panics_fails_no_login() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = world
        .node_with(|builder| builder.event_sink(|_: &AuthEvent| panic!("the disk is full")).event_sink(sink.clone()));
    register(&auth, "ada").await;
    assert!(log_in(&auth, PASSWORD).await.is_some());
    assert_eq!(
        kind(auth.login(&ada(), "wrong".into(), &ClientInfo::unknown()).await).unwrap().code(),
        "invalid_credentials"
    );
    assert_eq!(sink.take().len(), 3, "the other sink gets all events");
}
