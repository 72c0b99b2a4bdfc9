//! The stores behind a stopwatch (feature `metrics`): each call, however it ends, in one place.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Created, EndAll, NewSession, SessionStore, StoreError, UserStore};
use crate::{
    clock::{Clock, Timestamp},
    metrics::{self, Stopwatch},
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
    user::{AuthUser, Login, NewUser, PasswordHash, UserId},
};

/// A store, and the clock by which its calls are timed.
pub(crate) struct Timed<S: ?Sized> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    name: &'static str,
}

impl<U: AuthUser> Timed<dyn UserStore<User = U>> {
    pub(crate) fn users(store: Arc<dyn UserStore<User = U>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, name: "users" }
    }
}

impl Timed<dyn SessionStore> {
    pub(crate) fn sessions(store: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, name: "sessions" }
    }
}

impl<S: ?Sized> Timed<S> {
    async fn time<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let clock = &*self.clock;
        let mut timed = Call { store: self.name, call, outcome: "abandoned", clock, started: Stopwatch::start(clock) };
        let answer = answer.await;
        timed.outcome = answer.as_ref().map_or_else(StoreError::word, |_| "ok");
        answer
    }
}

/// A call that is under way; one that its caller no longer waits for is counted too.
struct Call<'a> {
    store: &'static str,
    call: &'static str,
    outcome: &'static str,
    clock: &'a dyn Clock,
    started: Stopwatch,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        metrics::store(self.store, self.call, self.outcome, self.started.elapsed(self.clock));
    }
}

#[async_trait]
impl<U: AuthUser> UserStore for Timed<dyn UserStore<User = U>> {
    type User = U;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<U>, StoreError> {
        self.time("find_by_id", self.store.find_by_id(id)).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<U>, StoreError> {
        self.time("find_by_login", self.store.find_by_login(login)).await
    }

    async fn create(&self, user: NewUser<U::Registration>) -> Result<U, StoreError> {
        self.time("create", self.store.create(user)).await
    }

    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        self.time("replace_password_hash", self.store.replace_password_hash(id, expected, new)).await
    }

    async fn set_password(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<Option<u64>, StoreError> {
        self.time("set_password", self.store.set_password(id, expected, new)).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        self.time("bump_token_version", self.store.bump_token_version(id)).await
    }
}

#[async_trait]
impl SessionStore for Timed<dyn SessionStore> {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        self.time("create", self.store.create(new)).await
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.time("find", self.store.find(user, id, now)).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        self.time("rotate", self.store.rotate(rotation)).await
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        self.time("end", self.store.end(user, id, ended)).await
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        self.time("end_all", self.store.end_all(all)).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.time("list", self.store.list(user, now)).await
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        self.time("ended_since", self.store.ended_since(since, now)).await
    }

    fn begin(&self, clock: &Arc<dyn Clock>) {
        self.store.begin(clock);
    }

    fn began(&self) -> Option<Timestamp> {
        self.store.began()
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.time("clock", self.store.clock()).await
    }
}
