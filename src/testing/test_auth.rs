//! [`TestAuth`]: an `Auth` for tests.

use std::{fmt, time::Duration};

use super::TestSession;
use crate::{
    auth::{Auth, ClientInfo, Registration},
    builder::AuthBuilder,
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    error::{BuildError, Error},
    store::{UserStore, memory::MemoryStore},
    user::AuthUser,
};

/// The default password of users in tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// An [`Auth`] for tests, with its clock and its user store. Clones share everything.
///
/// `S` is the store of the users: a [`MemoryStore`], or the app's own.
///
/// # Examples
///
/// See [the module](super).
#[derive(Clone)]
pub struct TestAuth<S: UserStore = MemoryStore> {
    auth: Auth<S::User>,
    clock: ManualClock,
    users: S,
}

impl TestAuth {
    /// Returns one with users and sessions in memory and every setting at its default.
    ///
    /// # Errors
    /// The same as for [`of`](Self::of).
    pub fn new() -> Result<Self, BuildError> {
        let store = MemoryStore::new();
        Self::of(Auth::builder(store.clone(), store.clone()), store)
    }
}

impl<S: UserStore> TestAuth<S> {
    /// Returns one with an app's own settings and users. It replaces these settings of the builder:
    /// - The clock stands at the current second.
    /// - The cost of password hashes is checked and not used. One thread hashes, unless the builder
    ///   sets their number.
    /// - The throttle is off, unless [`AuthBuilder::throttle`] sets one.
    /// - The issuer and the secrets have values, if the builder sets none.
    ///
    /// # Errors
    /// The [`BuildError`] of [`AuthBuilder::build`], also if the operating system has no
    /// randomness.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{Auth, AuthBuilder, User, store::memory::MemoryStore, testing::TestAuth};
    ///
    /// /// What the app sets, in `main` as in tests.
    /// fn settings(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    ///     builder.mount_path("/api/auth").strict_cross_site()
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MemoryStore::new();
    /// let test = TestAuth::of(settings(Auth::builder(store.clone(), store.clone())), store)?;
    /// # Ok(()) }
    /// ```
    pub fn of(builder: AuthBuilder<S::User>, users: S) -> Result<Self, BuildError> {
        // Tokens have whole seconds, so that the times in them are those of the clock.
        let clock = ManualClock::new(Timestamp::from_secs(SystemClock.now().as_secs()));
        let builder = builder.for_tests(clock.clone());
        let builder = builder.map_err(|error| BuildError::one(format!("no randomness: {error:?}")))?;
        Ok(Self { auth: builder.build()?, clock, users })
    }

    /// Returns the `Auth` to build the app with.
    pub fn auth(&self) -> &Auth<S::User> {
        &self.auth
    }

    /// Returns the user store, for changes that no endpoint makes.
    pub fn users(&self) -> &S {
        &self.users
    }

    /// Returns the clock. Move it with [`advance`](Self::advance): a change of the clock itself
    /// does not wake tasks that wait in [`Auth::until_ended`].
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Moves the clock forward and wakes the tasks that wait for an expiry, such as WebSockets.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.auth.0.revocations.wake_all();
    }

    /// Registers a user of the app's own type with [`PASSWORD`].
    ///
    /// # Errors
    /// The same as for [`Auth::register`].
    pub async fn register(
        &self,
        email: impl Into<String>,
        fields: <S::User as AuthUser>::Registration,
    ) -> Result<S::User, Error> {
        self.auth.register(Registration::new(email, PASSWORD, fields), &ClientInfo::unknown()).await
    }

    /// Logs a user in without a password.
    ///
    /// # Errors
    /// The same as for [`TestSession::start`].
    pub async fn login(&self, user: &S::User) -> Result<TestSession<S::User>, Error> {
        TestSession::start(&self.auth, user).await
    }
}

impl<S: UserStore> fmt::Debug for TestAuth<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestAuth").field("auth", &self.auth).field("clock", &self.clock).finish_non_exhaustive()
    }
}
