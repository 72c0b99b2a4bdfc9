//! For the tests of an app (feature `testing`): users in a line, sign-in without a password, time that is moved by hand.
//!
//! Tests of an app are about the app: what an editor may do, what a stranger sees, what happens to a form that was open for
//! too long. [`TestAuth`] is an [`Auth`] as the app has it, but for what tests would wait for or have to set up:
//! - its clock is a [`ManualClock`] that stands still until [`advance`](TestAuth::advance) moves it, so nothing sleeps;
//! - secrets and issuer that are missing are drawn;
//! - a password hash costs some microseconds, and a guess is not slowed;
//! - [`user`](TestAuth::user) registers, [`log_in`](TestAuth::log_in) begins a session without a password.
//!
//! What it makes is real: users go through [`Auth::register`], sessions through [`Auth::start_session`], the guard and the
//! endpoints are the app's own. [`TestSession`] has their tokens as headers, and works with any [`Auth`].
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, body::Body, http::{Request, StatusCode, header}, routing::get};
//! use portcullis::{Auth, Claims, User, testing::TestAuth};
//! use tower::ServiceExt;
//!
//! # async fn profile(claims: Claims) -> String { claims.subject().to_string() }
//! fn app(auth: &Auth<User>) -> Router {
//!     Router::new().route("/profile", get(profile)).route_layer(auth.require())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let test = TestAuth::new()?;
//! let ada = test.user("ada@example.com").role("admin").create().await?;
//! let session = test.log_in(&ada).await?;
//! let profile = || Request::get("/profile").header(header::AUTHORIZATION, session.bearer()).body(Body::empty());
//!
//! assert_eq!(app(test.auth()).oneshot(profile()?).await?.status(), StatusCode::OK);
//! test.advance(Duration::from_secs(15 * 60));
//! assert_eq!(app(test.auth()).oneshot(profile()?).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(()) }
//! ```
//!
//! The [guide](crate::guide::testing) has a whole app and its test.
//!
//! # Not in a server
//!
//! Enable the feature under `[dev-dependencies]` and nowhere else:
//!
//! ```toml
//! [dev-dependencies]
//! portcullis = { version = "0.1", features = ["testing"] }
//! ```
//!
//! It opens no door to a service that runs: no setting, variable, endpoint or token turns any of it on, and code that holds
//! an [`Auth`] can sign anybody in anyway. But a [`TestAuth`] hashes passwords so cheaply that they can be read back, so its
//! hashes must not outlive the test, and it signs every [draft](TokenDraft), which no other `Auth` does. The log warns
//! of one that is made.

mod draft;
mod session;
mod user;

use std::{fmt, time::Duration};

pub use self::{draft::TokenDraft, session::TestSession, user::TestUser};
use crate::{
    auth::{Auth, ClientInfo, Registration},
    builder::AuthBuilder,
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    error::BuildError,
    error::Error,
    store::{UserStore, memory::MemoryStore},
    user::AuthUser,
};

/// The password of every user who was given none of their own.
pub const PASSWORD: &str = "correct horse battery staple";

/// An [`Auth`] for tests, with its clock and its users at hand; clones share everything.
///
/// `S` is what keeps the users: a [`MemoryStore`], or the app's own.
#[derive(Clone)]
pub struct TestAuth<S: UserStore = MemoryStore> {
    auth: Auth<S::User>,
    clock: ManualClock,
    users: S,
}

impl TestAuth {
    /// Users and sessions in memory, every setting at its default.
    ///
    /// # Errors
    /// As of [`of`](Self::of).
    pub fn new() -> Result<Self, BuildError> {
        let store = MemoryStore::new();
        Self::of(Auth::builder(store.clone(), store.clone()), store)
    }

    /// A user to be: [`create`](TestUser::create) registers them.
    pub fn user(&self, email: impl Into<String>) -> TestUser<'_> {
        TestUser::new(self, email.into())
    }
}

impl<S: UserStore> TestAuth<S> {
    /// An app's own settings and users. Kept of the builder is everything but
    /// - the clock, which stands at the present second;
    /// - the cost of password hashes, which is checked and not used, and their threads, of which there is one unless set;
    /// - the throttle, which is off unless one was given with [`AuthBuilder::throttle`];
    /// - the issuer and the secrets, where they were not set.
    ///
    /// ```
    /// use portcullis::{Auth, AuthBuilder, User, store::memory::MemoryStore, testing::TestAuth};
    ///
    /// /// What the app sets, in `main` as in tests.
    /// fn settings(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    ///     builder.mount_path("/api/auth").custom_claims(|user: &User| serde_json::json!({ "verified": user.name.is_some() }))
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MemoryStore::new();
    /// let test = TestAuth::of(settings(Auth::builder(store.clone(), store.clone())), store)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`BuildError`] as of [`AuthBuilder::build`], or where the operating system has no randomness.
    pub fn of(builder: AuthBuilder<S::User>, users: S) -> Result<Self, BuildError> {
        // Tokens count in whole seconds: what a test reads of one is what the clock says.
        let clock = ManualClock::new(Timestamp::from_secs(SystemClock.now().as_secs()));
        let builder = builder.for_tests(clock.clone());
        let builder = builder.map_err(|error| BuildError::one(format!("no randomness: {error:?}")))?;
        Ok(Self { auth: builder.build()?, clock, users })
    }

    /// What the app is built with.
    pub fn auth(&self) -> &Auth<S::User> {
        &self.auth
    }

    /// The users, to change what no endpoint changes.
    pub fn users(&self) -> &S {
        &self.users
    }

    /// The clock that everything goes by. Who waits with [`Auth::until_ended`] hears of it only when it is moved by
    /// [`advance`](Self::advance).
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Moves the clock forwards: what waits for an expiry that is reached ends, such as a WebSocket.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.auth.0.revocations.wake_all();
    }

    /// Registers a user of the app's own type, with [`PASSWORD`].
    ///
    /// # Errors
    /// As of [`Auth::register`].
    pub async fn register(
        &self,
        email: impl Into<String>,
        fields: <S::User as AuthUser>::Registration,
    ) -> Result<S::User, Error> {
        self.auth.register(Registration::new(email, PASSWORD, fields), &ClientInfo::unknown()).await
    }

    /// Signs a user in, without their password.
    ///
    /// # Errors
    /// As of [`TestSession::start`].
    pub async fn log_in(&self, user: &S::User) -> Result<TestSession<S::User>, Error> {
        TestSession::start(&self.auth, user).await
    }
}

impl<S: UserStore> fmt::Debug for TestAuth<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestAuth").field("auth", &self.auth).field("clock", &self.clock).finish_non_exhaustive()
    }
}
