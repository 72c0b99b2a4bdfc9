//! Users and sessions in SQL, by `sqlx` 0.9: SQLite (feature `sqlx_0_9_sqlite`) and PostgreSQL (`sqlx_0_9_postgres`).
//!
//! Both are one type that is a [`UserStore`](super::UserStore) of the ready [`User`](crate::User) and a
//! [`SessionStore`](super::SessionStore). An app with a users table of its own implements `UserStore` over that, and takes
//! the sessions from here: `Auth::builder(own_users, SqliteStore::new(pool))`.
//!
//! The tables begin with `portcullis_` and are made by `migrate()`, which can run at every start and on every node. Times
//! are milliseconds, ids are bytes: a user's id may hold what no text column takes, such as NUL.
//!
//! # How it is atomic
//! A rotation is one `UPDATE` that names the whole state it expects in its `WHERE`, so that of two the second finds nothing
//! to update, whatever the isolation level. Only then is the record read, the rule of
//! [`decide`](crate::session::decide) asked, and what it says written under the condition that nothing has changed since.
//! What touches several records runs in a transaction that first locks the user.
//!
//! # Connections
//! Every operation ends after a timeout of its own (`with_timeout`; 3 seconds in PostgreSQL and 4 in SQLite, the wait for a
//! connection included), so that a client that was told 503 comes back within the refresh grace; a connection that did
//! not answer in time is thrown away. Read replicas must not be behind these pools: a session that
//! has just been made is asked for at once.

mod connection;
#[cfg(feature = "sqlx_0_9_postgres")]
mod feed;
#[cfg(feature = "sqlx_0_9_postgres")]
mod postgres;
mod rows;
#[cfg(feature = "sqlx_0_9_sqlite")]
mod sqlite;
mod statements;
mod store;

#[cfg(feature = "sqlx_0_9_sqlite")]
pub use self::sqlite::SqliteStore;
#[cfg(feature = "sqlx_0_9_postgres")]
pub use self::{feed::PostgresFeed, postgres::PostgresStore};

use super::StoreError;

/// How often an operation is tried anew when another changed the record in between.
const MAX_ATTEMPTS: usize = 16;

/// After how many logins expired records are looked for, and how many are deleted then.
const LOGINS_BETWEEN_SWEEPS: u32 = 64;

/// Tells an outage from a bug by the kind of error and the engine's code.
fn failed(error: sqlx::Error) -> StoreError {
    let passes = match &error {
        sqlx::Error::Database(database) => database.code().is_some_and(|code| passes_by_itself(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    };
    if passes { StoreError::unavailable(error) } else { StoreError::internal(error) }
}

/// PostgreSQL's classes 08 (connection), 40 (rolled back), 53 (resources), 55 (lock), 57 (operator), and SQLite's busy,
/// locked, out of memory, read-only, interrupted, I/O error, full and cannot open. PostgreSQL refuses writes with 25006 where it is a standby, or was
/// told to: that is over when the failover is.
fn passes_by_itself(code: &str) -> bool {
    match code.len() {
        5 => code == "25006" || ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class)),
        _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5..=10 | 13 | 14)),
    }
}

/// A number as the engines keep it.
fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(StoreError::internal)
}
