//! Tests how many round trips each operation takes, and how much it leaves in the server.

use std::time::Duration;

use portcullis::{
    Profile, Registration,
    auth::{Check, ClientInfo, Presented},
    session::{EndReason, RotateOutcome, Session, SessionId},
    store::{
        EndAll, SessionStore,
        memory::MemoryUsers,
        redis::{RedisOptions, RedisSessions},
    },
    user::UserId,
};
use tokio::task::JoinSet;

use super::{
    Server,
    samples::{IDLE, NOW, TOMBSTONE, at, builder, ended, id, new, rotation, session, token},
    url_of,
};
use crate::login::{log_in, session_of};
use crate::proxy::Proxy;

#[tokio::test]
async fn each_operation_costs_one_round_trip() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let sessions = RedisSessions::connect(RedisOptions::from(url_of(proxy.port()))).await.unwrap();
    // Each script is sent as a whole only once.
    let ada = UserId::from("ada");
    sessions.create(new(session(&ada, id(1), NOW))).await.unwrap();
    sessions.rotate(&rotation(&ada, id(1), NOW)).await.unwrap();
    sessions.end(&ada, &id(1), ended(EndReason::Logout, NOW)).await.unwrap();
    sessions.end_all(&EndAll::new(ada, 1, ended(EndReason::LogoutAll, NOW))).await.unwrap();

    let auth = builder(MemoryUsers::default(), sessions).revocation_poll(Duration::from_secs(60)).build().unwrap();
    let (client, password) = (ClientInfo::unknown(), "open sesame 42");
    let mut table = Vec::new();
    let mut cost = |operation: &'static str| table.push((operation, proxy.take_round_trips()));
    // The first guarded request waits for the start of the node, which reads the clock and the
    // revocations.
    let first = auth
        .register(Registration::new("eve@example.com", password, Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let tokens = session_of(&auth, &first).await;
    auth.authenticate(tokens.access_token.expose(), Check::Stateless).await.unwrap();
    proxy.take_round_trips();
    let ada = auth
        .register(Registration::new("ada@example.com", password, Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    session_of(&auth, &ada).await;
    cost("register, signed in");
    let first = log_in(&auth, "ada@example.com", password).await.unwrap();
    cost("login");
    let access = first.tokens.access_token.expose();
    let claims = auth.authenticate(access, Check::Stateless).await.unwrap().claims;
    cost("protected request, stateless");
    auth.authenticate(access, Check::Session).await.unwrap();
    cost("protected request, session checked");
    auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    cost("refresh");
    auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    cost("refresh, replayed");
    for _ in 0..40 {
        session_of(&auth, &ada).await;
    }
    proxy.take_round_trips();
    assert_eq!(auth.sessions(&ada.id).await.unwrap().len(), 42);
    cost("list sessions");
    let changed = auth.change_password(&claims, password.into(), "close sesame 43".into(), &client).await.unwrap();
    cost("password change");
    let mut again = ClientInfo::unknown();
    again.refresh_token = Some(changed.tokens.refresh_token.clone());
    let tokens = auth.start_session(&changed.user, &again).await.unwrap().into_logged_in().unwrap().tokens;
    cost("login in the place of a session");
    auth.poll_revocations().await.unwrap();
    cost("poll");
    auth.logout(&Presented::refresh(tokens.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    cost("logout");
    auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    cost("logout everywhere");
    assert_eq!(
        table,
        [
            ("register, signed in", 1),
            ("login", 1),
            ("protected request, stateless", 0),
            ("protected request, session checked", 1),
            ("refresh", 1),
            ("refresh, replayed", 1),
            ("list sessions", 1),
            ("password change", 1),
            ("login in the place of a session", 1),
            ("poll", 1),
            ("logout", 1),
            ("logout everywhere", 1),
        ]
    );
}

/// Several connections race for every generation, and exactly one rotation wins it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_rotations_make_one_chain() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let options = server.options();
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(RedisSessions::connect(options.clone()).await.unwrap());
    }
    let ada = UserId::from("ada");
    nodes[0].create(new(session(&ada, id(1), NOW))).await.unwrap();
    let mut current = (0, token(100));
    for round in 1..=25 {
        let mut tasks = JoinSet::new();
        for racer in 0..16 {
            let node = nodes[racer % 4].clone();
            let mut presented = rotation(&ada, id(1), at(round));
            (presented.generation, presented.token_id) = current;
            presented.next_token_id = token(racer.try_into().unwrap());
            tasks.spawn(async move { node.rotate(&presented).await.unwrap() });
        }
        let mut winners = Vec::new();
        let mut replayed = Vec::new();
        for outcome in tasks.join_all().await {
            match outcome {
                RotateOutcome::Rotated(session) => winners.push(session),
                RotateOutcome::Replayed(session) => replayed.push(session),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        assert!(replayed.iter().all(|session| *session == winners[0]), "round {round}");
        current = (winners[0].generation, winners[0].token_id);
    }
    assert_eq!(current.0, 25);
    // A token of an early generation is still detected as reused.
    assert_eq!(nodes[3].rotate(&rotation(&ada, id(1), at(26))).await.unwrap(), RotateOutcome::Reused);
    let ended = RotateOutcome::Ended(EndReason::Reuse);
    assert_eq!(nodes[1].rotate(&rotation(&ada, id(1), at(27))).await.unwrap(), ended);
}

/// Returns the number of records of a user in the server.
async fn fields(server: &Server) -> usize {
    let mut fields = 0;
    for key in server.ask::<Vec<String>>(&["KEYS", "*:user:*"]).await {
        fields += server.ask::<usize>(&["HLEN", &key]).await;
    }
    fields
}

#[tokio::test]
async fn ended_and_expired_sessions_are_deleted() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let store = server.store().await;
    let ada = UserId::from("ada");
    // There are a thousand logins. Each comes after the tombstone of the one before and before its
    // expiry.
    for n in 0..1000_u64 {
        let now = at(n * 1000);
        let id = SessionId::from_bytes([n.to_le_bytes(), n.to_le_bytes()].concat().try_into().unwrap());
        store.create(new(Session { generation: 9, ..session(&ada, id, now) })).await.unwrap();
        match n % 3 {
            // A reused session is kept beyond its tombstone, but only the last ones of many.
            0 => assert_eq!(store.rotate(&rotation(&ada, id, now)).await.unwrap(), RotateOutcome::Reused),
            1 => assert!(store.end(&ada, &id, ended(EndReason::Logout, now)).await.unwrap()),
            _ => {}
        }
    }
    let (records, endings) = (fields(&server).await, server.ask::<Vec<String>>(&["KEYS", "*endings"]).await);
    assert!(records < 12, "{records} records are left of a thousand");
    assert_eq!(endings.len(), 1);
    let tombstones: usize = server.ask(&["ZCARD", &endings[0]]).await;
    assert!(tombstones < 20, "{tombstones} tombstones are left");
    // The server deletes the rest by itself, one minute after the last record is needed.
    for key in server.ask::<Vec<String>>(&["KEYS", "*"]).await {
        let left: i64 = server.ask(&["PTTL", &key]).await;
        let most = (IDLE.max(TOMBSTONE) + Duration::from_secs(60)).as_millis();
        assert!(left > 0 && u128::try_from(left).unwrap() <= most, "{key} stays for {left} ms");
    }
    // The key of a user is deleted when the tombstone of their last session is no longer needed.
    let eve = UserId::from("eve");
    store.create(new(session(&eve, id(1), NOW))).await.unwrap();
    let key = server.ask::<Vec<String>>(&["KEYS", "*:user:eve"]).await.remove(0);
    assert!(server.ask::<i64>(&["PTTL", &key]).await > 3_000_000);
    store.end_all(&EndAll::new(eve, 1, ended(EndReason::LogoutAll, NOW))).await.unwrap();
    assert!(server.ask::<i64>(&["PTTL", &key]).await <= 1_020_000);
}

#[tokio::test]
async fn only_the_last_reused_sessions_are_kept() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let store = server.store().await;
    let ada = UserId::from("ada");
    for n in 0..60 {
        let now = at(n);
        let id = id(n.try_into().unwrap());
        store.create(new(Session { generation: 9, ..session(&ada, id, now) })).await.unwrap();
        assert_eq!(store.rotate(&rotation(&ada, id, now)).await.unwrap(), RotateOutcome::Reused);
    }
    assert_eq!(fields(&server).await, 16);
    assert_eq!(store.ended_since(NOW, at(60)).await.unwrap().len(), 60, "all are listed for other nodes");
    store.create(new(session(&ada, id(99), at(2000)))).await.unwrap();
    assert_eq!(fields(&server).await, 17);
    let outcome = store.rotate(&rotation(&ada, id(59), at(2001))).await.unwrap();
    assert_eq!(outcome, RotateOutcome::Ended(EndReason::Reuse), "the last ones are kept");
}

/// Measures what many logins of one user cost the other users.
#[tokio::test]
async fn many_logins_of_one_user_block_no_other_user() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let store = server.store().await;
    let ada = UserId::from("ada");
    let login = async |n: u64| {
        let id = SessionId::from_bytes([n.to_le_bytes(), n.to_le_bytes()].concat().try_into().unwrap());
        store.create(new(session(&ada, id, NOW))).await.unwrap();
    };
    let mut done = 0;
    for logins in [1000, 10_000, 30_000] {
        for n in done..logins {
            login(n).await;
        }
        server.ask::<()>(&["CONFIG", "RESETSTAT"]).await;
        for n in logins..logins + 100 {
            login(n).await;
        }
        done = logins + 100;
        let stats: String = server.ask(&["INFO", "commandstats"]).await;
        let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha:")).unwrap();
        let (_, rest) = line.split_once("usec_per_call=").unwrap();
        let micros: f64 = rest.split(',').next().unwrap().parse().unwrap();
        println!("after {logins} logins of one user, one more blocks the server for {micros:.0} microseconds");
        // It was 10 to 30 ms after 10,000 logins, and more than 80 ms after 30,000.
        assert!(micros < 5000.0, "{micros} microseconds after {logins} logins");
        assert_eq!(fields(&server).await, 116, "100 that live, and 16 that have ended");
    }
    // Every revocation is listed.
    let listed = store.ended_since(NOW, NOW).await.unwrap();
    assert_eq!(u64::try_from(listed.len()).unwrap(), done - 100);
}
