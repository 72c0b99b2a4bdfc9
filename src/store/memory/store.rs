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

/// Stores users and sessions in memory. Clones share them, and a restart loses them.
///
/// User ids are random, so that a token from before a restart belongs to no user of the new
/// process. An access token that was issued before the first [`Auth`](crate::Auth) over the store
/// was built is accepted only if its session is in the store, because the store has lost what ended
/// before. All `Auth`s over the store use the clock of the first one.
///
/// The store is divided into shards by user, so that requests of different users seldom wait for
/// each other. No lock is held across an await. The store is bounded: beyond
/// [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) users or sessions, `create` answers that the store
/// is not available. The store therefore cannot use up the memory of the machine.
///
/// # Examples
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
    /// How many users fit, and how many sessions. Each of the two takes about a gigabyte.
    pub const DEFAULT_CAPACITY: usize = DEFAULT_CAPACITY;

    /// Makes an empty store with the default capacity.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store with room for this many users and this many sessions.
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
