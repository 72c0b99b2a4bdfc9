//! SQLite: the embedded, durable store for one machine.

use std::path::Path;

use sqlx::{
    Sqlite, SqliteConnection as Connection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use super::{
    store::{again_if_overtaken, sql_store},
    sweep::Sweeps,
    user_keys::user_keys,
};

sql_store!(SqliteStore, Sqlite, SqliteRow);

macro_rules! not_ascii {
    ($column:literal) => {
        concat!("length(CAST(", $column, " AS BLOB)) > length(", $column, ")")
    };
}
user_keys!(SqliteStore, not_ascii);

/// Users and sessions in one SQLite file; clones share the pool.
///
/// ```no_run
/// use portcullis::{Auth, store::sql::SqliteStore};
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::open("app.db").await?;
/// let auth = portcullis::AuthBuilder::from_env(store.clone(), store).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    sweeps: Sweeps,
    timeout: Duration,
    clocks: SharedClock,
}

/// How long a statement waits for another's write: below the refresh grace.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an operation may take: longer than the wait for another's write, and two of them less than the refresh grace.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The versions of the tables, the newest last; a released one is never changed.
const MIGRATIONS: [&[&str]; 4] = [
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

/// The version at which the keys of logins have normal forms.
const USER_KEYS: i64 = 3;

/// The version that [`MIGRATIONS`] lead to.
fn latest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Deletes a little of what has expired. There is one writer, so that nothing changes in between.
pub(super) const SWEEPS: [&str; 2] = [
    "DELETE FROM portcullis_sessions WHERE (user_id, id) IN (\
     SELECT user_id, id FROM portcullis_sessions WHERE delete_at <= $1 ORDER BY delete_at LIMIT $2)",
    "DELETE FROM portcullis_floors WHERE user_id IN (\
     SELECT user_id FROM portcullis_floors WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2)",
];

/// Where a database is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    InFile,
    ReadOnly,
    InMemory,
}

impl SqliteStore {
    /// Opens the database of a URL as the driver has them, with the settings of [`open`](Self::open), and brings its tables
    /// up to date.
    ///
    /// | URL | what it is |
    /// |---|---|
    /// | `sqlite://app.db`, `sqlite:app.db`, `sqlite:///var/lib/app.db` | a file, made if it is not there |
    /// | `sqlite://app.db?mode=rwc` | the same |
    /// | `sqlite://app.db?mode=rw` | a file that must be there |
    /// | `sqlite://app.db?mode=ro` | one that is read: what writes is unavailable |
    /// | `sqlite::memory:`, `sqlite://app?mode=memory` | memory, gone with this store |
    /// | `app.db` | a path: as [`open`](Self::open) |
    ///
    /// `cache`, `immutable` and `vfs` are the driver's too; any other parameter is refused. A `?`, `#` or `%` in the name of
    /// a file is written `%3F`, `%23`, `%25`.
    ///
    /// # Errors
    /// As of [`open`](Self::open), and [`StoreError::internal`] for a parameter or a value that the driver has not.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let Some(rest) = url.strip_prefix("sqlite:") else { return Self::open(url).await };
        let options: SqliteConnectOptions = url.parse().map_err(failed)?;
        let parameters = rest.split_once('?').map_or("", |(_, parameters)| parameters);
        let value = |name| parameters.split('&').filter_map(|pair| pair.split_once('=')).find(|pair| pair.0 == name);
        let mode = value("mode").map(|(_, mode)| mode);
        let options = if mode.is_none() { options.create_if_missing(true) } else { options };
        let kept = if mode == Some("memory") || rest.trim_start_matches('/').starts_with(":memory:") {
            Kept::InMemory
        } else if mode == Some("ro") || value("immutable").is_some() {
            Kept::ReadOnly
        } else {
            Kept::InFile
        };
        Self::open_with(options, kept).await
    }

    /// Opens a file, made if it is not there, with the settings that suit this store (write-ahead log, full
    /// synchronisation, 3 seconds to wait for another's write), and brings its tables up to date.
    ///
    /// Full, because after a power failure a session that had ended must not live again, nor a token be ahead of its record.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where the file cannot be opened, [`StoreError::internal`] where it is no database of ours.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(SqliteConnectOptions::new().filename(path).create_if_missing(true), Kept::InFile).await
    }

    async fn open_with(options: SqliteConnectOptions, kept: Kept) -> Result<Self, StoreError> {
        let mut options = options.synchronous(SqliteSynchronous::Full).busy_timeout(BUSY_TIMEOUT);
        // What is only read keeps the mode that it has.
        if kept == Kept::InFile {
            options = options.journal_mode(SqliteJournalMode::Wal);
        }
        let mut pool = SqlitePoolOptions::new().max_connections(8).acquire_timeout(BUSY_TIMEOUT);
        if kept == Kept::InMemory {
            // It lives as long as its connection.
            pool = pool.max_connections(1).idle_timeout(None).max_lifetime(None);
        }
        let store = Self::new(pool.connect_with(options).await.map_err(failed)?);
        store.migrate().await?;
        Ok(store)
    }

    /// Uses a pool of yours; see [`open`](Self::open) for the settings it should have. Call [`migrate`](Self::migrate).
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, sweeps: Sweeps::default(), timeout: TIMEOUT, clocks: SharedClock::default() }
    }

    /// The processes over one file share the machine's clock.
    #[expect(clippy::unused_async, reason = "the other engine asks its server")]
    async fn shared_clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.clocks.without_server())
    }

    /// Brings the tables up to date; several nodes may do it at once. Where they are, nothing is written.
    ///
    /// # Errors
    /// As of [`SessionStore`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        if Self::version(&mut connection).await?.is_some_and(|version| version >= latest()) {
            return Ok(());
        }
        let mut transaction = Self::write(&mut connection).await?;
        let run = async |transaction: &mut Transaction<'_, Sqlite>, statement: &'static str| {
            changes(transaction, sqlx::query(statement)).await.map(drop).map_err(failed)
        };
        run(&mut transaction, "CREATE TABLE IF NOT EXISTS portcullis_schema (version INTEGER NOT NULL)").await?;
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
        let looked = sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'portcullis_schema'");
        if fetch(&mut *connection, looked).await.map_err(failed)?.is_empty() {
            return Ok(None);
        }
        let found = sqlx::query("SELECT COALESCE(MAX(version), 0) AS version FROM portcullis_schema");
        fetch(connection, found).await.map_err(failed)?.first().map(|row| number(row, "version")).transpose()
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
