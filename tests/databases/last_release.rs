//! Tests sessions as the last release wrote them, without `amr`, `acr` and `restamped_generation`.
//! This release reads, rotates and restamps them. It does so for sessions from before the
//! migration, and for those that a node of the last release writes afterwards.

use std::time::Duration;

use mongodb::bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};
use portcullis::{
    clock::Timestamp,
    session::{AuthLevel, AuthMethods, EndReason, Ended, RotateOutcome, Rotation, Session, SessionId, TokenId},
    store::{
        EndAll, Keep, NewSession, SessionLimit, SessionStore,
        memory::MemorySessions,
        sql::{PostgresStore, SqliteStore},
    },
    user::UserId,
};
use sqlx::{AssertSqlSafe, sqlite::SqlitePoolOptions};

use crate::{
    mongodb::server::{Server as Mongo, migrated},
    postgres::Server as Postgres,
    redis::Server as Redis,
    required_servers::can_run,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);
const HOUR: Duration = Duration::from_secs(3600);
const TOMBSTONE: Duration = Duration::from_secs(960);

fn at(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

fn token(n: u8) -> TokenId {
    TokenId::from_bytes([n; 16])
}

/// Returns the session that a record of the last release means.
fn record(n: u8) -> Session {
    Session {
        id: SessionId::from_bytes([n; 16]),
        user_id: UserId::from("ada"),
        token_version: 3,
        generation: 4,
        token_id: token(100),
        previous_token_id: Some(token(99)),
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        acr: AuthLevel::Aal1,
        restamped_generation: None,
        created_at: NOW,
        rotated_at: NOW,
        expires_at: NOW.plus(HOUR),
        absolute_expires_at: NOW.plus(HOUR * 24),
        ended: None,
        user_agent: Some("Firefox".into()),
        ip: Some([203, 0, 113, 7].into()),
    }
}

async fn goes_on(store: &impl SessionStore, n: u8) {
    let record = record(n);
    let (user, id) = (&record.user_id, record.id);
    assert_eq!(store.find(user, &id, NOW).await.unwrap().as_ref(), Some(&record));

    let rotation = |generation, presented, next, secs| Rotation {
        user_id: user.clone(),
        session_id: id,
        generation,
        token_id: token(presented),
        token_version: 3,
        next_token_id: token(next),
        now: at(secs),
        grace: Duration::from_secs(10),
        idle: HOUR,
        tombstone: TOMBSTONE,
    };
    let rotated = store.rotate(&rotation(4, 100, 101, 1)).await.unwrap();
    let RotateOutcome::Rotated(next) = rotated else { panic!("{rotated:?}") };
    assert_eq!((next.generation, next.amr, next.acr), (5, AuthMethods::PASSWORD, AuthLevel::Aal1));
    assert_eq!((next.restamped_generation, next.user_agent), (None, record.user_agent.clone()));

    let ended = Ended { at: at(2), reason: EndReason::PasswordChanged, keep_until: at(2).plus(TOMBSTONE) };
    let keep = Keep::new(id, token(102), HOUR, at(2));
    let kept = store.end_all(&EndAll::new(user.clone(), 3, ended).keeping(keep)).await.unwrap().unwrap();
    assert_eq!((kept.generation, kept.restamped_generation), (6, Some(6)));
    assert_eq!((kept.amr, kept.ip), (AuthMethods::PASSWORD, record.ip));
    assert_eq!(store.rotate(&rotation(5, 101, 103, 3)).await.unwrap(), RotateOutcome::Superseded);
    assert_eq!(store.find(user, &id, at(3)).await.unwrap(), Some(kept));
}

#[tokio::test]
async fn memory_does_what_the_other_stores_must_do() {
    let store = MemorySessions::default();
    store.create(NewSession::new(record(1), SessionLimit::Refuse(9), TOMBSTONE)).await.unwrap();
    goes_on(&store, 1).await;
}

/// Changes the tables back to those of the last release.
const BACK: [&str; 4] = [
    "DELETE FROM portcullis_schema WHERE version >= 4",
    "ALTER TABLE portcullis_sessions DROP COLUMN restamped_generation",
    "ALTER TABLE portcullis_sessions DROP COLUMN amr",
    "ALTER TABLE portcullis_sessions DROP COLUMN acr",
];

/// Returns the statement by which the last release adds a session.
fn insert(n: u8, bytes: impl Fn(&str) -> String) -> String {
    let repeated = |n: u8| bytes(&format!("{n:02x}").repeat(16));
    let (now, expires, last) = (NOW.as_millis(), NOW.plus(HOUR).as_millis(), NOW.plus(HOUR * 24).as_millis());
    format!(
        "INSERT INTO portcullis_sessions (user_id, id, token_version, generation, token_id, previous_token_id, \
         auth_time, created_at, rotated_at, expires_at, absolute_expires_at, user_agent, ip, delete_at, ended_at, \
         ended_reason, ended_keep_until) VALUES ({user}, {id}, 3, 4, {token}, {previous}, {now}, {now}, {now}, \
         {expires}, {last}, 'Firefox', '203.0.113.7', {expires}, NULL, NULL, NULL)",
        user = bytes("616461"),
        id = repeated(n),
        token = repeated(100),
        previous = repeated(99),
    )
}

async fn sql_goes_on(
    store: &impl SessionStore,
    run: impl AsyncFn(String),
    migrate: impl AsyncFn(),
    bytes: impl Fn(&str) -> String,
) {
    migrate().await;
    for statement in BACK {
        run(statement.to_owned()).await;
    }
    run(insert(1, &bytes)).await;
    migrate().await;
    // This is written by a node of the last release.
    run(insert(2, &bytes)).await;
    migrate().await;
    goes_on(store, 1).await;
    goes_on(store, 2).await;
}

#[tokio::test]
async fn sqlite_reads_the_rows_of_the_last_release() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let store = SqliteStore::new(pool.clone());
    let run = async |sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    };
    sql_goes_on(&store, run, async || store.migrate().await.unwrap(), |hex| format!("X'{hex}'")).await;
}

