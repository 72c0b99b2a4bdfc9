//! [`MongoStore`]: users and sessions in one database.

use std::time::Duration;

use mongodb::Database;

use super::{sessions::MongoSessions, users::MongoUsers};
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

impl MongoStore {
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
