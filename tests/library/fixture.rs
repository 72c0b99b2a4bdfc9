//! A store that counts its calls and fails on request, and nodes over it that share one clock.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use portcullis::{
    Auth, AuthBuilder, Claims, Error, ErrorKind, Profile, Registration, User,
    auth::{ClientInfo, LoggedIn},
    clock::{ManualClock, Timestamp},
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
    store::{Created, EndAll, NewSession, SessionStore, StoreError, UserAdmin, UserStore, memory::MemoryStore},
    user::{Login, NewUser, PasswordHash, UserId},
};
use tokio::sync::{Notify, watch};

use crate::login::session_of;

pub(crate) const PASSWORD: &str = "open sesame 42";

/// When a failing call fails: before it does anything, or after it has done all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Before,
    After,
}

/// The memory store, which counts, fails and holds calls on request.
#[derive(Clone, Default)]
pub(crate) struct Probe {
    pub(crate) memory: MemoryStore,
    calls: Arc<AtomicUsize>,
    failing: Arc<Mutex<Option<(&'static str, Failure)>>>,
    /// Whether only the next call fails.
    once: Arc<AtomicBool>,
    holding: Arc<Holding>,
    renamed: Arc<Mutex<Vec<(Login, UserId)>>>,
}

/// A call that is held, for tests of what happens meanwhile.
#[derive(Default)]
struct Holding {
    name: Mutex<Option<&'static str>>,
    /// The next answer of a call of this name is held.
    answers: Mutex<Option<&'static str>>,
    /// Every call of this name is held, until it is another name.
    all: watch::Sender<Option<&'static str>>,
    reached: Notify,
    go_on: Notify,
    last: Mutex<Option<&'static str>>,
}

impl Probe {
    /// Returns the number of calls since the last time this was called.
    pub(crate) fn take_calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }

    /// Makes every call of this name fail. `"*"` stands for all calls.
    pub(crate) fn fail(&self, name: &'static str, failure: Failure) {
        *self.failing.lock().unwrap() = Some((name, failure));
    }

    /// Makes the next call of this name do its work and fail.
    pub(crate) fn lose_next_answer(&self, name: &'static str) {
        self.fail(name, Failure::After);
        self.once.store(true, Ordering::SeqCst);
    }

    pub(crate) fn recover(&self) {
        *self.failing.lock().unwrap() = None;
    }

    /// Gives a user the address that an earlier release stored, under the key that it has today.
    pub(crate) fn rename(&self, id: &UserId, email: &str) {
        self.renamed.lock().unwrap().push((Login::email(email), id.clone()));
    }

    /// Holds the next call of this name before it does anything.
    pub(crate) fn hold(&self, name: &'static str) {
        *self.holding.name.lock().unwrap() = Some(name);
    }

    /// Holds the next answer of a call of this name, after the store has done it.
    pub(crate) fn hold_answers(&self, name: &'static str) {
        *self.holding.answers.lock().unwrap() = Some(name);
    }

    /// Holds every call of this name, until [`release_all`](Self::release_all).
    pub(crate) fn hold_all(&self, name: &'static str) {
        self.holding.all.send_replace(Some(name));
    }

    /// Lets all held calls go on.
    pub(crate) fn release_all(&self) {
        self.holding.all.send_replace(None);
    }

    /// Waits until a call is held.
    pub(crate) async fn held(&self) {
        self.holding.reached.notified().await;
    }

    /// Lets the held call go on.
    pub(crate) fn release(&self) {
        self.holding.go_on.notify_one();
    }

    /// Waits until a call of this name has been answered.
    pub(crate) async fn idle_after(&self, name: &'static str) {
        for _ in 0..100_000 {
            if *self.holding.last.lock().unwrap() == Some(name) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{name} was not called");
    }

    async fn call<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.holding.name.lock().unwrap().take_if(|held| *held == name).is_some() {
            self.holding.reached.notify_one();
            self.holding.go_on.notified().await;
        }
        self.holding.all.subscribe().wait_for(|held| *held != Some(name)).await.unwrap();
        let failing = *self.failing.lock().unwrap();
        let failure = failing.filter(|(failing, _)| *failing == "*" || *failing == name).map(|(_, failure)| failure);
        if failure == Some(Failure::Before) {
            return Err(StoreError::unavailable("canary-cause: connection refused"));
        }
        if failure.is_some() && self.once.swap(false, Ordering::SeqCst) {
            self.recover();
        }
        let answer = call.await;
        if self.holding.answers.lock().unwrap().take_if(|held| *held == name).is_some() {
            self.holding.reached.notify_one();
            self.holding.go_on.notified().await;
        }
        *self.holding.last.lock().unwrap() = Some(name);
        if failure == Some(Failure::After) {
            return Err(StoreError::unavailable("canary-cause: timed out"));
        }
        answer
    }
}