#[tokio::test]
async fn postgres_reads_the_rows_of_the_last_release() {
    if !can_run("PostgreSQL", Postgres::is_installed()) {
        return;
    }
    let server = Postgres::start().await;
    let pool = server.pool("read committed").await;
    let store = PostgresStore::new(pool.clone());
    let run = async |sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    };
    sql_goes_on(&store, run, async || store.migrate().await.unwrap(), |hex| format!("'\\x{hex}'::bytea")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_reads_the_records_of_the_last_release() {
    if !Redis::can_run() {
        return;
    }
    let server = Redis::start().await;
    let store = server.store().await;
    // A session of this release shows which key has the user's records.
    let mut other = record(9);
    other.generation = 0;
    store.create(NewSession::new(other, SessionLimit::Refuse(9), TOMBSTONE)).await.unwrap();
    let keys: Vec<String> = server.ask(&["KEYS", "*user:ada"]).await;
    let moments = [NOW, NOW, NOW, NOW.plus(HOUR), NOW.plus(HOUR * 24)].map(|at| format!("{:015}", at.as_millis()));
    let ids = [token(100), token(99)].map(|id| id.encode());
    let text = format!("1{:020}{:020}{}{}{:30}|203.0.113.7|+Firefox", 3, 4, ids.concat(), moments.concat(), "");
    let id = record(1).id.encode();
    server.ask::<i64>(&["HSET", &keys[0], &id, &text]).await;
    goes_on(&store, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_reads_the_documents_of_the_last_release() {
    if !Mongo::can_run() {
        return;
    }
    let server = Mongo::start().await;
    let database = server.database().await;
    let store = migrated(&database).await;
    let binary = |n: u8| Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![n; 16] });
    let date = |at: Timestamp| DateTime::from_millis(at.as_millis());
    let session = doc! {
        "id": binary(1),
        "token_version": 3_i64,
        "generation": 4_i64,
        "token_id": binary(100),
        "auth_time": date(NOW),
        "created_at": date(NOW),
        "rotated_at": date(NOW),
        "expires_at": date(NOW.plus(HOUR)),
        "absolute_expires_at": date(NOW.plus(HOUR * 24)),
        "delete_at": date(NOW.plus(HOUR)),
        "previous_token_id": binary(99),
        "user_agent": "Firefox",
        "ip": "203.0.113.7",
    };
    let user = doc! { "_id": "ada", "sessions": [session], "gone": [], "delete_at": date(NOW.plus(HOUR)) };
    database.collection::<Document>("portcullis_sessions").insert_one(user).await.unwrap();
    goes_on(&store, 1).await;
}
