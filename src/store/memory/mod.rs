//! Users and sessions in this process's memory: for tests, examples, and one node that may forget.

mod feed;
mod sessions;
mod users;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::{feed::MemoryFeed, sessions::MemorySessions, users::MemoryUsers};
use super::{Created, EndAll, NewSession, SessionStore, StoreError, UserStore};
use crate::{
    clock::{Clock, Timestamp},
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
    user::{Login, NewUser, PasswordHash, Profile, User, UserId},
};

/// Users and sessions in memory; clones share them, a restart forgets them.
///
/// Users have random ids, so that a token from before a restart names nobody. Access tokens that were issued before the
/// first [`Auth`](crate::Auth) over the store was built are refused, unless their session is here: what had ended by then is
/// forgotten too. All `Auth`s over the store go by the clock of the first one.
///
/// Sharded by user, so that requests of different users seldom wait for each other; no lock is held across an await.
/// Bounded: beyond [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) users or sessions `create` answers that the store is
/// not available, instead of taking all memory.
///
/// ```
/// use portcullis::{Auth, store::memory::MemoryStore};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let auth = Auth::builder(store.clone(), store)
///     .issuer("https://example.com")
///     .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
///     .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    users: MemoryUsers,
    sessions: MemorySessions,
}

impl MemoryStore {
    /// How many users, and how many sessions, fit: about a gigabyte of each.
    pub const DEFAULT_CAPACITY: usize = 2_000_000;

    /// An empty store of the default capacity.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store for this many users and this many sessions.
    pub fn with_capacity(users: usize, sessions: usize) -> Self {
        Self { users: MemoryUsers::with_capacity(users), sessions: MemorySessions::with_capacity(sessions) }
    }

    /// The users, to change what no endpoint changes: roles, and whether a user is disabled.
    pub fn users(&self) -> &MemoryUsers {
        &self.users
    }

    /// The sessions.
    pub fn sessions(&self) -> &MemorySessions {
        &self.sessions
    }
}

#[async_trait]
impl UserStore for MemoryStore {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.users.find_by_id(id).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        self.users.find_by_login(login).await
    }

    async fn create(&self, user: NewUser<Profile>) -> Result<User, StoreError> {
        self.users.create(user).await
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
impl SessionStore for MemoryStore {
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

    fn began(&self) -> Option<Timestamp> {
        self.sessions.began()
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.sessions.clock().await
    }
}

/// Enough shards that cores seldom meet in one.
const SHARDS: usize = 64;

/// Which shard a key belongs to; seeded, so that nobody can aim at one.
fn shard_of(hasher: &std::hash::RandomState, key: &str) -> usize {
    use std::hash::BuildHasher;
    usize::try_from(hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)
}

fn full() -> StoreError {
    StoreError::unavailable("the memory store is at its capacity")
}
