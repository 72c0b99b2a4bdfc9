//! PostgreSQL: for apps on several machines.

use std::sync::{Arc, atomic::AtomicU32};

use sqlx::{
    AssertSqlSafe, PgConnection as Connection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};

use super::{
    feed::PostgresFeed,
    store::{again_if_overtaken, sql_store},
};

sql_store!(PostgresStore, PgRow);

/// Users and sessions in PostgreSQL; clones share the pool.
///
/// ```no_run
/// use portcullis::{Auth, store::sql::PostgresStore};
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://localhost/app").await?;
/// let auth = portcullis::Builder::from_env(store.clone(), store).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    logins: Arc<AtomicU32>,
    timeout: Duration,
    clocks: SharedClock,
}

/// How long a node that changes the tables waits for another that does, and may be silent meanwhile.
const MIGRATION_PAUSE: Duration = Duration::from_mins(10);

/// The versions of the tables, the newest last; a released one is never changed.
const MIGRATIONS: [&[&str]; 1] = [&[
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
]];

/// How long an operation may take: two of them are less than the refresh grace.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Names our advisory locks among an app's own.
const LOCK_CLASS: i32 = 0x0070_6f72;

/// A connection that was used within this time is taken to be good: the test of it is a round trip of its own.
const FRESH: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Connects with a pool that suits this store (at most 16 connections, tested before they are used only when they have
    /// rested), and brings the tables up to date.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where the server cannot be reached, [`StoreError::internal`] where the address is none.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(failed)?;
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, seen| {
                Box::pin(async move {
                    if seen.idle_for > FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
        let store = Self::new(pool.connect_with(options).await.map_err(failed)?);
        store.migrate().await?;
        Ok(store)
    }

    /// Uses a pool of yours, one with an acquire timeout of a few seconds. Call [`migrate`](Self::migrate).
    pub fn new(pool: PgPool) -> Self {
        Self { pool, logins: Arc::default(), timeout: TIMEOUT, clocks: SharedClock::default() }
    }

    /// The server's clock, in one round trip.
    async fn shared_clock(&self) -> Result<Option<Timestamp>, StoreError> {
        if let Some(known) = self.clocks.known() {
            return Ok(Some(known));
        }
        let server: i64 = on_connection!(self, |connection| {
            let clock = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
            clock.fetch_one(&mut *connection).await.map_err(failed)
        })?;
        Ok(Some(self.clocks.with_server(Timestamp::from_millis(server))))
    }

    /// Tells the nodes of this database at once what one of them ends: `builder.revocation_feed(store.feed())`.
    pub fn feed(&self) -> PostgresFeed {
        PostgresFeed::new(self.pool.clone(), self.timeout)
    }

    /// Brings the tables up to date; several nodes may do it at once.
    ///
    /// # Errors
    /// As of [`SessionStore`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // Outside of the timeout: a change to a large table takes what it takes.
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let mut transaction = Self::lock(&mut connection, &UserId::from(""), MIGRATION_PAUSE).await?;
        let run = async |transaction: &mut Transaction<'_, Postgres>, statement: &'static str| {
            sqlx::query(statement).execute(&mut **transaction).await.map_err(failed)
        };
        run(&mut transaction, "CREATE TABLE IF NOT EXISTS portcullis_schema (version BIGINT NOT NULL)").await?;
        let found = "SELECT COALESCE(MAX(version), 0) FROM portcullis_schema";
        let version: i64 = sqlx::query_scalar(found).fetch_one(&mut *transaction).await.map_err(failed)?;
        for (statements, number) in MIGRATIONS.iter().zip(1_i64..).filter(|(_, number)| *number > version) {
            for statement in *statements {
                run(&mut transaction, statement).await?;
            }
            let done = sqlx::query("INSERT INTO portcullis_schema (version) VALUES ($1)").bind(number);
            done.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Begins a transaction that is alone with the user's sessions. READ COMMITTED whatever the database's default is: what
    /// was committed before the lock was given must be seen.
    ///
    /// A node that vanishes in the middle keeps the lock until the server gives up on it: after `pause`, not after the two
    /// hours of a TCP connection.
    async fn lock<'c>(
        connection: &'c mut Connection,
        user: &UserId,
        pause: Duration,
    ) -> Result<Transaction<'c, Postgres>, StoreError> {
        // All in one round trip. A digest of the user's id is all that comes from outside.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
             SET LOCAL idle_in_transaction_session_timeout = {pause}; SET LOCAL lock_timeout = {pause}; \
             SELECT pg_advisory_xact_lock({LOCK_CLASS}, {})",
            lock_number(user),
            pause = pause.as_millis().clamp(1, 3_600_000),
        );
        let transaction = connection.begin_with(AssertSqlSafe(begin)).await.map_err(failed)?;
        Ok(transaction)
    }
}

/// A number for the user, the same on every node and in every release: FNV-1a. Two users of one number wait for each other.
fn lock_number(user: &UserId) -> i32 {
    let hash =
        user.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.cast_signed()
}

/// Under REPEATABLE READ or SERIALIZABLE a statement that waited for another is told so instead of seeing its result.
fn lost_a_race(error: &StoreError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<sqlx::Error>());
    let database = source.and_then(sqlx::Error::as_database_error);
    database.and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "40001" || code == "40P01")
}
