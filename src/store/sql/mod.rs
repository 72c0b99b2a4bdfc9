//! Users and sessions in SQL, by `sqlx` 0.9: SQLite (feature `sqlx_0_9_sqlite`) and PostgreSQL
//! (`sqlx_0_9_postgres`).
//!
//! [`SqliteStore`] and [`PostgresStore`] are each a [`UserStore`](super::UserStore) and
//! [`UserAdmin`](super::UserAdmin) of the ready [`User`](crate::User), and a
//! [`SessionStore`](super::SessionStore). An app with a users table of its own implements
//! `UserStore` over that table, and takes the sessions from here: `Auth::builder(own_users,
//! SqliteStore::new(pool))`.
//!
//! The names of the tables begin with `portcullis_`. `migrate()` creates them, and can run at every
//! start and on every node. Times are milliseconds. Ids are bytes, because a user's id may contain
//! what no text column accepts, such as NUL.
//!
//! Users are looked up by a [`LoginKey`](crate::user::LoginKey). An earlier release made keys
//! without normal forms. `migrate()` makes them anew, once. Where two users have the same address
//! by today's rule, one of them has the key, and the other one keeps the earlier key. Both log in
//! with the spelling that they registered. A warning in the log names them by their ids.
//!
//! # A users table of your own
//! Six statements make a table a `UserStore`. Here the table is `members (member_id, mail, pw, …)`.
//! The example `existing_app` has all of it, and a [guide](crate::guide::own_users_table) explains
//! it. The table needs two more columns: `token_version`, which starts at 0, and `mail_key`, which
//! is unique and has the key that [`Login::email`](crate::user::Login::email) makes. The password
//! column has PHC strings, or bcrypt's and others with their features. It allows `NULL`, for a user
//! without a password.
//!
//! | method | statement | answer |
//! |---|---|---|
//! | `find_by_id` | `SELECT member_id, mail, … FROM members WHERE member_id = $1` | the row; `None` for an id that is no number |
//! | `find_by_login` | `SELECT member_id, mail, … FROM members WHERE mail_key = $1` | the row; `None` for a kind of login that you have not |
//! | `create` | `INSERT INTO members (mail, mail_key, pw) VALUES ($1, $2, $3) RETURNING member_id, mail, …` | the row |
//! | `replace_password_hash` | `UPDATE members SET pw = $3 WHERE member_id = $1 AND pw = $2` | whether a row was changed |
//! | `set_password` | `UPDATE members SET pw = $3, token_version = token_version + 1 WHERE member_id = $1 AND pw IS NOT DISTINCT FROM $2 RETURNING token_version` | the version. `$2` is `NULL` for a first password |
//! | `bump_token_version` | `UPDATE members SET token_version = token_version + 1 WHERE member_id = $1 RETURNING token_version` | the version |
//!
//! [`store_error`] converts every error, and [`fetch_rows`] reads. Name the columns, and never
//! write `*`. Where a column is added while the app runs, PostgreSQL refuses a prepared `SELECT *`,
//! and SQLite's driver panics, which looks like an empty answer. No method reads first and then
//! writes. Each statement is therefore atomic as it is, under READ COMMITTED, which is PostgreSQL's
//! default.
//!
//! # How calls are atomic
//! A rotation is one `UPDATE` whose `WHERE` names the whole state that it expects. Of two
//! rotations, the second one finds nothing to update, whatever the isolation level is. Only then
//! the store reads the record, asks [`decide`](crate::session::decide), and writes the decision
//! under the condition that nothing has changed since. A call that touches several records runs in
//! a transaction that first locks the user.
//!
//! # How long records are kept
//! An ended session stays until its tombstone expires. Other nodes learn from it what has ended,
//! and after a restart a token of the session is refused by it. No login, list or end reads these
//! rows, because an index holds the live sessions alone. A session that ended for reuse stays until
//! it would have expired. This holds for the 16 newest of a user. The others stay as long as any
//! ended session.
//!
//! Expired rows count as absent. A login starts a task now and then, and does not wait for it. The
//! task deletes expired rows, 500 at a time. [`sweep`](SqliteStore::sweep) deletes them too. A node
//! reads what has ended in pages of 10,000, each with the whole timeout, so that a node with much
//! to read can start.
//!
//! # Connections
//! [`PostgresStore::connect`] and [`SqliteStore::connect`] make pools that suit these stores. `new`
//! takes a pool of yours. Every operation ends after a timeout (`with_timeout`, which includes the
//! wait for a connection). Default: 3 s for PostgreSQL, 4 s for SQLite. A client that was answered
//! 503 can then come back within the refresh grace. A connection that did not answer in time is
//! closed. These pools must not lead to read replicas that lag, because a new session is looked up
//! at once.
//!
//! # Poolers
//! `PgBouncer` in session mode works without restriction. In transaction mode it must be version
//! 1.21 or newer, with `max_prepared_statements` of 100 or more. Set it, because older releases
//! have 0. Leave the driver's statement cache on: `statement_cache_capacity(0)` makes a new named
//! statement for each call and never closes it. `connect` and `migrate` refuse a pooler that loses
//! prepared statements, and fail where they cannot check it. `connect` leaves out the start-up
//! parameter `extra_float_digits`, which `PgBouncer` refuses. For a pool of yours, write
//! `extra_float_digits(None)` in its options.
//!
//! The [feed](PostgresStore::feed) needs a connection to the server itself, or a pooler in session
//! mode. Make it of a second store: `PostgresStore::new(direct_pool).feed()`.
//!
//! # Rights and failover
//! `migrate` looks before it creates. A role that may only read and write rows can start where the
//! tables are of this version. Another role creates them, also with `migrate`.
//!
//! After a failover, a connection that leads to a standby is closed at its first refusal, with all
//! that rest in the pool. That call is unavailable (503), and the next one connects anew. The
//! driver knows one host: use a name or address that follows the primary. What an asynchronous
//! standby had not received is lost. A session that ended in the last moment before the failover is
//! live again, and an old password is valid again. `synchronous_standby_names` prevents that.
//!
//! # Round trips
//! Round trips in PostgreSQL, counted on the wire by a test. Every statement finds its rows by an
//! index, which tests read in the plans of both engines. In SQLite they are statements over an open
//! file. A pool tests a connection when it gets it back, and no call waits for that. The pool of
//! [`PostgresStore::connect`] also tests a connection that has rested for a second before it gives
//! it away.
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
//! | a method of `UserAdmin` | 1 | 0 |
//! | a node at rest | 0 | 1 per poll |
//!
//! # Outages
//! The outage tests call every method of `UserStore` and `SessionStore` and every endpoint. Each
//! failed request is answered 503 with `Retry-After`. No cookie changes, no user is logged out, and
//! nothing is half done. The same app goes on when the engine is back.
//!
//! | store | fault | what clients saw |
//! |---|---|---|
//! | PostgreSQL | connections refused; no answer any more; server killed; server standing still | 503 for all that needs the store; stateless guards go on |
//! | PostgreSQL | connections cut, backends terminated, any one flight of an operation lost before or after the server had it | the answer, or 503 and the answer when asked again |
//! | SQLite | locked by another writer; read-only; disk full | 503 for all that writes; reads go on |
//! | PostgreSQL | failover: the connections of the pool lead to a standby | 503, and the next try reaches the primary |
//! | PostgreSQL, SQLite | a table is changed while the app runs | the answer |
//! | SQLite | process killed in the middle of refreshes | every session goes on, each once; the file is whole |

mod connection;
mod engine;
mod failure;
#[cfg(feature = "sqlx_0_9_postgres")]
mod feed;
mod page;
#[cfg(feature = "sqlx_0_9_postgres")]
mod pooler;
#[cfg(feature = "sqlx_0_9_postgres")]
mod postgres;
mod query;
mod record;
mod schema;
mod session_statements;
mod sessions;
#[cfg(feature = "sqlx_0_9_sqlite")]
mod sqlite;
mod statement;
mod statements;
mod store;
mod sweep;
#[cfg(all(test, feature = "sqlx_0_9_sqlite"))]
mod tests;
mod user_keys;
mod users;

pub use self::{failure::store_error, query::fetch_rows};

#[cfg(feature = "sqlx_0_9_sqlite")]
pub use self::sqlite::SqliteStore;
#[cfg(feature = "sqlx_0_9_postgres")]
pub use self::{feed::PostgresFeed, postgres::PostgresStore};
