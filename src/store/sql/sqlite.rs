//! SQLite: the embedded, durable store for one machine.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU32},
};

use sqlx::{
    Sqlite, SqliteConnection as Connection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use super::store::{again_if_overtaken, sql_store};

sql_store!(SqliteStore, SqliteRow);

/// Users and sessions in one SQLite file; clones share the pool.
///
/// ```no_run
/// use portcullis::{Auth, store::sql::SqliteStore};
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::open("app.db").await?;
/// let auth = portcullis::Builder::from_env(store.clone(), store).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    logins: Arc<AtomicU32>,
    timeout: Duration,
    clocks: SharedClock,
}

/// How long a statement waits for another's write: below the refresh grace.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an operation may take: longer than the wait for another's write, and two of them less than the refresh grace.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The versions of the tables, the newest last; a released one is never changed.
const MIGRATIONS: [&[&str]; 1] = [&[
    "CREATE TABLE portcullis_users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, \
     email_key TEXT NOT NULL UNIQUE, username TEXT, username_key TEXT UNIQUE, name TEXT, avatar_url TEXT, \
     roles TEXT NOT NULL, password_hash TEXT, token_version INTEGER NOT NULL, disabled INTEGER NOT NULL, \
     created_at INTEGER NOT NULL) STRICT",
    "CREATE TABLE portcullis_sessions (user_id BLOB NOT NULL, id BLOB NOT NULL, token_version INTEGER NOT NULL, \
     generation INTEGER NOT NULL, token_id BLOB NOT NULL, previous_token_id BLOB, auth_time INTEGER NOT NULL, \
     created_at INTEGER NOT NULL, rotated_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, \
     absolute_expires_at INTEGER NOT NULL, user_agent TEXT, ip TEXT, delete_at INTEGER NOT NULL, ended_at INTEGER, \
     ended_reason TEXT, ended_keep_until INTEGER, PRIMARY KEY (user_id, id)) STRICT, WITHOUT ROWID",
    "CREATE INDEX portcullis_sessions_delete_at ON portcullis_sessions (delete_at)",
    "CREATE INDEX portcullis_sessions_ended_at ON portcullis_sessions (ended_at) WHERE ended_at IS NOT NULL",
    "CREATE TABLE portcullis_floors (user_id BLOB NOT NULL PRIMARY KEY, min_version INTEGER NOT NULL, \
     raised_at INTEGER NOT NULL, keep_until INTEGER NOT NULL) STRICT",
    "CREATE INDEX portcullis_floors_raised_at ON portcullis_floors (raised_at)",
]];

impl SqliteStore {
    /// Opens a file, made if it is not there, with the settings that suit this store (write-ahead log, full
    /// synchronisation, 3 seconds to wait for another's write), and brings its tables up to date.
    ///
    /// Full, because after a power failure a session that had ended must not live again, nor a token be ahead of its record.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where the file cannot be opened, [`StoreError::internal`] where it is no database of ours.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(8).acquire_timeout(BUSY_TIMEOUT).connect_with(options);
        let store = Self::new(pool.await.map_err(failed)?);
        store.migrate().await?;
        Ok(store)
    }

    /// Uses a pool of yours; see [`open`](Self::open) for the settings it should have. Call [`migrate`](Self::migrate).
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, logins: Arc::default(), timeout: TIMEOUT, clocks: SharedClock::default() }
    }

    /// The processes over one file share the machine's clock.
    #[expect(clippy::unused_async, reason = "the other engine asks its server")]
    async fn shared_clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.clocks.without_server())
    }

    /// Brings the tables up to date; several nodes may do it at once.
    ///
    /// # Errors
    /// As of [`SessionStore`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let mut transaction = Self::write(&mut connection).await?;
        let run = async |transaction: &mut Transaction<'_, Sqlite>, statement: &'static str| {
            sqlx::query(statement).execute(&mut **transaction).await.map_err(failed)
        };
        run(&mut transaction, "CREATE TABLE IF NOT EXISTS portcullis_schema (version INTEGER NOT NULL)").await?;
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

    /// SQLite has one writer: whoever begins like this is it, and need not fail half-way because another was faster.
    async fn write(connection: &mut Connection) -> Result<Transaction<'_, Sqlite>, StoreError> {
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }

    async fn lock<'c>(
        connection: &'c mut Connection,
        _: &UserId,
        _: Duration,
    ) -> Result<Transaction<'c, Sqlite>, StoreError> {
        Self::write(connection).await
    }
}

/// One writer at a time: no statement is ever told that another overtook it.
fn lost_a_race(_: &StoreError) -> bool {
    false
}
