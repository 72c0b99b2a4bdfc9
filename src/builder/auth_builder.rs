//! [`AuthBuilder`]: begins with the defaults or the environment, and builds an [`Auth`].

use std::{fmt, sync::Arc};

use super::{
    cookies::{self, CookieChoices},
    cross_site::{self, CrossSiteSettings},
    endpoints::{self, EndpointSettings},
    env::{Environment, Variables},
    events::EventSettings,
    keys::{self, KeySettings, TokenLifetimes},
    passwords::{self, PasswordSettings},
    revocation::{self, RevocationSettings},
    sessions::{self, SessionSettings},
    throttle::{self, ThrottleSettings},
    tokens::{self, TokenSettings},
};
#[cfg(feature = "metrics")]
use crate::store::Timed;
use crate::{
    auth::{Auth, Inner},
    clock::{Clock, SystemClock},
    error::{BuildError, Error},
    event::{Events, Tasks},
    http::{HttpSettings, response::cookies::MAX_COOKIE_BYTES},
    revocation::Revocations,
    store::{SessionStore, UserStore},
    throttle::EventDedup,
    token::MAX_TOKEN_BYTES,
    user::AuthUser,
};

/// Collects the settings of an [`Auth`], and checks them together.
///
/// Three settings are required: the [`issuer`](Self::issuer), and one secret or ring of keys for
/// each kind of token. Every other has a default that suits a browser app on HTTPS. The method of
/// each setting names its default, its bounds and, where it has one, its environment variable.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use portcullis::{Auth, BuildError, User, store::memory::MemoryStore};
///
/// # fn main() -> Result<(), BuildError> {
/// let store = MemoryStore::new();
/// let auth: Auth<User> = Auth::builder(store.clone(), store)
///     .issuer("https://example.com")
///     .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
///     .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
///     .access_lifetime(Duration::from_secs(5 * 60))
///     .build()?;
/// # Ok(()) }
/// ```
///
/// Settings that are not usable are all reported at once:
///
/// ```
/// use portcullis::{Auth, store::memory::MemoryStore};
///
/// let store = MemoryStore::new();
/// let builder = Auth::builder(store.clone(), store).issuer("https://example.com");
/// let error = builder.build().unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// ```
#[must_use]
pub struct AuthBuilder<U: AuthUser> {
    users: Arc<dyn UserStore<User = U>>,
    sessions: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    pub(super) tokens: TokenSettings<U>,
    pub(super) keys: KeySettings,
    pub(super) session: SessionSettings,
    pub(super) revocation: RevocationSettings,
    pub(super) passwords: PasswordSettings,
    pub(super) throttle: ThrottleSettings,
    pub(super) events: EventSettings,
    pub(super) endpoints: EndpointSettings,
    pub(super) cookies: CookieChoices,
    pub(super) cross_site: CrossSiteSettings,
    /// Problems that were found while the environment was read.
    problems: Vec<String>,
}

