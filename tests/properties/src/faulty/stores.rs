//! The wrapped stores. Each call goes through the [`Control`].

use std::sync::Arc;

use async_trait::async_trait;
use portcullis::{
    Profile, User,
    clock::Timestamp,
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
    store::{Created, EndAll, NewSession, SessionStore, StoreError, UserStore},
    user::{Login, NewUser, PasswordHash, UserId},
};

use super::Control;

/// A store of users behind a [`Control`].
pub(crate) struct WatchedUsers {
    pub(crate) inner: Arc<dyn UserStore<User = User>>,
    pub(crate) control: Control,
    /// The node that calls.
    pub(crate) node: usize,
}

/// A store of sessions behind a [`Control`].
pub(crate) struct WatchedSessions {
    pub(crate) inner: Arc<dyn SessionStore>,
    pub(crate) control: Control,
    /// The node that calls.
    pub(crate) node: usize,
}

/// Calls the inner store with owned arguments, so that the call can outlive its caller.
macro_rules! watch {
    ($this:ident, $store:ident => $call:expr) => {{
        let $store = Arc::clone(&$this.inner);
        $this.control.call($this.node, Box::pin(async move { $call.await })).await
    }};
}

#[async_trait]
impl UserStore for WatchedUsers {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let id = id.clone();
        watch!(self, store => store.find_by_id(&id))
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        let login = login.clone();
        watch!(self, store => store.find_by_login(&login))
    }

    async fn create(&self, user: NewUser<Profile>) -> Result<User, StoreError> {
        watch!(self, store => store.create(user))
    }

    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        let (id, expected, new) = (id.clone(), expected.to_owned(), new.clone());
        watch!(self, store => store.replace_password_hash(&id, &expected, &new))
    }

    async fn set_password(
        &self,
        id: &UserId,
        expected: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError> {
        let (id, expected, new) = (id.clone(), expected.map(str::to_owned), new.clone());
        watch!(self, store => store.set_password(&id, expected.as_deref(), &new))
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        let id = id.clone();
        watch!(self, store => store.bump_token_version(&id))
    }
}

#[async_trait]
impl SessionStore for WatchedSessions {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        watch!(self, store => store.create(new))
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let (user, id) = (user.clone(), *id);
        watch!(self, store => store.find(&user, &id, now))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        let rotation = rotation.clone();
        watch!(self, store => store.rotate(&rotation))
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        let (user, id) = (user.clone(), *id);
        watch!(self, store => store.end(&user, &id, ended))
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        let all = all.clone();
        watch!(self, store => store.end_all(&all))
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let user = user.clone();
        watch!(self, store => store.list(&user, now))
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        watch!(self, store => store.ended_since(since, now))
    }
}
