//! PostgreSQL: for apps on several machines.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Row, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    engine::{Engine, driver_calls},
    failure::failed,
    feed::PostgresFeed,
    pooler::check_pooler,
    store::{SqlStore, public_store, to_admin, to_sessions, to_users},
};
use crate::{store::StoreError, user::UserId};

/// Users and sessions in PostgreSQL. Clones share the pool.
///
/// # Examples
/// ```no_run
/// use portcullis::{Auth, store::sql::PostgresStore};
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://localhost/app").await?;
/// let auth = Auth::from_env(store.clone(), store)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresStore {
    store: SqlStore<Postgres>,
}

public_store!(PostgresStore);

/// The class of this crate's advisory locks, among those of an app.
const LOCK_CLASS: i32 = 0x0070_6f72;

/// A connection that was used within this time is not tested, because a test costs a round trip.
const FRESH: Duration = Duration::from_secs(1);

/// Stops registrations between the look for a key and its writing. A violated index would end the
/// migration.
const LOCK_USERS: &str = "LOCK TABLE portcullis_users IN SHARE ROW EXCLUSIVE MODE";

impl PostgresStore {
    /// Connects to the server of a URL, and [brings the tables up to date](Self::migrate).
    ///
    /// The pool suits this store: at most 16 connections. A connection that has rested for a second
    /// is tested before its use, and closed where it leads to a standby: after a failover, that is
    /// the former primary.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the server cannot be reached.
    /// - [`StoreError::internal`] where the URL is not one of PostgreSQL, and in the cases of
    ///   [`migrate`](Self::migrate).
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // No number of this store has a fraction, and PgBouncer refuses the parameter.
        let options = url.parse::<PgConnectOptions>().map_err(failed)?.extra_float_digits(None);
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(Postgres::TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, seen| {
                Box::pin(async move {
                    if seen.idle_for <= FRESH {
                        return Ok(true);
                    }
                    // Not prepared: it costs as much as a ping.
                    let asked = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(connection).await?;
                    asked.try_get::<bool, _>(0).map(|is_standby| !is_standby)
                })
            });
        let store = Self::new(pool.connect_with(options).await.map_err(failed)?);
        store.migrate().await?;
        Ok(store)
    }

    /// Uses a pool of the app, with an acquire timeout of a few seconds. Call
    /// [`migrate`](Self::migrate).
    ///
    /// The store needs the driver's statement cache: leave `statement_cache_capacity` as it is.
    pub fn new(pool: PgPool) -> Self {
        Self { store: SqlStore::new(pool) }
    }

    /// Returns the pool, for the app's own statements.
    pub fn pool(&self) -> &PgPool {
        &self.store.pool
    }

    /// Returns a feed that reports revocations to the nodes of this database at once, for
    /// [`AuthBuilder::revocation_feed`](crate::AuthBuilder::revocation_feed).
    pub fn feed(&self) -> PostgresFeed {
        PostgresFeed::new(self.store.pool.clone(), self.store.timeout)
    }

    /// Brings the tables up to date. Several nodes may do it at once.
    ///
    /// It changes and locks nothing where the tables are up to date. A role that may not create
    /// tables can therefore call it, after a role that may create them has called it with this
    /// version of the crate.
    ///
    /// First it checks that no pooler loses the store's prepared statements.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the server cannot be reached, or where the check of the
    ///   pooler could not be made.
    /// - [`StoreError::internal`], with a sentence for the operator, where a pooler in transaction
    ///   mode loses prepared statements, or where the role may not create the tables that are
    ///   missing.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        check_pooler(&self.store.pool, self.store.timeout).await?;
        self.store.migrate().await
    }
}

impl Engine for Postgres {
    const TIMEOUT: Duration = Duration::from_secs(3);

