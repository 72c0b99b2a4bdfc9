//! Tests every call under every fault. An outage is reported as an outage, every call happens as a
//! whole or not at all, and every call works again without a restart.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::Full;
use portcullis::{
    ErrorKind, Profile, Registration,
    auth::{Check, ClientInfo, Presented},
    event::AuthEvent,
    session::{EndReason, Revocation, RotateOutcome, Rotation, Session, SessionId},
    store::{
        Created, EndAll, SessionLimit, SessionStore, StoreError,
        memory::MemoryUsers,
        redis::{RedisOptions, RedisSessions},
    },
    user::UserId,
};
use tower::ServiceExt;

use super::{
    Server,
    samples::{NOW, at, builder, ended, id, new, rotation, session, token},
    url_of,
};
use crate::event_log::EventLog;
use crate::login::session_of;
use crate::proxy::{Mode, Proxy};

const SHORT: Duration = Duration::from_millis(400);

fn ada() -> UserId {
    UserId::from("ada")
}

/// Adds three sessions: one to rotate, one to end, and one of eve, whose sessions all end.
async fn prepare(store: &RedisSessions) {
    for n in 1..=2 {
        store.create(new(session(&ada(), id(n), NOW))).await.unwrap();
    }
    store.create(new(session(&UserId::from("eve"), id(3), NOW))).await.unwrap();
}

/// Returns a server, a proxy before it, and a store that connects through the proxy.
async fn behind_proxy(settings: impl FnOnce(RedisOptions) -> RedisOptions) -> (Server, Proxy, RedisSessions) {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let store = RedisSessions::connect(settings(RedisOptions::from(url_of(proxy.port())))).await.unwrap();
    (server, proxy, store)
}

/// Makes every call of the store. Returns the result of each, and whether it writes.
async fn every_call(store: &RedisSessions) -> Vec<(&'static str, bool, Result<(), StoreError>)> {
    let eve = EndAll::new(UserId::from("eve"), 1, ended(EndReason::LogoutAll, at(1)));
    vec![
        ("create", true, store.create(new(session(&ada(), id(4), at(1)))).await.map(drop)),
        ("find", false, store.find(&ada(), &id(1), at(1)).await.map(drop)),
        ("rotate", true, store.rotate(&rotation(&ada(), id(1), at(1))).await.map(drop)),
        ("end", true, store.end(&ada(), &id(2), ended(EndReason::Logout, at(1))).await.map(drop)),
        ("end_all", true, store.end_all(&eve).await.map(drop)),
        ("list", false, store.list(&ada(), at(1)).await.map(drop)),
        ("ended_since", false, store.ended_since(NOW, at(1)).await.map(drop)),
    ]
}

async fn assert_down(store: &RedisSessions, fault: &str) {
    for (call, _, answer) in every_call(store).await {
        let error = answer.err().unwrap_or_else(|| panic!("{call} was answered although {fault}"));
        assert!(error.is_unavailable(), "{call} although {fault}: {error:?}");
    }
}

/// Checks that reads work and that every write is an outage.
async fn assert_read_only(store: &RedisSessions, fault: &str) {
    for (call, writes, answer) in every_call(store).await {
        match answer {
            Ok(()) => assert!(!writes, "{call} was answered although {fault}"),
            Err(error) => assert!(writes && error.is_unavailable(), "{call} although {fault}: {error:?}"),
        }
    }
}

/// Checks that the failed calls have changed nothing.
async fn assert_untouched(store: &RedisSessions) {
    let ids = |mut list: Vec<Session>| {
        list.sort_by_key(|session| session.id);
        list.iter().map(|session| (session.id, session.generation)).collect::<Vec<_>>()
    };
    assert_eq!(ids(store.list(&ada(), at(2)).await.unwrap()), [(id(1), 0), (id(2), 0)]);
    assert_eq!(ids(store.list(&UserId::from("eve"), at(2)).await.unwrap()), [(id(3), 0)]);
    assert_eq!(store.ended_since(NOW, at(2)).await.unwrap(), []);
}

/// Makes the same calls again, with success. Each has happened once, and the revocations are
/// listed.
async fn assert_works(store: &RedisSessions) {
    for (call, _, answer) in every_call(store).await {
        answer.unwrap_or_else(|error| panic!("{call} does not work again: {error:?}"));
    }
    let mut left: Vec<_> = store.list(&ada(), at(2)).await.unwrap();
    left.sort_by_key(|session| session.id);
    let left: Vec<_> = left.iter().map(|session| (session.id, session.generation)).collect();
    assert_eq!(left, [(id(1), 1), (id(4), 0)]);
    let mut listed: Vec<SessionId> = Vec::new();
    for ending in store.ended_since(NOW, at(2)).await.unwrap() {
        match ending {
            Revocation::Session { id, .. } => listed.push(id),
            Revocation::User { id, min_version, .. } => assert_eq!((id.as_str(), min_version), ("eve", 1)),
            other => panic!("{other:?}"),
        }
    }
    listed.sort();
    assert_eq!(listed, [id(2), id(3)]);
}

