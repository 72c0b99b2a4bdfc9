//! What the stores of both SQL engines keep, beyond the suite for every store: small sweeps, bounded records, repeated calls.

use std::time::Duration;

use portcullis::{
    Profile,
    clock::{Clock, SystemClock},
    session::{EndReason, RotateOutcome, SessionId},
    store::{SessionStore, StoreError, UserStore, sql::SqliteStore},
    user::{Email, NewUser, PasswordHash},
};
use sqlx::{AssertSqlSafe, SqlitePool, sqlite::SqliteConnectOptions};

use crate::{
    postgres::Server,
    redis::samples::{NOW, TOMBSTONE, at, ended, id, new, rotation, session},
    required_servers::can_run,
    temp_dir::TempDir,
};

async fn sqlite(scratch: &TempDir) -> (SqliteStore, SqlitePool) {
    let path = scratch.path().join("app.db");
    let store = SqliteStore::open(&path).await.unwrap();
    (store, SqlitePool::connect_with(SqliteConnectOptions::new().filename(&path)).await.unwrap())
}

/// An ending whose answer was lost is asked for again: it is the same ending, and not a second one.
async fn recognises_its_own_ending(store: &impl SessionStore) {
    let ada = "ada".into();
    store.create(new(session(&ada, id(1), NOW))).await.unwrap();
    let ending = ended(EndReason::EndedByUser, at(1));
    assert!(store.end(&ada, &id(1), ending).await.unwrap());
    assert!(store.end(&ada, &id(1), ending).await.unwrap(), "the same ending, asked again");
    for other in [
        ended(EndReason::Logout, at(1)),
        ended(EndReason::EndedByUser, at(2)),
        portcullis::session::Ended { keep_until: at(2), ..ending },
    ] {
        assert!(!store.end(&ada, &id(1), other).await.unwrap(), "another ending: {other:?}");
    }
    assert_eq!(store.find(&ada, &id(1), at(3)).await.unwrap().unwrap().ended, Some(ending));
}

/// A session that ended for reuse is kept long, so that later tries are told so; but not any number of them.
async fn keeps_few_sessions_that_ended_for_reuse(store: &impl SessionStore) {
    let eve = "eve".into();
    for n in 1..=20_u8 {
        let record = portcullis::session::Session { generation: 9, ..session(&eve, id(n), at(n.into())) };
        store.create(new(record)).await.unwrap();
        assert_eq!(store.rotate(&rotation(&eve, id(n), at(n.into()))).await.unwrap(), RotateOutcome::Reused);
    }
    let told = async |n, now| store.rotate(&rotation(&eve, id(n), now)).await.unwrap();
    for n in 1..=20 {
        assert_eq!(told(n, at(21)).await, RotateOutcome::Ended(EndReason::Reuse), "within the tombstone: {n}");
    }
    // After the last access token has expired only the newest are needed.
    let late = at(21).plus(TOMBSTONE);
    for n in 1..=4 {
        assert_eq!(told(n, late).await, RotateOutcome::Unknown, "an old one: {n}");
    }
    for n in 5..=20 {
        assert_eq!(told(n, late).await, RotateOutcome::Ended(EndReason::Reuse), "a new one: {n}");
    }
}

#[tokio::test]
async fn sqlite_recognises_an_ending_that_is_asked_again() {
    let scratch = TempDir::new();
    recognises_its_own_ending(&sqlite(&scratch).await.0).await;
}

#[tokio::test]
async fn sqlite_keeps_few_sessions_that_ended_for_reuse() {
    let scratch = TempDir::new();
    keeps_few_sessions_that_ended_for_reuse(&sqlite(&scratch).await.0).await;
}

#[tokio::test]
async fn postgres_bounds_what_it_keeps_and_knows_its_endings() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    recognises_its_own_ending(&server.store("read committed").await).await;
    keeps_few_sessions_that_ended_for_reuse(&server.store("serializable").await).await;
}

/// Rows that expired long ago, written by a statement.
async fn fill(pool: &SqlitePool, count: u32) {
    let rows = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) \
         INSERT INTO portcullis_sessions (user_id, id, token_version, generation, token_id, auth_time, created_at, \
         rotated_at, expires_at, absolute_expires_at, delete_at) \
         SELECT CAST(n AS BLOB), CAST(n AS BLOB), 0, 0, CAST(n AS BLOB), 0, 0, 0, 1, 1, 1 FROM n"
    );
    sqlx::query(AssertSqlSafe(rows)).execute(pool).await.unwrap();
}

