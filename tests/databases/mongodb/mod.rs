//! Tests the MongoDB stores.

#[cfg(feature = "bcrypt")]
mod adoption;
#[cfg(feature = "bcrypt")]
mod express;
mod outages;
pub(crate) mod server;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mongodb::{
    Database,
    bson::{Bson, Document, Regex, doc, oid::ObjectId},
};
use portcullis::{
    Auth, Profile, Registration, User,
    auth::{Check, ClientInfo, Presented},
    clock::Timestamp,
    session::{AuthLevel, AuthMethods, Revocation, RotateOutcome, Rotation, Session, SessionId, TokenId},
    store::{
        NewSession, PageLimit, RevocationFeed, SessionLimit, SessionStore, UserAdmin, UserStore, conformance,
        memory::MemorySessions,
        mongodb::{MongoFeed, MongoSessions, MongoStore, MongoUsers},
    },
    user::UserId,
};
use tokio::task::JoinSet;

use self::server::{PATIENT, Server, database_at, migrated, watched};
use crate::{sql_rules::everything_of, sqlite::ROLES};

use crate::login::{log_in, session_of};

/// Returns the users of an empty database, reached at this address only.
pub(crate) async fn users_at(addr: SocketAddr) -> MongoUsers {
    migrated(&database_at(&server::uri_at(addr)).await).await.users().clone()
}

const PASSWORD: &str = "open sesame 42";

fn auth(users: MongoUsers, sessions: impl SessionStore) -> Auth<User> {
    crate::auth::builder(users, sessions).build().unwrap()
}

fn auth_over(store: &MongoStore) -> Auth<User> {
    auth(store.users().clone(), store.sessions().clone())
}

async fn ada(auth: &Auth<User>) -> User {
    auth.register(Registration::new("Ada@example.com", PASSWORD, Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap()
}

/// Returns a session of `user` of generation 0, which lives for an hour.
fn session(user: &str, n: u8, now: Timestamp) -> Session {
    Session {
        id: SessionId::from_bytes([n; 16]),
        user_id: user.into(),
        token_version: 0,
        generation: 0,
        token_id: TokenId::from_bytes([100; 16]),
        previous_token_id: None,
        auth_time: now,
        amr: AuthMethods::PASSWORD,
        acr: AuthLevel::Aal1,
        restamped_generation: None,
        created_at: now,
        rotated_at: now,
        expires_at: now.plus(Duration::from_secs(3600)),
        absolute_expires_at: now.plus(Duration::from_secs(3600)),
        ended: None,
        user_agent: Some("$sessions".into()),
        ip: None,
    }
}

fn rotation(user: &str, n: u8, next: u8, now: Timestamp) -> Rotation {
    Rotation {
        user_id: user.into(),
        session_id: SessionId::from_bytes([n; 16]),
        generation: 0,
        token_id: TokenId::from_bytes([100; 16]),
        token_version: 0,
        next_token_id: TokenId::from_bytes([next; 16]),
        now,
        grace: Duration::from_secs(10),
        idle: Duration::from_secs(600),
        tombstone: Duration::from_secs(900),
    }
}

const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);
const TEN: SessionLimit = SessionLimit::EndLeastRecentlyUsed(10);

fn new(session: Session) -> NewSession {
    NewSession::new(session, TEN, Duration::from_secs(900))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_keeps_every_promise() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let fresh = async || server.store().await;
    conformance::sessions(&fresh).await.assert_kept();
    conformance::users(&fresh, Profile::default).await.assert_kept();
    conformance::user_admin(&fresh, Profile::default, &ROLES).await.assert_kept();
    nodes_may_migrate_at_once(server.database().await).await;
    a_token_that_two_nodes_are_given_at_once_moves_the_session_on_once(&server).await;
    a_document_of_hostile_texts_comes_back_as_it_was(server.store().await).await;
}

#[tokio::test]
async fn a_store_connects_to_the_database_of_its_uri() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start_own().await;
    let store = MongoStore::connect(&format!("mongodb://{}/app?{PATIENT}", server.addr())).await.unwrap();
    assert_eq!(store.database().name(), "app");
    let auth = auth_over(&store);
    assert_eq!(ada(&auth).await.email, "Ada@example.com");
    store.feed().migrate().await.unwrap();
    let no_database = MongoStore::connect(server.uri()).await.unwrap_err();
    assert!(!no_database.is_unavailable() && everything_of(&no_database).contains("names no database"));
    let unreadable = MongoStore::connect("mongodb://ada:open-sesame@:@/app").await.unwrap_err();
    let said = everything_of(&unreadable);
    assert!(!unreadable.is_unavailable() && said.contains("cannot be read") && !said.contains("sesame"), "{said}");
}

