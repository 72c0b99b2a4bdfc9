//! Users and sessions in MongoDB, by the official driver 3 (feature `mongodb_3`).
//!
//! Written for MongoDB 6.0 and newer (`$sortArray`). What tests it is a server that speaks the wire protocol of 8.2, unless
//! `MONGODB_URI` names another.
//!
//! [`MongoStore`] is both; [`MongoUsers`] and [`MongoSessions`] are one each, for apps that keep the other elsewhere:
//! `Auth::builder(MongoUsers::new(&database), other_sessions)`. [`MongoFeed`] lets nodes hear of endings at once.
//!
//! ```no_run
//! use portcullis::store::mongodb::MongoStore;
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let client = mongodb::Client::with_uri_str("mongodb://127.0.0.1:27017").await?;
//! let store = MongoStore::new(&client.database("app"));
//! store.migrate().await?;
//! let auth = portcullis::AuthBuilder::from_env(store.clone(), store).build()?;
//! # Ok(()) }
//! ```
//!
//! # How it is atomic
//! All sessions of a user are one document of `portcullis_sessions`, whose `_id` is the user's id. Every operation is one
//! command on it (`findAndModify` with an aggregation pipeline), so no transaction is needed, a standalone server and a
//! sharded collection (by hashed `_id`) will do, and each call is one round trip. A rotation's pipeline writes what
//! [`decide`](crate::session::decide) says of the record, and the record that it leaves tells which of the answers that was.
//! Only a login that takes over a browser from another user changes a second document, after its own.
//!
//! Of the sessions of a user that have ended the last 16 are kept as records. Of the others a document says that they have
//! ended for a minute longer than an access token may count, which is a quarter of an hour unless
//! [`access_lifetime`](crate::AuthBuilder::access_lifetime) says otherwise, and has room for 10,000: who logs in more often than
//! that is refused as by the limit. The engine deletes a document when all of it has expired (TTL index).
//!
//! Sessions go by the clock of the server (`localTime` of `hello`), as far as a node knows it; through `mongos` that is the
//! router's, so keep the clocks of routers together.
//!
//! # Connections
//! Whatever the URI says, reads go to the primary and see what a majority has, and writes wait for a majority's journal: a
//! failover takes nothing back that was answered. A call takes 3 seconds at most, below the refresh grace. In the URI set
//! `serverSelectionTimeoutMS=2000&connectTimeoutMS=2000`, and leave `retryWrites` and `retryReads` on: the driver then mends
//! a cut connection without anybody seeing it. TLS is in, `mongodb+srv://` needs the driver's feature `dns-resolver`, which
//! is among the default ones of the `mongodb` in your own `Cargo.toml`.
//!
//! # A collection that is there already
//! [`MongoUsers::existing`] takes over the users of an app, such as those of a Mongoose model: [`UserFields`] maps the names
//! of its fields, an object id is the user's id in hexadecimal, a text is the user's id itself, and other types have a prefix
//! (`uuid:`, `number:`, `bson:`). Only our own fields are ever written, each by itself: what we
//! do not know (`refreshToken`, say, which nobody needs any more) stays as it is. With the feature `bcrypt` users sign in
//! with the hashes that they have; each is replaced by Argon2id at the next good login. The whole move, step by step and back, is
//! a [guide](crate::guide::from_express).
//!
//! [`migrate`](MongoUsers::migrate) adds to each document the lookup keys `emailKey` and `usernameKey`, as
//! [`LoginKey`](crate::user::LoginKey) describes them (for ASCII the trimmed lower-case form), and makes a unique index over each, so that `Ada@Example.com` is found by `ada@example.com`. Where two
//! users differ by case alone it says which they are, and makes no index. Whoever else writes to the collection meanwhile may
//! write the keys along; where they do not, the next `migrate` finds who has no key, or that of an old address.
//!
//! ```no_run
//! use portcullis::store::mongodb::{MongoSessions, MongoUsers, UserFields};
//! # async fn start(database: mongodb::Database) -> Result<(), Box<dyn std::error::Error>> {
//! let users = MongoUsers::existing(&database, "users", UserFields::mongoose())?;
//! let sessions = MongoSessions::new(&database);
//! users.migrate().await?;
//! sessions.migrate().await?;
//! let auth = portcullis::AuthBuilder::from_env(users, sessions).build()?;
//! # Ok(()) }
//! ```

mod connection;
mod documents;
mod feed;
mod fields;
mod ids;
mod migrate;
mod pipelines;
mod sessions;
mod users;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mongodb::Database;

pub use self::{feed::MongoFeed, fields::UserFields, sessions::MongoSessions, users::MongoUsers};
use super::{Created, EndAll, NewSession, SessionStore, StoreError, UserStore};
use crate::{
    clock::{Clock, Timestamp},
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
    user::{Login, NewUser, PasswordHash, Profile, User, UserId},
};

/// Users and sessions in one MongoDB database; clones share the client.
#[derive(Clone, Debug)]
pub struct MongoStore {
    users: MongoUsers,
    sessions: MongoSessions,
}

impl MongoStore {
    /// Uses the collections `portcullis_users` and `portcullis_sessions`; see the [module](self) for the client's settings.
    /// Call [`migrate`](Self::migrate).
    pub fn new(database: &Database) -> Self {
        Self { users: MongoUsers::new(database), sessions: MongoSessions::new(database) }
    }

    /// Sets how long a call may take. Default: 3 s. Keep it below the refresh grace (10 s).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { users: self.users.with_timeout(timeout), sessions: self.sessions.with_timeout(timeout) }
    }

    /// The users.
    pub fn users(&self) -> &MongoUsers {
        &self.users
    }

    /// The sessions.
    pub fn sessions(&self) -> &MongoSessions {
        &self.sessions
    }

    /// Makes the indexes; every node may do it at every start.
    ///
    /// # Errors
    /// As of [`MongoUsers::migrate`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.users.migrate().await?;
        self.sessions.migrate().await
    }
}

#[async_trait]
impl UserStore for MongoStore {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.users.find_by_id(id).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        self.users.find_by_login(login).await
    }

    async fn create(&self, new: NewUser<Profile>) -> Result<User, StoreError> {
        self.users.create(new).await
    }

    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        self.users.replace_password_hash(id, expected, new).await
    }

    async fn set_password(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<Option<u64>, StoreError> {
        self.users.set_password(id, expected, new).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        self.users.bump_token_version(id).await
    }
}

#[async_trait]
impl SessionStore for MongoStore {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        self.sessions.create(new).await
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.sessions.find(user, id, now).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        self.sessions.rotate(rotation).await
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        self.sessions.end(user, id, ended).await
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        self.sessions.end_all(all).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.sessions.list(user, now).await
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        self.sessions.ended_since(since, now).await
    }

    fn begin(&self, clock: &Arc<dyn Clock>) {
        self.sessions.begin(clock);
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.sessions.clock().await
    }
}