#[tokio::test]
async fn a_hanging_server_is_an_outage_and_late_writes_are_whole() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let store = RedisSessions::connect(server.options().timeout(SHORT)).await.unwrap();
    prepare(&store).await;
    server.signal("-STOP");
    let asked = Instant::now();
    assert_down(&store, "the server hangs").await;
    assert!(asked.elapsed() >= SHORT * 7, "each call waits for its timeout");
    server.signal("-CONT");
    // The server may have received the calls. When they are repeated, each has happened once.
    assert_works(&store).await;
}

#[tokio::test]
async fn a_server_that_was_killed_has_what_it_answered() {
    if !Server::can_run() {
        return;
    }
    let mut server = Server::start().await;
    let store = RedisSessions::connect(server.options().timeout(SHORT)).await.unwrap();
    prepare(&store).await;
    server.kill();
    assert_down(&store, "the server is gone").await;
    server.restart().await;
    assert_untouched(&store).await;
    assert_works(&store).await;
    server.kill();
    server.restart().await;
    assert_works(&store).await;
}

#[tokio::test]
async fn a_cut_connection_fails_no_call() {
    if !Server::can_run() {
        return;
    }
    let (server, proxy, store) = behind_proxy(|options| options.timeout(SHORT)).await;
    prepare(&store).await;
    proxy.set(Mode::Refuse);
    assert_down(&store, "every connection is cut").await;
    proxy.set(Mode::Pass);
    assert_untouched(&store).await;
    proxy.cut();
    assert_works(&store).await;
    server.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    assert_works(&store).await;
}