async fn nodes_may_migrate_at_once(database: Database) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = MongoStore::new(&database).with_timeout(Duration::from_secs(30));
        tasks.spawn(async move { store.migrate().await });
    }
    while let Some(migrated) = tasks.join_next().await {
        migrated.unwrap().unwrap();
    }
    let mut indexes = database.collection::<Document>("portcullis_users").list_index_names().await.unwrap();
    indexes.extend(database.collection::<Document>("portcullis_sessions").list_index_names().await.unwrap());
    indexes.retain(|name| name != "_id_");
    indexes.sort();
    let expected = ["delete_at", "email_key", "ended_at", "username_key"].map(|name| format!("portcullis_{name}"));
    assert_eq!(indexes, expected);
}

async fn a_token_that_two_nodes_are_given_at_once_moves_the_session_on_once(server: &Server) {
    let database = server.database().await;
    let here = migrated(&database).await;
    let there = MongoStore::new(&database_at(server.uri()).await.client().database(database.name()));
    let there = there.with_timeout(Duration::from_secs(30));
    SessionStore::create(&here, new(session("ada", 1, NOW))).await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..40 {
        let store = if n % 2 == 0 { here.clone() } else { there.clone() };
        tasks.spawn(async move { store.rotate(&rotation("ada", 1, n, NOW)).await });
    }
    let mut advanced = 0;
    while let Some(outcome) = tasks.join_next().await {
        match outcome.unwrap().unwrap() {
            RotateOutcome::Rotated(_) => advanced += 1,
            RotateOutcome::Replayed(session) => assert_eq!(session.generation, 1),
            other => panic!("a tab got {other:?}"),
        }
    }
    assert_eq!(advanced, 1);
}

async fn a_document_of_hostile_texts_comes_back_as_it_was(store: MongoStore) {
    for (n, agent) in (1..).zip(["$sessions", "$$ROOT", "{\"$ne\": null}", "$$REMOVE"]) {
        let written = Session { user_agent: Some(agent.into()), ..session(agent, n, NOW) };
        SessionStore::create(&store, new(written.clone())).await.unwrap();
        assert_eq!(store.find(&agent.into(), &written.id, NOW).await.unwrap(), Some(written));
    }
}