    const MIGRATIONS: &'static [&'static [&'static str]] = &[
        &[
            "CREATE TABLE portcullis_users (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email TEXT NOT NULL, \
             email_key TEXT NOT NULL CONSTRAINT portcullis_users_email_key UNIQUE, username TEXT, \
             username_key TEXT CONSTRAINT portcullis_users_username_key UNIQUE, name TEXT, avatar_url TEXT, \
             roles TEXT NOT NULL, password_hash TEXT, token_version BIGINT NOT NULL, disabled BOOLEAN NOT NULL, \
             created_at BIGINT NOT NULL)",
            "CREATE TABLE portcullis_sessions (user_id BYTEA NOT NULL, id BYTEA NOT NULL, token_version BIGINT NOT NULL, \
             generation BIGINT NOT NULL, token_id BYTEA NOT NULL, previous_token_id BYTEA, auth_time BIGINT NOT NULL, \
             created_at BIGINT NOT NULL, rotated_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, \
             absolute_expires_at BIGINT NOT NULL, user_agent TEXT, ip TEXT, delete_at BIGINT NOT NULL, ended_at BIGINT, \
             ended_reason TEXT, ended_keep_until BIGINT, PRIMARY KEY (user_id, id))",
            "CREATE INDEX portcullis_sessions_delete_at ON portcullis_sessions (delete_at)",
            "CREATE INDEX portcullis_sessions_ended_at ON portcullis_sessions (ended_at) WHERE ended_at IS NOT NULL",
            "CREATE TABLE portcullis_floors (user_id BYTEA NOT NULL PRIMARY KEY, min_version BIGINT NOT NULL, \
             raised_at BIGINT NOT NULL, keep_until BIGINT NOT NULL)",
            "CREATE INDEX portcullis_floors_raised_at ON portcullis_floors (raised_at)",
        ],
        &[
            "CREATE INDEX portcullis_floors_keep_until ON portcullis_floors (keep_until)",
            "CREATE INDEX portcullis_sessions_live ON portcullis_sessions (user_id, token_version) WHERE ended_at IS NULL",
            "CREATE INDEX portcullis_sessions_reuse ON portcullis_sessions (user_id, ended_at) WHERE ended_reason = 'reuse'",
        ],
        &[LOCK_USERS],
        &[
            "ALTER TABLE portcullis_sessions ADD COLUMN restamped_generation BIGINT",
            "ALTER TABLE portcullis_sessions ADD COLUMN amr TEXT NOT NULL DEFAULT 'pwd'",
            "ALTER TABLE portcullis_sessions ADD COLUMN acr TEXT NOT NULL DEFAULT 'aal1'",
        ],
    ];

    const CREATE_SCHEMA: &'static str = "CREATE TABLE IF NOT EXISTS portcullis_schema (version BIGINT NOT NULL)";

    const FIND_SCHEMA: &'static str = "SELECT 1 WHERE to_regclass('portcullis_schema') IS NOT NULL";

    // Whatever the encoding of the database is.
    const USERS_BEYOND_ASCII: &'static str = "SELECT id, email, email_key, username, username_key \
         FROM portcullis_users WHERE id > $1 AND (octet_length(convert_to(email_key, 'UTF8')) > char_length(email_key) \
         OR octet_length(convert_to(username_key, 'UTF8')) > char_length(username_key)) ORDER BY id LIMIT $2";

    // Without the records that another node deletes at the moment.
    const SWEEPS: [&'static str; 2] = [
        "DELETE FROM portcullis_sessions WHERE ctid = ANY (ARRAY(\
         SELECT ctid FROM portcullis_sessions WHERE delete_at <= $1 ORDER BY delete_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
        "DELETE FROM portcullis_floors WHERE ctid = ANY (ARRAY(\
         SELECT ctid FROM portcullis_floors WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2 FOR UPDATE SKIP LOCKED))",
    ];

    const CLOCK: Option<&'static str> = Some("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now");

    /// The isolation is READ COMMITTED, whatever the default of the database is: the transaction
    /// must see what was committed before it got the lock.
    ///
    /// A node that vanishes in the middle keeps the lock until the server gives up on it: after
    /// `pause`, not after the two hours of a TCP connection.
    async fn lock<'c>(
        connection: &'c mut PgConnection,
        user: &UserId,
        pause: Duration,
    ) -> Result<Transaction<'c, Postgres>, StoreError> {
        // All in one round trip. The text has no value from outside but a digest of the user's id.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
             SET LOCAL idle_in_transaction_session_timeout = {pause}; SET LOCAL lock_timeout = {pause}; \
             SELECT pg_advisory_xact_lock({LOCK_CLASS}, {})",
            lock_number(user),
            pause = pause.as_millis().clamp(1, 3_600_000),
        );
        connection.begin_with(AssertSqlSafe(begin)).await.map_err(failed)
    }

    driver_calls!();
}

/// Returns a number for the user, the same on every node and in every release (FNV-1a). Two users
/// with the same number wait for each other.
fn lock_number(user: &UserId) -> i32 {
    let hash =
        user.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.cast_signed()
}