impl<U: AuthUser> Auth<U> {
    /// Returns a builder with these stores of users and of sessions. All settings have their
    /// defaults. Pass a store that keeps both twice: clone it.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{Auth, BuildError, User, store::memory::MemoryStore};
    ///
    /// # fn main() -> Result<(), BuildError> {
    /// let store = MemoryStore::new();
    /// let auth: Auth<User> = Auth::builder(store.clone(), store)
    ///     .issuer("https://example.com")
    ///     .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
    ///     .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn builder(users: impl UserStore<User = U>, sessions: impl SessionStore) -> AuthBuilder<U> {
        AuthBuilder {
            users: Arc::new(users),
            sessions: Arc::new(sessions),
            clock: Arc::new(SystemClock),
            tokens: TokenSettings::default(),
            keys: KeySettings::default(),
            session: SessionSettings::default(),
            revocation: RevocationSettings::default(),
            passwords: PasswordSettings::default(),
            throttle: ThrottleSettings::default(),
            events: EventSettings::default(),
            endpoints: EndpointSettings::default(),
            cookies: CookieChoices::default(),
            cross_site: CrossSiteSettings::default(),
            problems: Vec::new(),
        }
    }

    /// Makes an `Auth` with the settings of the environment: [`AuthBuilder::from_env`] and
    /// [`AuthBuilder::build`] in one call. [`AuthBuilder::from_env`] lists the variables.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use portcullis::{Auth, BuildError, User, store::memory::MemoryStore};
    ///
    /// # fn main() -> Result<(), BuildError> {
    /// let store = MemoryStore::new();
    /// let auth: Auth<User> = Auth::from_env(store.clone(), store)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A [`BuildError`] that lists every variable that is missing or not usable, and how to fix it.
    pub fn from_env(users: impl UserStore<User = U>, sessions: impl SessionStore) -> Result<Self, BuildError> {
        AuthBuilder::from_env(users, sessions).build()
    }
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Returns a builder with the settings of the environment. Where the app sets nothing else,
    /// call [`Auth::from_env`] instead.
    ///
    /// | variable | default | meaning |
    /// |---|---|---|
    #[doc = tokens::variables!()]
    #[doc = keys::variables!()]
    #[doc = sessions::variables!()]
    #[doc = revocation::variables!()]
    #[doc = endpoints::variables!()]
    #[doc = cookies::variables!()]
    #[doc = cross_site::variables!()]
    #[doc = throttle::variables!()]
    #[doc = passwords::variables!()]
    ///
    /// Durations are a number and `ms`, `s`, `m`, `h` or `d`. A variable that is set to nothing
    /// counts as not set. [`build`](Self::build) reports each problem with the name of its
    /// variable.
    ///
    /// One line break (LF, CRLF or CR) at the end of a secret, the issuer or the audience comes
    /// from the file that held it, and is removed. Other white space around these is refused,
    /// because another service that reads the same file may count it. Around the items of a list,
    /// and around all other values, white space does not matter.
    ///
    /// ```no_run
    /// use portcullis::{AuthBuilder, store::memory::MemoryStore};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MemoryStore::new();
    /// let auth = AuthBuilder::from_env(store.clone(), store).mount_path("/api/auth").build()?;
    /// # Ok(()) }
    /// ```
    pub fn from_env(users: impl UserStore<User = U>, sessions: impl SessionStore) -> Self {
        Self::from_env_with_prefix("", users, sessions)
    }

    /// Returns a builder with the settings of the environment, like [`from_env`](Self::from_env),
    /// from variables whose names begin with `prefix`, such as `MYAPP_`.
    pub fn from_env_with_prefix(prefix: &str, users: impl UserStore<User = U>, sessions: impl SessionStore) -> Self {
        let mut builder = Auth::builder(users, sessions);
        let variables = |name: &str| std::env::var_os(name).map(std::ffi::OsString::into_string);
        builder.read(prefix, &variables);
        builder
    }

    /// Returns a builder with the settings of the environment, for examples and first steps.
    ///
    /// Missing secrets are generated and a warning is logged. All tokens are then invalid after the
    /// process ends. A missing issuer becomes `portcullis-example`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the operating system has no
    /// randomness.
    pub fn from_env_or_ephemeral(users: impl UserStore<User = U>, sessions: impl SessionStore) -> Result<Self, Error> {
        let mut builder = Self::from_env(users, sessions);
        for name in builder.keys.generate_missing()? {
            tracing::warn!(target: "portcullis", "{name} is not set: a secret is generated, and all tokens end with this process");
        }
        builder.tokens.default_issuer("portcullis-example");
        Ok(builder)
    }

    /// Sets the clock. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks all settings together and starts the hashing threads.
    ///
    /// Within a Tokio runtime it also starts to read from the store which sessions have ended, so
    /// that the first request rarely waits for that. Without a runtime, the first request starts
    /// it.
    ///
    /// # Errors
    /// A [`BuildError`] that lists every problem and how to fix it.
    pub fn build(self) -> Result<Auth<U>, BuildError> {
        let mut problems = self.problems;
        self.tokens.check(&mut problems);
        self.session.check(self.tokens.access_lifetime(), &mut problems);
        self.revocation.check(&mut problems);
        let lifetimes = TokenLifetimes {
            access: self.tokens.access_lifetime(),
            longest_access: self.tokens.max_access_lifetime(),
            refresh: self.session.refresh_lifetime(),
            longest_refresh: self.session.max_age(),
            tolerance: self.tokens.clock_tolerance(),
        };
        let rings = self.keys.rings(&lifetimes, &mut problems);
        let hasher = self.passwords.check(self.keys.secrets(), &mut problems);
        let endpoints = self.endpoints.check(&mut problems);
        let cookies = self.cookies.check(self.endpoints.shape(), &endpoints.table, &mut problems);
        let cross_site = self.cross_site.check(self.cookies.are_insecure(), &mut problems);
        let (Some(rings), Some(hasher), Some(deliveries), Some(cookies), true) =
            (rings, hasher, endpoints.deliveries, cookies, problems.is_empty())
        else {
            return Err(BuildError::new(problems));
        };

        let (users, sessions, clock) = (self.users, self.sessions, self.clock);
        crate::metrics::describe();
        #[cfg(feature = "metrics")]
        let (users, sessions): (Arc<dyn UserStore<User = U>>, Arc<dyn SessionStore>) = (
            Arc::new(Timed::users(users, Arc::clone(&clock))),
            Arc::new(Timed::sessions(sessions, Arc::clone(&clock))),
        );
        #[cfg(feature = "testing")]
        let for_tests = self.passwords.are_for_tests();
        #[cfg(feature = "testing")]
        if for_tests {
            tracing::warn!(
                target: "portcullis",
                "made by `testing::TestAuth`: its password hashes can be read back, and it must serve only tests"
            );
        }
        let remembered = self.tokens.remembered(&rings);
        let max_access_bytes = if deliveries.use_access_cookie() {
            MAX_COOKIE_BYTES.saturating_sub(cookies.access.name().len())
        } else {
            MAX_TOKEN_BYTES
        };
        let tokens = self.tokens.into_parts(rings, max_access_bytes);
        let events =
            Arc::new(Events { sinks: self.events.into_sinks(), clock: Arc::clone(&clock), tasks: Tasks::default() });
        let revocations = Revocations::new(
            self.revocation.into_settings(remembered),
            Arc::clone(&sessions),
            Arc::clone(&clock),
            Arc::clone(&events),
        );
        let trusted_proxy_hops = self.throttle.trusted_proxy_hops();
        sessions.begin(&clock);
        let auth = Auth(Arc::new(Inner {
            passwords: self.passwords.into_passwords(hasher, Arc::clone(&clock))?,
            users,
            sessions,
            clock,
            throttle: self.throttle.into_throttle(),
            throttle_events: EventDedup::new(),
            issuer: tokens.issuer,
            custom_claims: tokens.custom_claims,
            verifier: tokens.verifier,
            lifetimes: self.session.lifetimes(),
            session_limit: self.session.limit(),
            revocations: Arc::new(revocations),
            events,
            http: HttpSettings {
                table: endpoints.table,
                responder: endpoints.responder,
                cookies,
                deliveries,
                cross_site,
                trusted_proxy_hops,
                login_on_register: endpoints.login_on_register,
            },
            #[cfg(feature = "testing")]
            for_tests,
        }));
        auth.0.revocations.start();
        Ok(auth)
    }

    /// Reads every setting that has a variable.
    pub(super) fn read(&mut self, prefix: &str, variables: Variables<'_>) {
        let mut env = Environment::new(prefix, variables);
        self.tokens.read(&mut env);
        self.keys.read(&mut env);
        self.session.read(&mut env);
        self.revocation.read(&mut env);
        self.endpoints.read(&mut env);
        self.cookies.read(&mut env);
        self.cross_site.read(&mut env);
        self.throttle.read(&mut env);
        self.passwords.read(&mut env);
        self.problems = env.into_problems();
    }
}

/// Shows neither secrets nor closures of the app.
impl<U: AuthUser> fmt::Debug for AuthBuilder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthBuilder")
            .field("keys", &self.keys)
            .field("session", &self.session)
            .field("endpoints", &self.endpoints)
            .field("cookies", &self.cookies)
            .field("cross_site", &self.cross_site)
            .finish_non_exhaustive()
    }
}