#[tokio::test]
async fn each_operation_is_one_command_that_an_index_answers() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let (database, sent) = watched(server.uri()).await;
    let store = migrated(&database).await;
    let auth = auth_over(&store);
    let client = ClientInfo::unknown();
    let mut table = Vec::new();
    let mut commands = Vec::new();
    // The first guarded request waits for the start of the node, which reads the clock and the
    // revocations.
    let eve = auth
        .register(Registration::new("eve@example.com", PASSWORD, Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let tokens = session_of(&auth, &eve).await;
    auth.authenticate(tokens.access_token.expose(), Check::Stateless).await.unwrap();
    assert_eq!(sent.take().iter().filter(|command| command.contains_key("hello")).count(), 1);
    let mut cost = |operation: &'static str| {
        let sent = sent.take();
        table.push((operation, sent.len()));
        commands.extend(sent);
    };

    let ada = ada(&auth).await;
    session_of(&auth, &ada).await;
    cost("register, signed in");
    let first = log_in(&auth, "ada@example.com", PASSWORD).await.unwrap();
    cost("login");
    let access = first.tokens.access_token.expose().clone();
    let claims = auth.authenticate(&access, Check::Stateless).await.unwrap().claims;
    cost("protected request, stateless");
    auth.authenticate(&access, Check::Session).await.unwrap();
    cost("protected request, session checked");
    auth.authenticate(&access, Check::User).await.unwrap();
    cost("protected request, user loaded");
    auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    cost("refresh");
    auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    cost("refresh, replayed");
    auth.sessions(&ada.id).await.unwrap();
    cost("list sessions");
    let changed = auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap();
    cost("password change");
    auth.poll_revocations().await.unwrap();
    cost("poll");
    auth.logout(&Presented::refresh(changed.tokens.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    cost("logout");
    auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    cost("logout everywhere");

    assert_eq!(
        table,
        [
            ("register, signed in", 2),
            ("login", 2),
            ("protected request, stateless", 0),
            ("protected request, session checked", 1),
            ("protected request, user loaded", 1),
            ("refresh", 2),
            ("refresh, replayed", 2),
            ("list sessions", 1),
            ("password change", 3),
            ("poll", 1),
            ("logout", 1),
            ("logout everywhere", 2),
        ]
    );
    // The server also plans an update whose filter has several parts by `_id`. Not every server
    // explains this.
    commands.retain(|command| !command.contains_key("insert") && !command.contains_key("update"));
    for command in commands {
        let plan = explain(&database, &command).await;
        let indexed = ["IXSCAN", "IDHACK", "EXPRESS"].iter().any(|stage| plan.contains(stage));
        assert!(indexed && !plan.contains("COLLSCAN"), "{command}\nis planned as\n{plan}");
    }
}

/// Returns the plan of a command as it was sent.
async fn explain(database: &Database, command: &Document) -> String {
    let mut bare = command.clone();
    for field in
        ["lsid", "txnNumber", "$db", "$clusterTime", "writeConcern", "readConcern", "maxTimeMS", "$readPreference"]
    {
        bare.remove(field);
    }
    let explain = doc! { "explain": bare, "verbosity": "queryPlanner" };
    database.run_command(explain).await.unwrap().get_document("queryPlanner").unwrap().to_string()
}

#[tokio::test]
async fn a_uri_cannot_weaken_what_is_read_and_written() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let weak = "readPreference=secondaryPreferred&readConcernLevel=local&w=1&journal=false";
    let join = if server.uri().contains('?') { '&' } else { '?' };
    let (database, sent) = watched(&format!("{}{join}{weak}", server.uri())).await;
    let store = migrated(&database).await;
    sent.take();
    let auth = auth_over(&store);
    let ada = ada(&auth).await;
    let logged_in = log_in(&auth, "ada@example.com", PASSWORD).await.unwrap();
    auth.refresh(logged_in.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    auth.sessions(&ada.id).await.unwrap();
    auth.poll_revocations().await.unwrap();
    auth.logout(&Presented::refresh(logged_in.tokens.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    store.users().set_disabled(&ada.id, true).await.unwrap();
    store.users().remove_user(&ada.id).await.unwrap();
    let commands = sent.take();
    assert!(commands.len() > 8);
    for command in commands {
        let preference = command.get_document("$readPreference").and_then(|mode| mode.get_str("mode"));
        assert!(matches!(preference, Err(_) | Ok("primary")), "{command}");
        if command.contains_key("hello") {
            // The store asks for the clock, and the driver for its own purposes.
        } else if command.contains_key("find") {
            assert_eq!(command.get_document("readConcern").unwrap().get_str("level"), Ok("majority"), "{command}");
        } else {
            let concern = command.get_document("writeConcern").unwrap();
            assert_eq!((concern.get_str("w"), concern.get_bool("j")), (Ok("majority"), Ok(true)), "{command}");
            assert!(concern.contains_key("wtimeout"), "{command}");
        }
    }
}

#[tokio::test]
async fn users_in_mongodb_work_with_sessions_elsewhere() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let users = MongoUsers::new(&database).with_timeout(Duration::from_secs(30));
    users.migrate().await.unwrap();
    let auth = auth(users, MemorySessions::default());
    ada(&auth).await;
    let logged_in = log_in(&auth, "ADA@example.com", PASSWORD).await.unwrap();
    auth.refresh(logged_in.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    let collections = database.list_collection_names().await.unwrap();
    assert_eq!(collections, ["portcullis_users"]);
}

#[tokio::test]
async fn a_user_id_is_never_read_as_a_query() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let users = migrated(&database).await.users().clone();
    let ada = ada(&auth(users.clone(), MemorySessions::default())).await;
    let any = Regex { pattern: ".".to_owned(), options: "i".to_owned() };
    for query in [
        Bson::Document(doc! { "$ne": 1 }),
        Bson::Document(doc! { "$exists": true }),
        Bson::Document(doc! { "$in": [ada.id.as_str().parse::<ObjectId>().unwrap()] }),
        Bson::RegularExpression(any),
    ] {
        let id = other_type(&query);
        assert!(users.find_by_id(&id).await.unwrap().is_none(), "{query}");
        assert!(!users.set_disabled(&id, true).await.unwrap(), "{query}");
        assert!(!users.set_roles(&id, &["admin".to_owned()]).await.unwrap(), "{query}");
        assert_eq!(users.bump_token_version(&id).await.unwrap(), None, "{query}");
        assert!(users.list_users(Some(&id), PageLimit::default()).await.unwrap().users.is_empty(), "{query}");
        assert!(!users.remove_user(&id).await.unwrap(), "{query}");
        let found = users.find_by_id(&ada.id).await.unwrap().unwrap();
        assert!(!found.disabled && found.roles.is_empty() && found.token_version == 0, "{query}");
    }
}

#[tokio::test]
async fn a_user_answers_to_one_user_id() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let users = migrated(&database).await.users().clone();
    for (id, known, others) in [
        (Bson::Int32(42), "number:42".into(), vec![Bson::Decimal128("42".parse().unwrap())]),
        ("grace".into(), "grace".into(), vec![Bson::Symbol("grace".into())]),
        (
            doc! { "tenant": 1_i64 }.into(),
            other_type(&doc! { "tenant": 1 }.into()),
            vec![doc! { "tenant": 1_i64 }.into(), doc! { "tenant": 1.0 }.into()],
        ),
    ] {
        database
            .collection::<Document>("portcullis_users")
            .insert_one(doc! { "_id": &id, "email": "grace@example.com" })
            .await
            .unwrap();
        assert_eq!(users.find_by_id(&known).await.unwrap().map(|user| user.id), Some(known.clone()), "{id}");
        for other in others {
            let other = other_type(&other);
            assert!(users.find_by_id(&other).await.unwrap().is_none(), "{id} by {other}");
            assert!(!users.set_disabled(&other, true).await.unwrap(), "{id} by {other}");
        }
        assert!(users.remove_user(&known).await.unwrap(), "{id}");
    }
}

/// Returns the user id of an `_id` of a rare type, as anyone can write it.
fn other_type(id: &Bson) -> UserId {
    let mut bytes = Vec::new();
    doc! { "": id }.to_writer(&mut bytes).unwrap();
    UserId::from(format!("bson:{}", URL_SAFE_NO_PAD.encode(bytes)))
}

#[tokio::test]
async fn revocations_arrive_as_they_were_published() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let feed = MongoFeed::new(&server.database().await);
    feed.migrate().await.unwrap();
    let (mut one, mut other) = (feed.subscribe().await.unwrap(), feed.subscribe().await.unwrap());
    let endings = [
        Revocation::Session { id: SessionId::from_bytes([1; 16]), keep_until: NOW },
        Revocation::User { id: "$ne".into(), min_version: 7, keep_until: NOW },
    ];
    for ending in &endings {
        feed.publish(ending).await.unwrap();
    }
    for ending in &endings {
        for subscription in [&mut one, &mut other] {
            let heard = tokio::time::timeout(Duration::from_secs(60), subscription.next()).await;
            assert_eq!(heard.unwrap().unwrap(), *ending);
        }
    }
}

#[tokio::test]
async fn debug_of_a_store_shows_no_secret() {
    if !Server::can_run() {
        return;
    }
    let uri = "mongodb://operator:canary-password@127.0.0.1:1/?authMechanism=SCRAM-SHA-256";
    let database = database_at(uri).await;
    let printed = format!("{:?} {:?}", MongoStore::new(&database), Arc::new(MongoSessions::new(&database)));
    assert!(!printed.contains("canary"), "{printed}");
}

/// A reason of a later release, or a broken record, hides no other revocation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_cannot_be_read_is_left_out() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let (database, _) = watched(server.uri()).await;
    let store = migrated(&database).await;
    let auth = auth_over(&store);
    let ada = ada(&auth).await;
    for _ in 0..3 {
        let tokens = session_of(&auth, &ada).await;
        let presented = Presented::refresh(tokens.refresh_token.expose());
        auth.logout(&presented, &ClientInfo::unknown()).await.unwrap();
    }
    let records = database.collection::<Document>("portcullis_sessions");
    for change in [doc! { "sessions.0.ended_reason": "of_a_later_release" }, doc! { "sessions.1.keep_until": "broken" }]
    {
        records.update_one(doc! {}, doc! { "$set": change }).await.unwrap();
    }
    let now = Timestamp::from_millis(0);
    let listed = store.sessions().ended_since(now, now).await.unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
}
