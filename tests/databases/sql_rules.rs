//! Tests what the SQL stores guarantee beyond the conformance suite: small sweeps, a bounded number
//! of records, and the same answer to a repeated call.

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

/// A caller that lost the answer ends the session again. It is the same end, not a second one.
async fn recognises_its_own_end(store: &impl SessionStore) {
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

/// A session that ended for reuse is kept for long, so that later refreshes are answered. But only
/// a few of them are kept.
async fn keeps_few_sessions_that_ended_for_reuse(store: &impl SessionStore) {
    let eve = "eve".into();
    for n in 1..=20_u8 {
        let record = portcullis::session::Session { generation: 9, ..session(&eve, id(n), at(n.into())) };
        store.create(new(record)).await.unwrap();
        assert_eq!(store.rotate(&rotation(&eve, id(n), at(n.into()))).await.unwrap(), RotateOutcome::Reused);
    }
    let rotated = async |n, now| store.rotate(&rotation(&eve, id(n), now)).await.unwrap();
    for n in 1..=20 {
        assert_eq!(rotated(n, at(21)).await, RotateOutcome::Ended(EndReason::Reuse), "within the tombstone: {n}");
    }
    // After the last access token has expired, only the newest are needed.
    let late = at(21).plus(TOMBSTONE);
    for n in 1..=4 {
        assert_eq!(rotated(n, late).await, RotateOutcome::Unknown, "an old one: {n}");
    }
    for n in 5..=20 {
        assert_eq!(rotated(n, late).await, RotateOutcome::Ended(EndReason::Reuse), "a new one: {n}");
    }
}

#[tokio::test]
async fn sqlite_answers_a_repeated_end_again() {
    let scratch = TempDir::new();
    recognises_its_own_end(&sqlite(&scratch).await.0).await;
}

#[tokio::test]
async fn sqlite_keeps_few_sessions_that_ended_for_reuse() {
    let scratch = TempDir::new();
    keeps_few_sessions_that_ended_for_reuse(&sqlite(&scratch).await.0).await;
}

#[tokio::test]
async fn postgres_bounds_records_and_answers_repeated_ends() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    recognises_its_own_end(&server.store("read committed").await).await;
    keeps_few_sessions_that_ended_for_reuse(&server.store("serializable").await).await;
}

/// Adds rows that expired long ago, by a statement.
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
async fn a_login_never_waits_for_a_sweep_of_all_expired_rows() {
    let scratch = TempDir::new();
    let (store, pool) = sqlite(&scratch).await;
    // These are more rows than the sweep of one login may delete.
    fill(&pool, 40_000).await;
    SessionStore::create(&store, new(session(&"ada".into(), id(1), NOW))).await.unwrap();
    assert!(expired(&pool).await > 0, "the login has deleted all of it");
    // Each login deletes a few. A sweep that an app asks for deletes all.
    store.sweep(NOW).await.unwrap();
    assert_eq!(expired(&pool).await, 0);
    assert!(store.find(&"ada".into(), &id(1), NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn logins_delete_expired_rows() {
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
async fn a_read_only_database_with_its_tables_can_be_opened() {
    let scratch = TempDir::new();
    let (store, _pool) = sqlite(&scratch).await;
    SessionStore::create(&store, new(session(&"ada".into(), id(1), NOW))).await.unwrap();
    let read_only = SqliteConnectOptions::new().filename(scratch.path().join("app.db")).read_only(true);
    let store = SqliteStore::new(SqlitePool::connect_with(read_only).await.unwrap());
    store.migrate().await.unwrap();
    assert!(store.find(&"ada".into(), &id(1), NOW).await.unwrap().is_some());
}

/// A password hash, as an error with the refused row would show it.
pub(crate) const CANARY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Y2FuYXJ5Y2FuYXJ5$TmV2ZXJJbkFueUxvZ0ZpbGVQbGVhc2VUaGFua1lvdQ";

/// Returns everything that a log or a report could show of an error.
pub(crate) fn everything_of(error: &StoreError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text} {error} {error:?}");
        cause = error.source();
    }
    text
}

pub(crate) fn new_user() -> NewUser<Profile> {
    NewUser::new(
        "canary@example.com".parse::<Email>().unwrap(),
        None,
        PasswordHash::new(CANARY),
        Profile::default(),
        NOW,
    )
}

#[tokio::test]
async fn errors_of_sqlite_have_only_the_code_and_the_name() {
    let scratch = TempDir::new();
    let (store, pool) = sqlite(&scratch).await;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON portcullis_users BEGIN \
                   SELECT RAISE(ABORT, 'refused: $argon2id$v=19$m=19456,t=2,p=1$Y2FuYXJ5Y2FuYXJ5'); END";
    sqlx::query(trigger).execute(&pool).await.unwrap();
    let error = UserStore::create(&store, new_user()).await.unwrap_err();
    let all = everything_of(&error);
    assert!(!all.contains("Y2FuYXJ5") && !all.contains("canary"), "{all}");
    assert!(all.contains("1811"), "its code is not there: {all}");
}

/// A poll and the start of a node read revocations in pages, and none is lost.
#[tokio::test]
async fn all_revocations_are_read_however_many_there_are() {
    const COUNT: usize = 25_000;
    let scratch = TempDir::new();
    let (store, pool) = sqlite(&scratch).await;
    let now = SystemClock.now();
    // Many have the same moment, so that a page ends in the middle of it.
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

/// One user who logs in often makes a login no slower than any other.
#[tokio::test]
async fn a_login_works_with_any_number_of_ended_sessions() {
    let scratch = TempDir::new();
    let (store, _pool) = sqlite(&scratch).await;
    let eve = "eve".into();
    for n in 0..40_u8 {
        SessionStore::create(&store, new(session(&eve, id(n), at(n.into())))).await.unwrap();
        assert!(store.end(&eve, &id(n), ended(EndReason::Logout, at(n.into()))).await.unwrap());
    }
    SessionStore::create(&store, new(session(&eve, SessionId::from_bytes([99; 16]), at(50)))).await.unwrap();
    assert_eq!(store.list(&eve, at(50)).await.unwrap().len(), 1);
    // Each of them is still a tombstone, from which other nodes learn of the end.
    assert_eq!(store.ended_since(NOW, at(50)).await.unwrap().len(), 40);
}