#[async_trait]
impl UserStore for Probe {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.call("find_by_id", self.memory.find_by_id(id)).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        let renamed = self.renamed.lock().unwrap().iter().find(|(own, _)| own == login).map(|(_, id)| id.clone());
        let mut user = match renamed {
            Some(id) => self.call("find_by_login", self.memory.find_by_id(&id)).await?,
            None => self.call("find_by_login", self.memory.find_by_login(login)).await?,
        };
        // The memory store adds no users without a password.
        if let Some(user) = user.as_mut().filter(|user| user.email.starts_with("federated@")) {
            user.password_hash = None;
        }
        Ok(user)
    }

    async fn create(&self, user: NewUser<Profile>) -> Result<User, StoreError> {
        self.call("create_user", UserStore::create(&self.memory, user)).await
    }

    async fn replace_password_hash(&self, id: &UserId, old: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        self.call("replace_password_hash", self.memory.replace_password_hash(id, old, new)).await
    }

    async fn set_password(
        &self,
        id: &UserId,
        old: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError> {
        self.call("set_password", self.memory.set_password(id, old, new)).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        self.call("bump_token_version", self.memory.bump_token_version(id)).await
    }
}

#[async_trait]
impl SessionStore for Probe {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        self.call("create_session", SessionStore::create(&self.memory, new)).await
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.call("find", self.memory.find(user, id, now)).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        self.call("rotate", self.memory.rotate(rotation)).await
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        self.call("end", self.memory.end(user, id, ended)).await
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        self.call("end_all", self.memory.end_all(all)).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.call("list", self.memory.list(user, now)).await
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        self.call("ended_since", self.memory.ended_since(since, now)).await
    }

    fn begin(&self, clock: &Arc<dyn portcullis::clock::Clock>) {
        self.memory.begin(clock);
    }

    fn began(&self) -> Option<Timestamp> {
        self.memory.began()
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        SessionStore::clock(&self.memory).await
    }
}

/// A store, a clock, and any number of nodes over them.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: Probe,
    pub(crate) clock: ManualClock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { store: Probe::default(), clock: ManualClock::new(Timestamp::from_secs(1_800_000_000)) }
    }

    pub(crate) fn node(&self) -> Auth<User> {
        self.node_with(|builder| builder)
    }

    pub(crate) fn node_with(&self, settings: impl FnOnce(AuthBuilder<User>) -> AuthBuilder<User>) -> Auth<User> {
        let builder = crate::auth::builder(self.store.clone(), self.store.clone()).clock(self.clock.clone());
        settings(builder).build().unwrap()
    }
}

pub(crate) async fn register(auth: &Auth<User>, name: &str) -> User {
    let registration = Registration::new(format!("{name}@example.com"), PASSWORD, Profile::default());
    auth.register(registration, &ClientInfo::unknown()).await.unwrap()
}

/// Logs a user in without a password.
pub(crate) async fn start_session(auth: &Auth<User>, user: &User) -> Pair {
    Pair::from(session_of(auth, user).await)
}

/// Tokens as a client holds them.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) session: SessionId,
}

impl From<portcullis::auth::TokenPair> for Pair {
    fn from(tokens: portcullis::auth::TokenPair) -> Self {
        Self {
            access: tokens.access_token.expose().clone(),
            refresh: tokens.refresh_token.expose().clone(),
            session: tokens.session_id,
        }
    }
}

impl From<LoggedIn<User>> for Pair {
    fn from(logged_in: LoggedIn<User>) -> Self {
        logged_in.tokens.into()
    }
}

pub(crate) fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// Ends a session of a user in one of the ways that need nothing but another session of the user.
pub(crate) async fn end_by(way: &str, world: &World, auth: &Auth<User>, (user, pair): (&User, &Pair), other: &Claims) {
    match way {
        "logout_all" => auth.logout_all(other, &ClientInfo::unknown()).await.unwrap(),
        "end_session" => auth.end_session(&user.id, pair.session, &ClientInfo::unknown()).await.unwrap(),
        "password" => {
            let new = "close sesame 43".into();
            auth.change_password(other, PASSWORD.into(), new, &ClientInfo::unknown()).await.unwrap();
        }
        "login_again" => {
            let mut client = ClientInfo::unknown();
            client.refresh_token = Some(pair.refresh.as_str().into());
            auth.start_session(user, &client).await.unwrap();
        }
        "limit" => {
            world.clock.advance(Duration::from_secs(1));
            for _ in 0..99 {
                start_session(auth, user).await;
            }
        }
        "disabled" => {
            world.store.memory.set_disabled(&user.id, true).await.unwrap();
            auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await.unwrap();
        }
        _ => panic!("unknown way: {way}"),
    }
}
