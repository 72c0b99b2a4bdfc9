//! [`MemoryStore`]: users and sessions in memory.

use super::{sessions::MemorySessions, shards::DEFAULT_CAPACITY, users::MemoryUsers};
use crate::{
    store::{
        admin::delegate_user_admin,
        sessions::delegate_session_store,
        split::{of_sessions, of_users},
        users::delegate_user_store,
    },
    user::User,
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
    pub const DEFAULT_CAPACITY: usize = DEFAULT_CAPACITY;

    /// An empty store of the default capacity.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store for this many users and this many sessions.
    pub fn with_capacity(users: usize, sessions: usize) -> Self {
        Self { users: MemoryUsers::with_capacity(users), sessions: MemorySessions::with_capacity(sessions) }
    }

    /// Returns the store of users.
    pub fn users(&self) -> &MemoryUsers {
        &self.users
    }

    /// Returns the store of sessions.
    pub fn sessions(&self) -> &MemorySessions {
        &self.sessions
    }
}

delegate_user_store!([] MemoryStore, User, of_users);
delegate_user_admin!([] MemoryStore, of_users);
delegate_session_store!([] MemoryStore, of_sessions);
