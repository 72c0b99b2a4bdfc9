//! Tests of how SQLite finds the rows of each statement.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use sqlx::{AssertSqlSafe, Row, Sqlite, SqlitePool, sqlite::SqlitePoolOptions};

use super::{SqliteStore, engine::Engine, statements as sql};

async fn plan(pool: &SqlitePool, statement: &str) -> String {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    SqliteStore::new(pool.clone()).migrate().await.unwrap();
    for (statement, index) in [
        (sql::USER_BY_ID, "INTEGER PRIMARY KEY"),
        (sql::USER_BY_EMAIL, "(email_key=?)"),
        (sql::USER_BY_USERNAME, "(username_key=?)"),
        (sql::REPLACE_HASH, "INTEGER PRIMARY KEY"),
        (sql::SET_PASSWORD, "INTEGER PRIMARY KEY"),
        (sql::BUMP_VERSION, "INTEGER PRIMARY KEY"),
        (sql::SET_DISABLED, "INTEGER PRIMARY KEY"),
        (sql::SET_ROLES, "INTEGER PRIMARY KEY"),
        (sql::REMOVE_USER, "INTEGER PRIMARY KEY"),
        (sql::USERS_AFTER, "INTEGER PRIMARY KEY (rowid>?)"),
        (sql::FIND, "(user_id=? AND id=?)"),
        (sql::ROTATE, "(user_id=? AND id=?)"),
        (sql::END_AS_READ, "(user_id=? AND id=?)"),
        (sql::END, "(user_id=? AND id=?)"),
        (sql::RESTAMP, "(user_id=? AND id=?)"),
        // By the index of live sessions, because a user may have any number of ended ones.
        (sql::LIST, "portcullis_sessions_live (user_id=?"),
        (sql::END_VERSIONS, "portcullis_sessions_live (user_id=?"),
        (sql::FORGET_REUSED, "portcullis_sessions_reuse (user_id=?"),
        (sql::FLOOR, "(user_id=?)"),
        (sql::ENDED_SINCE, "portcullis_sessions_ended_at (ended_at>?)"),
        (sql::ENDED_SINCE, "portcullis_floors_raised_at (raised_at>?)"),
        (Sqlite::SWEEPS[0], "portcullis_sessions_delete_at (delete_at<?)"),
        (Sqlite::SWEEPS[0], "(user_id=? AND id=?)"),
        (Sqlite::SWEEPS[1], "portcullis_floors_keep_until (keep_until<?)"),
    ] {
        let plan = plan(&pool, statement).await;
        // A page is read again as a whole. A table never is.
        assert!(plan.contains(index) && !plan.contains("SCAN portcullis"), "{statement}\n{plan}");
    }
}