async fn expired(pool: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM portcullis_sessions WHERE delete_at = 1").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_login_never_waits_for_a_sweep_of_all_that_expired() {
    let scratch = TempDir::new();
    let (store, pool) = sqlite(&scratch).await;
    // More than the sweep of one login may delete.
    fill(&pool, 40_000).await;
    SessionStore::create(&store, new(session(&"ada".into(), id(1), NOW))).await.unwrap();
    assert!(expired(&pool).await > 0, "the login has deleted all of it");
    // Little by little it goes: a sweep that an app asks for takes all.
    store.sweep(NOW).await.unwrap();
    assert_eq!(expired(&pool).await, 0);
    assert!(store.find(&"ada".into(), &id(1), NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn expired_rows_go_as_users_log_in() {
    let scratch = TempDir::new();
    let (store, pool) = sqlite(&scratch).await;
    fill(&pool, 1_500).await;
    SessionStore::create(&store, new(session(&"ada".into(), id(1), NOW))).await.unwrap();
    let swept = async {
        while expired(&pool).await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.expect("nothing sweeps");
}

#[tokio::test]
async fn a_database_that_is_read_only_opens_where_its_tables_are_there() {
    let scratch = TempDir::new();
    let (store, _pool) = sqlite(&scratch).await;
    SessionStore::create(&store, new(session(&"ada".into(), id(1), NOW))).await.unwrap();
    let read_only = SqliteConnectOptions::new().filename(scratch.path().join("app.db")).read_only(true);
    let store = SqliteStore::new(SqlitePool::connect_with(read_only).await.unwrap());
    store.migrate().await.unwrap();
    assert!(store.find(&"ada".into(), &id(1), NOW).await.unwrap().is_some());
}

/// A password's hash, as a refused row would show it.
pub(crate) const CANARY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Y2FuYXJ5Y2FuYXJ5$TmV2ZXJJbkFueUxvZ0ZpbGVQbGVhc2VUaGFua1lvdQ";

/// Everything that a log or a report could make of an error.
pub(crate) fn everything_of(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text} {error} {error:?}");
        cause = error.source();
    }
    text
}

pub(crate) fn newcomer() -> NewUser<Profile> {
    NewUser::new(
        "canary@example.com".parse::<Email>().unwrap(),
        None,
        PasswordHash::new(CANARY),
        Profile::default(),
        NOW,
    )
}

#[tokio::test]
async fn what_sqlite_refuses_is_logged_by_code_and_name_alone() {
    let scratch = TempDir::new();
    let (store, pool) = sqlite(&scratch).await;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON portcullis_users BEGIN \
                   SELECT RAISE(ABORT, 'refused: $argon2id$v=19$m=19456,t=2,p=1$Y2FuYXJ5Y2FuYXJ5'); END";
    sqlx::query(trigger).execute(&pool).await.unwrap();
    let error = UserStore::create(&store, newcomer()).await.unwrap_err();
    let all = everything_of(&error);
    assert!(!all.contains("Y2FuYXJ5") && !all.contains("canary"), "{all}");
    assert!(all.contains("1811"), "its code is not there: {all}");
}

/// A poll and a start read what has ended in pages, none of which is lost.
#[tokio::test]
async fn all_that_ended_is_read_however_much_it_is() {
    const COUNT: usize = 25_000;
    let scratch = TempDir::new();
    let (store, pool) = sqlite(&scratch).await;
    let now = SystemClock.now();
    // Many of one moment, so that a page ends in the middle of it.
    let rows = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {COUNT}) \
         INSERT INTO portcullis_sessions (user_id, id, token_version, generation, token_id, auth_time, created_at, \
         rotated_at, expires_at, absolute_expires_at, delete_at, ended_at, ended_reason, ended_keep_until) \
         SELECT CAST('eve' AS BLOB), CAST(printf('%016d', n) AS BLOB), 0, 0, zeroblob(16), 0, 0, 0, 1, 1, {keep}, \
         {at} + n / 7000, 'logout', {keep} FROM n",
        at = now.as_millis(),
        keep = now.plus(TOMBSTONE).as_millis(),
    );
    sqlx::query(AssertSqlSafe(rows)).execute(&pool).await.unwrap();
    let floors = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {COUNT}) \
         INSERT INTO portcullis_floors (user_id, min_version, raised_at, keep_until) \
         SELECT CAST('u' || n AS BLOB), 1, {at}, {keep} FROM n",
        at = now.as_millis(),
        keep = now.plus(TOMBSTONE).as_millis(),
    );
    sqlx::query(AssertSqlSafe(floors)).execute(&pool).await.unwrap();
    let mut endings: Vec<_> =
        store.ended_since(now, now).await.unwrap().iter().map(|ending| format!("{ending:?}")).collect();
    endings.sort();
    endings.dedup();
    assert_eq!(endings.len(), 2 * COUNT);
}

/// One account that logs in again and again costs a login no more than any other.
#[tokio::test]
async fn a_login_works_beside_any_number_of_ended_sessions() {
    let scratch = TempDir::new();
    let (store, _pool) = sqlite(&scratch).await;
    let eve = "eve".into();
    for n in 0..40_u8 {
        SessionStore::create(&store, new(session(&eve, id(n), at(n.into())))).await.unwrap();
        assert!(store.end(&eve, &id(n), ended(EndReason::Logout, at(n.into()))).await.unwrap());
    }
    SessionStore::create(&store, new(session(&eve, SessionId::from_bytes([99; 16]), at(50)))).await.unwrap();
    assert_eq!(store.list(&eve, at(50)).await.unwrap().len(), 1);
    // Each of them is a tombstone still, by which other nodes learn of it.
    assert_eq!(store.ended_since(NOW, at(50)).await.unwrap().len(), 40);
}
