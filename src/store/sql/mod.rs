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
//! The password column holds PHC strings, or bcrypt's and others with their features, and allows `NULL`: a user without a password.
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
//! [`store_error`] maps every error, and [`fetch_rows`] reads. Name the columns, and never write `*`: a column that is added
//! while the app runs makes PostgreSQL refuse a prepared `SELECT *`, and SQLite's driver panic, which looks like an empty
//! answer. No statement reads first and writes then: under READ COMMITTED, PostgreSQL's default,
//! each is atomic as it is.
//!
//! # How it is atomic
//! A rotation is one `UPDATE` that names the whole state it expects in its `WHERE`, so that of two the second finds nothing
//! to update, whatever the isolation level. Only then is the record read, the rule of
//! [`decide`](crate::session::decide) asked, and what it says written under the condition that nothing has changed since.
//! What touches several records runs in a transaction that first locks the user.
//!
//! # How much is kept
//! An ended session stays until its tombstone is over, because other nodes learn of the ending from it, and a token of the
//! session is refused by it after a restart. No login, list or ending reads these rows: an index holds the live sessions
//! alone. A session that ended for reuse stays until it would have expired; of these the 16 newest of a user are kept, the
//! others for as long as any ended session.
//!
//! Expired rows count as absent. They are deleted 500 at a time, by a task that a login starts now and then and does not
//! wait for, or by [`sweep`](SqliteStore::sweep). What has ended is read in pages of 10,000, each with the whole timeout,
//! so that a node with much to read comes to its start.
//!
//! # Connections
//! [`PostgresStore::connect`] and [`SqliteStore::open`] make pools that suit; `new` takes one of yours. Every operation ends
//! after a timeout of its own (`with_timeout`; 3 seconds in PostgreSQL and 4 in SQLite, the wait for a connection included),
//! so that a client that was told 503 comes back within the refresh grace; a connection that did not answer in time is
//! thrown away. Read replicas must not be behind these pools: a session that has just been made is asked for at once.
//!
//! # Poolers
//! `PgBouncer` in session mode serves everything. In transaction mode it must be 1.21 or newer with `max_prepared_statements`
//! of 100 or more (set it: older releases have 0), and the driver's statement cache stays on:
//! `statement_cache_capacity(0)` makes a new named statement for each call and never closes it. `connect` and `migrate`
//! refuse a pooler that loses prepared statements. `connect` leaves out the start-up parameter `extra_float_digits`, which
//! `PgBouncer` refuses; a pool of yours does it by `extra_float_digits(None)` in its options.
//!
//! The [feed](PostgresStore::feed) needs a connection of its own to the server, or a pooler in session mode: make it of a second
//! store, `PostgresStore::new(direct_pool).feed()`.
//!
//! # Rights and failover
//! `migrate` looks before it creates: a role that may only read and write rows starts where the tables are of this version.
//! Another role makes them, by `migrate` as well.
//!
//! A connection that leads to a standby after a failover is closed at its first refusal, with all that rest in the pool, and
//! the call is unavailable (503); the next one connects anew. The driver knows one host: a name or address that follows the
//! primary has to be in front. What an asynchronous standby had not received is lost: a session ended in the last moment
//! before the failover lives again, and so does an old password. `synchronous_standby_names` prevents it.
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
