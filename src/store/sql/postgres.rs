//! PostgreSQL: for apps on several machines.

use sqlx::{
    AssertSqlSafe, PgConnection as Connection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};

use super::{
    failure::{POOLER, Verdict, verdict},
    feed::PostgresFeed,
    store::{again_if_overtaken, sql_store},
    sweep::Sweeps,
    user_keys::user_keys,
};

sql_store!(PostgresStore, Postgres, PgRow);

// Whatever the encoding of the database is.
macro_rules! not_ascii {
    ($column:literal) => {
        concat!("octet_length(convert_to(", $column, ", 'UTF8')) > char_length(", $column, ")")
    };
}
user_keys!(PostgresStore, not_ascii);

/// Users and sessions in PostgreSQL; clones share the pool.
///
/// ```no_run
/// use portcullis::{Auth, store::sql::PostgresStore};
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://localhost/app").await?;
/// let auth = portcullis::AuthBuilder::from_env(store.clone(), store).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    sweeps: Sweeps,
    timeout: Duration,
    clocks: SharedClock,
}

/// How long a node that changes the tables waits for another that does, and may be silent meanwhile.
const MIGRATION_PAUSE: Duration = Duration::from_mins(10);

/// The versions of the tables, the newest last; a released one is never changed.
const MIGRATIONS: [&[&str]; 4] = [
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

/// The version at which the keys of logins have normal forms.
const USER_KEYS: i64 = 3;

/// Stops registrations between the look for a key and its writing: a violated index would end the migration.
const LOCK_USERS: &str = "LOCK TABLE portcullis_users IN SHARE ROW EXCLUSIVE MODE";

/// The version that [`MIGRATIONS`] lead to.
fn latest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Deletes a little of what has expired, and of that what no other node deletes at the moment.
const SWEEPS: [&str; 2] = [
    "DELETE FROM portcullis_sessions WHERE ctid = ANY (ARRAY(\
     SELECT ctid FROM portcullis_sessions WHERE delete_at <= $1 ORDER BY delete_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM portcullis_floors WHERE ctid = ANY (ARRAY(\
     SELECT ctid FROM portcullis_floors WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2 FOR UPDATE SKIP LOCKED))",
];

/// How long an operation may take: two of them are less than the refresh grace.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Names our advisory locks among an app's own.
const LOCK_CLASS: i32 = 0x0070_6f72;

/// A connection that was used within this time is taken to be good: the test of it is a round trip of its own.
const FRESH: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Connects with a pool that suits this store (at most 16 connections, tested before they are used only when they have
    /// rested), and [brings the tables up to date](Self::migrate).
    ///
    /// A connection that has rested for a second and leads to a standby is closed: after a failover it is the old primary's.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where the server cannot be reached, [`StoreError::internal`] where the address is none,
    /// and as of [`migrate`](Self::migrate).
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // No number of ours has a fraction, and PgBouncer refuses the parameter.
        let options = url.parse::<PgConnectOptions>().map_err(failed)?.extra_float_digits(None);
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, seen| {
                Box::pin(async move {
                    if seen.idle_for <= FRESH {
                        return Ok(true);
                    }
                    // As simple as a ping, and as dear.
                    let asked = sqlx::raw_sql("SELECT pg_is_in_recovery()").fetch_one(connection).await?;
                    asked.try_get::<bool, _>(0).map(|is_standby| !is_standby)
                })
            });
        let store = Self::new(pool.connect_with(options).await.map_err(failed)?);
        store.migrate().await?;
        Ok(store)
    }

    /// Uses a pool of yours, one with an acquire timeout of a few seconds. Call [`migrate`](Self::migrate).
    ///
    /// It needs the driver's statement cache: leave `statement_cache_capacity` as it is.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, sweeps: Sweeps::default(), timeout: TIMEOUT, clocks: SharedClock::default() }
    }

    /// The pool, for the app's own statements: it has the settings of [`connect`](Self::connect).
    pub fn pool(&self) -> &PgPool {
        &self.pool
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

    /// Brings the tables up to date; several nodes may do it at once. Where they are, nothing is changed or locked: a role
    /// that may not make tables can call it, after a role that may has done so with this version of the crate.
    ///
    /// It looks first whether a pooler keeps this store's prepared statements.
    ///
    /// # Errors
    /// [`StoreError::internal`] with a sentence for the operator where a pooler in transaction mode loses prepared
    /// statements, or where the role may not make the tables that are missing; else as of [`SessionStore`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.check_pooler().await?;
        // Outside of the timeout: a change to a large table takes what it takes.
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        if Self::version(&mut connection).await?.is_some_and(|version| version >= latest()) {
            return Ok(());
        }
        let mut transaction = Self::lock(&mut connection, &UserId::from(""), MIGRATION_PAUSE).await?;
        let run = async |transaction: &mut Transaction<'_, Postgres>, statement: &'static str| {
            changes(transaction, sqlx::query(statement).persistent(false)).await.map(drop).map_err(failed)
        };
        run(&mut transaction, "CREATE TABLE IF NOT EXISTS portcullis_schema (version BIGINT NOT NULL)").await?;
        let version = Self::version(&mut transaction).await?.unwrap_or(0);
        for (statements, number) in MIGRATIONS.iter().zip(1_i64..).filter(|(_, number)| *number > version) {
            for statement in *statements {
                run(&mut transaction, statement).await?;
            }
            if number == USER_KEYS {
                Self::renew_user_keys(&mut transaction).await?;
            }
            let done = sqlx::query("INSERT INTO portcullis_schema (version) VALUES ($1)").bind(number);
            changes(&mut transaction, done).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// The version of the tables, where there are any.
    async fn version(connection: &mut Connection) -> Result<Option<i64>, StoreError> {
        let looked = sqlx::query("SELECT 1 WHERE to_regclass('portcullis_schema') IS NOT NULL");
        if fetch(&mut *connection, looked).await.map_err(failed)?.is_empty() {
            return Ok(None);
        }
        let found = sqlx::query("SELECT COALESCE(MAX(version), 0) AS version FROM portcullis_schema");
        fetch(connection, found).await.map_err(failed)?.first().map(|row| number(row, "version")).transpose()
    }

    /// Fails where prepared statements are lost between two transactions. Whatever else goes wrong is left to the first
    /// operation that meets it.
    async fn check_pooler(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(self.timeout, self.prepare_twice()).await {
            Ok(Err(error)) if verdict(&error) == Some(Verdict::LostStatement) => Err(StoreError::internal(POOLER)),
            Ok(Err(error)) if !error.is_unavailable() => Err(error),
            _ => Ok(()),
        }
    }

    /// Prepares a statement on one connection, has a second one hold what may be the same backend, and runs the statement
    /// again. A pooler without prepared statements has another backend for it then, or finds its name taken.
    async fn prepare_twice(&self) -> Result<(), StoreError> {
        const PREPARED: &str = "SELECT pg_backend_pid()";
        let mut first = self.pool.acquire().await.map_err(failed)?;
        fetch(&mut first, sqlx::query(PREPARED)).await.map_err(failed)?;
        let Ok(mut second) = Connection::connect_with(&self.pool.connect_options()).await else { return Ok(()) };
        let mut held = second.begin().await.map_err(failed)?;
        fetch(&mut held, sqlx::query(PREPARED)).await.map_err(failed)?;
        let again = fetch(&mut first, sqlx::query(PREPARED)).await.map_err(failed);
        if again.is_err() {
            drop(first.detach());
        }
        held.rollback().await.map_err(failed)?;
        drop(second);
        again.map(drop)
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
    verdict(error) == Some(Verdict::Overtaken)
}