/// Imitates a firewall that forgot the connection, or another machine without power.
#[tokio::test]
async fn a_connection_to_a_vanished_server_is_replaced() {
    if !Server::can_run() {
        return;
    }
    let (_server, proxy, store) = behind_proxy(|options| options.timeout(SHORT)).await;
    prepare(&store).await;
    proxy.fall_silent();
    let mut failed = 0;
    while let Err(error) = store.find(&ada(), &id(1), at(1)).await {
        assert!(error.is_unavailable());
        failed += 1;
        assert!(failed <= 8, "the connection is still asked");
    }
    assert_works(&store).await;
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_has_happened_once() {
    if !Server::can_run() {
        return;
    }
    let (_server, proxy, store) = behind_proxy(|options| options).await;
    prepare(&store).await;
    let first = rotation(&ada(), id(1), at(1));
    proxy.lose_next_answer();
    let RotateOutcome::Rotated(moved) = store.rotate(&first).await.unwrap() else { panic!("it is current") };
    assert_eq!(moved.generation, 1);
    proxy.lose_next_answer();
    assert_eq!(store.create(new(session(&ada(), id(4), at(1)))).await.unwrap(), Created::default());
    proxy.lose_next_answer();
    assert!(store.end(&ada(), &id(2), ended(EndReason::Logout, at(1))).await.unwrap(), "it has ended it");
    proxy.lose_next_answer();
    store.end_all(&EndAll::new("eve".into(), 1, ended(EndReason::LogoutAll, at(1)))).await.unwrap();
    assert_works(&store).await;
}

/// Makes every call that ends something, each with another session, and loses its answer.
#[tokio::test]
async fn a_repeated_call_reports_what_the_first_one_ended() {
    if !Server::can_run() {
        return;
    }
    let (_server, proxy, store) = behind_proxy(|options| options).await;
    for n in 1..=4 {
        store.create(new(session(&ada(), id(n), at(n.into())))).await.unwrap();
    }
    // A reuse is found once, by the call that found it.
    let old = Rotation { now: at(100), ..rotation(&ada(), id(1), at(100)) };
    store.rotate(&rotation(&ada(), id(1), at(5))).await.unwrap();
    proxy.lose_next_answer();
    assert_eq!(
        store.rotate(&Rotation { next_token_id: token(7), ..old.clone() }).await.unwrap(),
        RotateOutcome::Reused
    );
    let later = Rotation { now: at(101), ..old };
    assert_eq!(store.rotate(&later).await.unwrap(), RotateOutcome::Ended(EndReason::Reuse));
    // A login reports what ended by the limit, and what it replaced.
    let mut login = new(session(&ada(), id(5), at(102)));
    login.limit = SessionLimit::EndLeastRecentlyUsed(2);
    login.replaces = Some((ada(), id(3)));
    proxy.lose_next_answer();
    let mut created = store.create(login).await.unwrap();
    created.ended.sort();
    assert_eq!(created, Created::new(vec![id(2), id(3)]));
    // A login reports also what ended because of its version.
    let mut login = new(Session { token_version: 1, ..session(&ada(), id(6), at(103)) });
    login.limit = SessionLimit::EndLeastRecentlyUsed(2);
    proxy.lose_next_answer();
    let mut created = store.create(login).await.unwrap();
    created.outdated.sort();
    assert_eq!((created.ended, created.outdated), (vec![], vec![id(4), id(5)]));
    // A call with another moment or another reason has ended nothing.
    let end = ended(EndReason::Logout, at(104));
    // The first answer says that the server does not have the script yet.
    assert!(!store.end(&ada(), &id(9), end).await.unwrap());
    proxy.lose_next_answer();
    assert!(store.end(&ada(), &id(6), end).await.unwrap());
    for other in [ended(EndReason::Logout, at(105)), ended(EndReason::EndedByUser, at(104))] {
        assert!(!store.end(&ada(), &id(6), other).await.unwrap());
    }
    assert!(store.list(&ada(), at(106)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_ended_with_a_lost_answer_is_204_and_revoked() {
    if !Server::can_run() {
        return;
    }
    let (_server, proxy, store) = behind_proxy(|options| options).await;
    let ear = EventLog::default();
    let auth = builder(MemoryUsers::default(), store).event_sink(ear.clone()).build().unwrap();
    let registration = Registration::new("ada@example.com", "open sesame 42", Profile::default());
    let ada = auth.register(registration, &ClientInfo::unknown()).await.unwrap();
    let [mine, other] = [(); 2].map(|()| async { session_of(&auth, &ada).await }).map(Box::pin);
    let (mine, other) = (mine.await, other.await);
    // The first answer says that the server does not have the script yet.
    let third = session_of(&auth, &ada).await;
    auth.logout(&Presented::refresh(third.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    auth.authenticate(mine.access_token.expose(), Check::Stateless).await.unwrap();
    let delete = || {
        let request = Request::delete(format!("/auth/sessions/{}", other.session_id))
            .header("authorization", format!("Bearer {}", mine.access_token.expose()));
        auth.routes().oneshot(request.body(Full::<bytes::Bytes>::default()).unwrap())
    };
    ear.take();
    proxy.lose_next_answer();
    assert_eq!(delete().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(ear.take().iter().map(AuthEvent::name).collect::<Vec<_>>(), ["session.ended"]);
    let refused = auth.authenticate(other.access_token.expose(), Check::Stateless).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TokenRevoked);
    assert_eq!(delete().await.unwrap().status(), StatusCode::NOT_FOUND, "it ends once");
}

#[tokio::test]
async fn a_server_that_refuses_writes_is_an_outage_for_writes() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let store = RedisSessions::connect(server.options().timeout(SHORT)).await.unwrap();
    prepare(&store).await;
    for (name, bad, good) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")] {
        server.ask::<()>(&["CONFIG", "SET", name, bad]).await;
        assert_read_only(&store, name).await;
        server.ask::<()>(&["CONFIG", "SET", name, good]).await;
        assert_untouched(&store).await;
    }
    // A failover made this primary a replica of another one, which does not exist.
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_read_only(&store, "it is a replica").await;
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    assert_untouched(&store).await;
    server.ask::<()>(&["SCRIPT", "FLUSH"]).await;
    assert_works(&store).await;
    server.ask::<()>(&["SCRIPT", "FLUSH"]).await;
    assert_works(&store).await;
}

#[tokio::test]
async fn writes_that_outlast_their_call_are_whole() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let store = RedisSessions::connect(server.options().timeout(SHORT)).await.unwrap();
    prepare(&store).await;
    // A call after a write on the same connection waits behind the write.
    server.ask::<()>(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    assert_down(&store, "writes are paused").await;
    server.ask::<()>(&["CLIENT", "UNPAUSE"]).await;
    assert_works(&store).await;
}

#[tokio::test]
async fn a_write_counts_when_the_replicas_have_it() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let options = server.options().timeout(Duration::from_secs(5));
    let waiting = options.clone().wait_for_replicas(1, Duration::from_millis(100));
    let store = RedisSessions::connect(waiting.clone()).await.unwrap();
    let answer = store.create(new(session(&ada(), id(1), NOW))).await;
    assert!(answer.unwrap_err().is_unavailable(), "no replica has it");

    let primary = server.addr().port().to_string();
    let replica =
        Server::with(&["--appendonly", "yes", "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", &primary])
            .await;
    while !replica.ask::<String>(&["INFO", "replication"]).await.contains("master_link_status:up") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let patient = RedisSessions::connect(options.wait_for_replicas(1, Duration::from_secs(4))).await.unwrap();
    for n in 2..=9 {
        patient.create(new(session(&ada(), id(n), NOW))).await.unwrap();
        let key = replica.ask::<Vec<String>>(&["KEYS", "*:user:ada"]).await.remove(0);
        assert_eq!(replica.ask::<usize>(&["HLEN", &key]).await, usize::from(n));
    }
    // The promoted server has everything that had been answered.
    replica.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    drop(server);
    let promoted = replica.store_like("t0").await;
    assert_eq!(promoted.list(&ada(), NOW).await.unwrap().len(), 9);
    let rotated = promoted.rotate(&rotation(&ada(), id(9), at(1))).await.unwrap();
    assert!(matches!(rotated, RotateOutcome::Rotated(_)), "{rotated:?}");
}
