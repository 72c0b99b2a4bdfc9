//! SQLite: the embedded, durable store for one machine.

use std::{path::Path, time::Duration};

use sqlx::{
    Connection, Sqlite, SqliteConnection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    engine::{Engine, driver_calls},
    failure::failed,
    store::{SqlStore, public_store, to_admin, to_sessions, to_users},
};
use crate::{store::StoreError, user::UserId};

/// Users and sessions in one SQLite file. Clones share the pool.
///
/// # Examples
/// ```no_run
/// use portcullis::{Auth, store::sql::SqliteStore};
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::connect("app.db").await?;
/// let auth = Auth::from_env(store.clone(), store)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    store: SqlStore<Sqlite>,
}

public_store!(SqliteStore);

/// How long a statement waits for the write of another connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a database is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    ReadOnlyFile,
    Memory,
}

impl SqliteStore {
    /// Opens the database of a URL or path, and brings its tables up to date.
    ///
    /// The settings suit this store: write-ahead log, full synchronisation, and 3 s to wait for the
    /// write of another connection. Synchronisation is full because after a power failure no
    /// session that had ended may live again, and no token may be ahead of its record.
    ///
    /// | URL or path | opens |
    /// |---|---|
    /// | `app.db` | a file, as [`open`](Self::open) does |
    /// | `sqlite://app.db`, `sqlite:app.db`, `sqlite:///var/lib/app.db` | a file, created where it does not exist |
    /// | `sqlite://app.db?mode=rwc` | the same |
    /// | `sqlite://app.db?mode=rw` | a file that must exist |
    /// | `sqlite://app.db?mode=ro` | a file for reading: calls that write are unavailable |
    /// | `sqlite::memory:`, `sqlite://app?mode=memory` | memory, which ends with this store |
    ///
    /// The driver's parameters `cache`, `immutable` and `vfs` work too. Any other parameter is
    /// refused. Write a `?`, `#` or `%` in the name of a file as `%3F`, `%23` or `%25`.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the file cannot be opened.
    /// - [`StoreError::internal`] where the file is not a database of this crate, or where the
    ///   driver does not know a parameter or value.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let Some(rest) = url.strip_prefix("sqlite:") else { return Self::open(url).await };
        let options: SqliteConnectOptions = url.parse().map_err(failed)?;
        let parameters = rest.split_once('?').map_or("", |(_, parameters)| parameters);
        let value = |name| parameters.split('&').filter_map(|pair| pair.split_once('=')).find(|pair| pair.0 == name);
        let mode = value("mode").map(|(_, mode)| mode);
        let options = if mode.is_none() { options.create_if_missing(true) } else { options };
        let place = if mode == Some("memory") || rest.trim_start_matches('/').starts_with(":memory:") {
            Place::Memory
        } else if mode == Some("ro") || value("immutable").is_some() {
            Place::ReadOnlyFile
        } else {
            Place::File
        };
        Self::open_with(options, place).await
    }

    /// Opens the file of a path, created where it does not exist, with the settings of
    /// [`connect`](Self::connect), and brings its tables up to date.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the file cannot be opened.
    /// - [`StoreError::internal`] where the file is not a database of this crate.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(SqliteConnectOptions::new().filename(path).create_if_missing(true), Place::File).await
    }

    async fn open_with(options: SqliteConnectOptions, place: Place) -> Result<Self, StoreError> {
        let mut options = options.synchronous(SqliteSynchronous::Full).busy_timeout(BUSY_TIMEOUT);
        // A file that is only read keeps its mode.
        if place == Place::File {
            options = options.journal_mode(SqliteJournalMode::Wal);
        }
        let mut pool = SqlitePoolOptions::new().max_connections(8).acquire_timeout(BUSY_TIMEOUT);
        if place == Place::Memory {
            // The database ends with its connection.
            pool = pool.max_connections(1).idle_timeout(None).max_lifetime(None);
        }
        let store = Self::new(pool.connect_with(options).await.map_err(failed)?);
        store.migrate().await?;
        Ok(store)
    }

    /// Uses a pool of the app. Give it the settings that [`connect`](Self::connect) names, and call
    /// [`migrate`](Self::migrate).
    pub fn new(pool: SqlitePool) -> Self {
        Self { store: SqlStore::new(pool) }
    }

    /// Returns the pool, for the app's own statements.
    pub fn pool(&self) -> &SqlitePool {
        &self.store.pool
    }

    /// Brings the tables up to date. Several nodes may do it at once. It writes nothing where the
    /// tables are up to date.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the database cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a file that is not a
    ///   database.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.store.migrate().await
    }
}

impl Engine for Sqlite {
    /// Longer than the wait for another write.
    const TIMEOUT: Duration = Duration::from_secs(4);

    const MIGRATIONS: &'static [&'static [&'static str]] = &[
        &[
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
        ],
        &[
            "CREATE INDEX portcullis_floors_keep_until ON portcullis_floors (keep_until)",
            "CREATE INDEX portcullis_sessions_live ON portcullis_sessions (user_id, token_version) WHERE ended_at IS NULL",
            "CREATE INDEX portcullis_sessions_reuse ON portcullis_sessions (user_id, ended_at) WHERE ended_reason = 'reuse'",
        ],
        &[],
        &[
            "ALTER TABLE portcullis_sessions ADD COLUMN restamped_generation INTEGER",
            "ALTER TABLE portcullis_sessions ADD COLUMN amr TEXT NOT NULL DEFAULT 'pwd'",
            "ALTER TABLE portcullis_sessions ADD COLUMN acr TEXT NOT NULL DEFAULT 'aal1'",
        ],
    ];

    const CREATE_SCHEMA: &'static str = "CREATE TABLE IF NOT EXISTS portcullis_schema (version INTEGER NOT NULL)";

    const FIND_SCHEMA: &'static str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'portcullis_schema'";

    const USERS_BEYOND_ASCII: &'static str = "SELECT id, email, email_key, username, username_key \
         FROM portcullis_users WHERE id > $1 AND (length(CAST(email_key AS BLOB)) > length(email_key) \
         OR length(CAST(username_key AS BLOB)) > length(username_key)) ORDER BY id LIMIT $2";

    // One writer: no row changes between the two parts.
    const SWEEPS: [&'static str; 2] = [
        "DELETE FROM portcullis_sessions WHERE (user_id, id) IN (\
         SELECT user_id, id FROM portcullis_sessions WHERE delete_at <= $1 ORDER BY delete_at LIMIT $2)",
        "DELETE FROM portcullis_floors WHERE user_id IN (\
         SELECT user_id FROM portcullis_floors WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2)",
    ];

    const CLOCK: Option<&'static str> = None;

    /// SQLite has one writer. A transaction that begins as the writer does not fail later because
    /// another one was faster.
    async fn lock<'c>(
        connection: &'c mut SqliteConnection,
        _: &UserId,
        _: Duration,
    ) -> Result<Transaction<'c, Sqlite>, StoreError> {
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }

    driver_calls!();
}
