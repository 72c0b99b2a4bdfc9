//! [`MongoStore`]: users and sessions in one database.

use std::time::Duration;

use mongodb::{Client, Database, error::ErrorKind, options::ClientOptions};

use super::{connection::failed, feed::MongoFeed, sessions::MongoSessions, users::MongoUsers};
use crate::{
    store::{
        StoreError,
        admin::delegate_user_admin,
        sessions::delegate_session_store,
        split::{of_sessions, of_users},
        users::delegate_user_store,
    },
    user::User,
};

/// Stores users and sessions in one MongoDB database. Clones share the client. See the
/// [module](super) for an example.
#[derive(Clone, Debug)]
pub struct MongoStore {
    users: MongoUsers,
    sessions: MongoSessions,
}

/// How long the driver looks for a server, and waits for a connection. Shorter than the timeout of
/// a call, so that the error says why there is none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

impl MongoStore {
    /// Connects to the database that a URI names, and [creates the indexes](Self::migrate).
    ///
    /// Where the URI has no `serverSelectionTimeoutMS` or `connectTimeoutMS`, both are 2 s. For
    /// other options of the driver, make a client and use [`new`](Self::new).
    ///
    /// # Examples
    /// ```no_run
    /// use portcullis::{Auth, store::mongodb::MongoStore};
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MongoStore::connect("mongodb://127.0.0.1:27017/app").await?;
    /// let auth = Auth::from_env(store.clone(), store)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the server cannot be reached.
    /// - [`StoreError::internal`] where the URI cannot be read or names no database, and for what
    ///   does not pass by itself.
    pub async fn connect(uri: &str) -> Result<Self, StoreError> {
        let mut options = ClientOptions::parse(uri).await.map_err(|error| match &*error.kind {
            ErrorKind::DnsResolve { .. } => failed(&error),
            // The driver's message may repeat the URI, with a password.
            _ => StoreError::internal("the URI cannot be read: mongodb://[user:password@]host[:port]/database"),
        })?;
        options.server_selection_timeout.get_or_insert(CONNECT_TIMEOUT);
        options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
        let client = Client::with_options(options).map_err(|error| failed(&error))?;
        let database = client.default_database();
        let database = database.ok_or_else(|| StoreError::internal("the URI names no database: …/database"))?;
        let store = Self::new(&database);
        store.migrate().await?;
        Ok(store)
    }

    /// Uses the collections `portcullis_users` and `portcullis_sessions`. The [module](super) lists
    /// the settings of the client. Call [`migrate`](Self::migrate) before use.
    pub fn new(database: &Database) -> Self {
        Self { users: MongoUsers::new(database), sessions: MongoSessions::new(database) }
    }

    /// Sets how long a call may take. Default: 3 s. Keep it below the refresh grace (default: 10
    /// s).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { users: self.users.with_timeout(timeout), sessions: self.sessions.with_timeout(timeout) }
    }

    /// Returns the database, for the app's own collections.
    pub fn database(&self) -> &Database {
        &self.users.database
    }

    /// Returns a feed that reports revocations to the nodes of this database at once, for
    /// [`AuthBuilder::revocation_feed`](crate::AuthBuilder::revocation_feed). Call
    /// [`MongoFeed::migrate`] before use.
    pub fn feed(&self) -> MongoFeed {
        MongoFeed::new(self.database())
    }

    /// Returns the store of users.
    pub fn users(&self) -> &MongoUsers {
        &self.users
    }

    /// Returns the store of sessions.
    pub fn sessions(&self) -> &MongoSessions {
        &self.sessions
    }

    /// Creates the indexes. Every node may call this at every start.
    ///
    /// # Errors
    /// The errors of [`MongoUsers::migrate`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.users.migrate().await?;
        self.sessions.migrate().await
    }
}

delegate_user_store!([] MongoStore, User, of_users);
delegate_user_admin!([] MongoStore, of_users);
delegate_session_store!([] MongoStore, of_sessions);
