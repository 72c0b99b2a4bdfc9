//! [`SplitStore`]: users from one store, sessions from another.

use super::{
    SessionStore, UserAdmin, UserStore, admin::delegate_user_admin, sessions::delegate_session_store,
    users::delegate_user_store,
};

/// Takes users from one store and sessions from another, as one store that is both.
///
/// # Examples
/// ```
/// use portcullis::store::{
///     SplitStore,
///     memory::{MemorySessions, MemoryUsers},
/// };
///
/// let store = SplitStore::new(MemoryUsers::default(), MemorySessions::default());
/// assert!(store.users().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct SplitStore<U, S> {
    users: U,
    sessions: S,
}

impl<U, S> SplitStore<U, S> {
    /// Puts two stores together.
    pub const fn new(users: U, sessions: S) -> Self {
        Self { users, sessions }
    }

    /// Returns the store of users.
    pub const fn users(&self) -> &U {
        &self.users
    }

    /// Returns the store of sessions.
    pub const fn sessions(&self) -> &S {
        &self.sessions
    }
}

/// Passes a call on to the users of a pair of stores.
macro_rules! of_users {
    ($this:ident, $method:ident($($argument:ident),*)) => {
        $this.users.$method($($argument),*)
    };
}
pub(super) use of_users;

/// Passes a call on to the sessions of a pair of stores.
macro_rules! of_sessions {
    ($this:ident, $([now])? $method:ident($($argument:ident),*)) => {
        $this.sessions.$method($($argument),*)
    };
}
pub(super) use of_sessions;

delegate_user_store!([U: UserStore, S: Send + Sync + 'static] SplitStore<U, S>, U::User, of_users);
delegate_user_admin!([U: UserAdmin, S: Send + Sync + 'static] SplitStore<U, S>, of_users);
delegate_session_store!([U: Send + Sync + 'static, S: SessionStore] SplitStore<U, S>, of_sessions);
