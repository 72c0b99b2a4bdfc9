//! Users and sessions in SQL, by `sqlx` 0.9: SQLite (feature `sqlx_0_9_sqlite`) and PostgreSQL (`sqlx_0_9_postgres`).
//!
//! Both are one type that is a [`UserStore`](super::UserStore) of the ready [`User`](crate::User) and a
//! [`SessionStore`](super::SessionStore). An app with a users table of its own implements `UserStore` over that, and takes
//! the sessions from here: `Auth::builder(own_users, SqliteStore::new(pool))`.
//!
//! The tables begin with `portcullis_` and are made by `migrate()`, which can run at every start and on every node. Times
//! are milliseconds, ids are bytes: a user's id may hold what no text column takes, such as NUL.
//!
//! Users are looked up by a [`LoginKey`](crate::user::LoginKey). `migrate()` makes anew, once, the keys that an earlier release made
//! without normal forms. Where two users have one address by today's rule, one of them has the key, and the other one
//! keeps the earlier key: both log in with the spelling that they registered. A warning in the log names them by their
//! ids.
//!
//! # A users table of your own
//! Six statements make it a `UserStore`, here for a table `members (member_id, mail, pw, …)`; `examples/existing_app` is the
//! whole of it, and a [guide](crate::guide::own_users_table) goes through it. Two columns are needed beside what the table
//! has: `token_version`, which starts at 0, and `mail_key`, unique and as [`Login::email`](crate::user::Login::email) makes it.
//! The password column holds PHC strings, or bcrypt's and others with their features.
//!
//! | method | statement | answer |
//! |---|---|---|
//! | `find_by_id` | `SELECT * FROM members WHERE member_id = $1` | the row; `None` for an id that is no number |
//! | `find_by_login` | `SELECT * FROM members WHERE mail_key = $1` | the row; `None` for a kind of login that you have not |
//! | `create` | `INSERT INTO members (mail, mail_key, pw) VALUES ($1, $2, $3) RETURNING *` | the row |
//! | `replace_password_hash` | `UPDATE members SET pw = $3 WHERE member_id = $1 AND pw = $2` | whether a row was changed |
//! | `set_password` | `UPDATE members SET pw = $3, token_version = token_version + 1 WHERE member_id = $1 AND pw = $2 RETURNING token_version` | the version |
//! | `bump_token_version` | `UPDATE members SET token_version = token_version + 1 WHERE member_id = $1 RETURNING token_version` | the version |
//!
//! [`store_error`] maps every error. No statement reads first and writes then: under READ COMMITTED, PostgreSQL's default,
//! each is atomic as it is.
//!
//! # How it is atomic
//! A rotation is one `UPDATE` that names the whole state it expects in its `WHERE`, so that of two the second finds nothing
//! to update, whatever the isolation level. Only then is the record read, the rule of
//! [`decide`](crate::session::decide) asked, and what it says written under the condition that nothing has changed since.
//! What touches several records runs in a transaction that first locks the user.
//!
//! # Connections
//! [`PostgresStore::connect`] and [`SqliteStore::open`] make pools that suit; `new` takes one of yours. Every operation ends
//! after a timeout of its own (`with_timeout`; 3 seconds in PostgreSQL and 4 in SQLite, the wait for a connection included),
//! so that a client that was told 503 comes back within the refresh grace; a connection that did not answer in time is
//! thrown away. Read replicas must not be behind these pools: a session that has just been made is asked for at once.
//! A pooler in transaction mode needs `statement_cache_capacity(0)` in the options of your pool.
//!
//! # What an operation costs
//! Round trips in PostgreSQL, counted on the wire by a test; every statement finds its rows by an index, which tests read in
//! the plans of both engines. In SQLite they are statements of a file that is open. A pool tests a connection when it gets
//! it back, with nobody waiting, and [`PostgresStore::connect`]'s also before it gives one away that has rested for a second.
//!
//! | operation | users | sessions |
//! |---|---|---|
//! | protected request, stateless | 0 | 0 |
//! | protected request, user loaded, or session checked | 1 | 0, or 1 |
//! | register, without the session | 1 | 0 |
//! | login | 1 | 6, one transaction |
//! | refresh | 1 | 1; a replay 2 |
//! | list of sessions, however many | 0 | 1 |
//! | logout | 0 | 1 |
//! | logout everywhere | 1 | 4, one transaction |
//! | password change | 2 | 5, one transaction |
//! | a node at rest | 0 | 1 per poll |
//!
//! # Outages
//! What the tests saw, through every call of both traits and every endpoint: 503 with `Retry-After`, no cookie touched,
//! nobody signed out, nothing half done, and the same app went on when the engine was back.
//!
//! | store | fault | what clients saw |
//! |---|---|---|
//! | PostgreSQL | connections refused; no answer any more; server killed; server standing still | 503 for all that needs the store; stateless guards go on |
//! | PostgreSQL | connections cut, backends terminated, any one flight of an operation lost before or after the server had it | the answer, or 503 and the answer when asked again |
//! | SQLite | locked by another writer; read-only; disk full | 503 for all that writes; reads go on |
//! | SQLite | process killed in the middle of refreshes | every session goes on, each once; the file is whole |

mod connection;
#[cfg(feature = "sqlx_0_9_postgres")]
mod feed;
#[cfg(all(test, feature = "sqlx_0_9_sqlite"))]
mod plans;
#[cfg(feature = "sqlx_0_9_postgres")]
mod postgres;
mod rows;
#[cfg(feature = "sqlx_0_9_sqlite")]
mod sqlite;
mod statements;
mod store;
mod user_keys;

#[cfg(feature = "sqlx_0_9_sqlite")]
pub use self::sqlite::SqliteStore;
#[cfg(feature = "sqlx_0_9_postgres")]
pub use self::{feed::PostgresFeed, postgres::PostgresStore};

use super::{StoreError, UniqueField};

/// How often an operation is tried anew when another changed the record in between.
const MAX_ATTEMPTS: usize = 16;

/// After how many logins expired records are looked for, and how many are deleted then.
const LOGINS_BETWEEN_SWEEPS: u32 = 64;

/// Says what an error of the driver is to this crate, for a [`UserStore`](super::UserStore) over a table of your own: a
/// violated unique constraint is a duplicate, of the username where the constraint's or column's name has `user` or `name`
/// in it and else of the e-mail address; what passes by itself is unavailable, by the kind of error and the engine's code;
/// anything else is a bug.
pub fn store_error(error: sqlx::Error) -> StoreError {
    let violated = error.as_database_error().filter(|error| error.is_unique_violation());
    let Some(database) = violated else { return failed(error) };
    // SQLite names `table.column` in its message, PostgreSQL the constraint, whose name has the table's in it.
    let named = database.constraint().unwrap_or_else(|| database.message());
    let column = named.rsplit_once('.').map_or(named, |(_, column)| column);
    let column = database.table().map_or_else(|| column.to_owned(), |table| column.replacen(table, "", 1));
    let username = column.contains("user") || column.contains("name");
    StoreError::duplicate(if username { UniqueField::Username } else { UniqueField::Email })
}

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
/// told to: that is over when the failover is. With 25P03 it has given up a transaction that said nothing for too long.
fn passes_by_itself(code: &str) -> bool {
    match code.len() {
        5 => {
            code == "25006"
                || code == "25P03"
                || ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class))
        }
        _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5..=10 | 13 | 14)),
    }
}

/// A number as the engines keep it.
fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(StoreError::internal)
}
