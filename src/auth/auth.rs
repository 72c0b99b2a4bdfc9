//! [`Auth`]: the type, and the methods that belong to no single flow.

use std::{fmt, sync::Arc, time::Duration};

use super::client_info::ClientInfo;
use crate::{
    clock::{Clock, Timestamp},
    error::Error,
    event::{Events, FlowRun, Operation},
    http::HttpSettings,
    password::{HashStats, Passwords},
    revocation::Revocations,
    store::{SessionLimit, SessionStore, UserStore},
    throttle::{EventDedup, Throttle},
    token::{CustomProblem, Issuer, Verifier},
    user::AuthUser,
};

/// Runs every flow for users of type `U`: registers users, logs them in and out, verifies and
/// refreshes their tokens, lists and ends their sessions, and changes their passwords.
///
/// [`Auth::builder`] and [`Auth::from_env`] make an `Auth`. A clone is another handle to the same
/// keys, stores and threads. Over HTTP an `Auth` offers [`routes`](Self::routes) (the ready
/// endpoints) and [`require`](Self::require) (the guard). The methods here are the same flows for
/// code that speaks another protocol.
///
/// An `Auth` remembers in memory which sessions have ended. It reads them from the store when it is
/// built in a Tokio runtime, or at its first call in one. No token is verified before that first
/// read. From then on a task of the runtime polls the store. The runtime needs its timer enabled.
/// Without a runtime, call [`poll_revocations`](Self::poll_revocations) regularly.
///
/// # Examples
///
/// ```
/// use portcullis::{
///     Auth, Profile, Registration,
///     auth::{ClientInfo, LoginOutcome},
///     store::memory::MemoryStore,
///     user::Login,
/// };
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let auth = Auth::builder(store.clone(), store)
///     .issuer("https://example.com")
///     .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
///     .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
///     .build()?;
///
/// let client = ClientInfo::unknown();
/// let new = Registration::new("ada@example.com", "correct horse battery staple", Profile::default());
/// auth.register(new, &client).await?;
/// let login = Login::email("ada@example.com");
/// let outcome = auth.login(&login, "correct horse battery staple".into(), &client).await?;
/// if let LoginOutcome::Complete(ada) = outcome {
///     let next = auth.refresh(ada.tokens.refresh_token.expose(), &client).await?;
///     assert_eq!(next.tokens.session_id, ada.tokens.session_id);
/// }
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(run()).unwrap();
/// ```
pub struct Auth<U: AuthUser>(pub(crate) Arc<Inner<U>>);

/// Writes the custom claims of a user. The builder erases the type that the app gave it.
pub(crate) type CustomClaimsOf<U> = Arc<dyn Fn(&U) -> Result<String, CustomProblem> + Send + Sync>;

pub(crate) struct Inner<U: AuthUser> {
    pub(crate) users: Arc<dyn UserStore<User = U>>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Option<Arc<dyn Throttle>>,
    /// Delays of the throttle whose `attempt.throttled` event was emitted.
    pub(crate) throttle_events: EventDedup,
    pub(crate) issuer: Issuer,
    pub(crate) custom_claims: Option<CustomClaimsOf<U>>,
    pub(crate) verifier: Verifier,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) session_limit: SessionLimit,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) events: Arc<Events>,
    pub(crate) http: HttpSettings,
    /// Whether this is the `Auth` of a `TestAuth`, which alone may sign arbitrary tokens.
    #[cfg(feature = "testing")]
    pub(crate) for_tests: bool,
}

/// How long sessions live, and how long the grace of a refresh token is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    pub(crate) grace: Duration,
}

impl<U: AuthUser> Auth<U> {
    /// Writes to the store the endings that it could not take earlier, and reads which sessions
    /// other nodes have ended.
    ///
    /// A poll reads what has ended since the last poll. The first poll reads back as far as the
    /// oldest access token that may still be in use. A poll takes one store round trip, and one
    /// more for each ending that waited.
    ///
    /// A task polls by itself, by default every 5 s. Call this method where another system reports
    /// an ending, or where no Tokio runtime serves the requests.
    ///
    /// # Errors
    /// - [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) if the session store
    ///   cannot be reached.
    /// - [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the session store fails otherwise.
    ///
    /// After an error this node still refuses every token that it refused before.
    pub async fn poll_revocations(&self) -> Result<(), Error> {
        self.0.revocations.poll().await
    }

    /// Returns how many passwords wait to be hashed and how many are being hashed, for metrics.
    pub fn hash_stats(&self) -> HashStats {
        self.0.passwords.stats()
    }

    /// Returns the public keys of access tokens as a JWK set (RFC 7517): the current key, the next
    /// one, and the retired ones that still verify. The set is empty where a secret signs the
    /// access tokens.
    ///
    /// `GET /auth/.well-known/jwks.json` answers with it.
    pub fn jwks(&self) -> String {
        self.0.issuer.access_keys.jwks(self.now())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Returns the present moment by the clock that all nodes share.
    pub(super) async fn shared_now(&self) -> Timestamp {
        self.0.revocations.shared_now().await
    }

    /// Returns whether an app has set an event sink.
    pub(crate) fn has_event_sink(&self) -> bool {
        self.0.events.have_sink()
    }

    /// Begins a run of a flow. The run copies the address and user agent only where an event sink
    /// is set.
    pub(super) fn begin(&self, operation: Operation, client: &ClientInfo) -> FlowRun {
        self.0.revocations.start();
        let has_sink = self.has_event_sink();
        let user_agent = has_sink.then(|| client.kept_user_agent()).flatten();
        FlowRun::begin(&self.0.events, operation, client.ip.filter(|_| has_sink), user_agent)
    }
}

impl<U: AuthUser> Clone for Auth<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<U: AuthUser> fmt::Debug for Auth<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("issuer", &self.0.issuer.issuer)
            .field("audience", &self.0.issuer.audience)
            .field("lifetimes", &self.0.lifetimes)
            .field("passwords", &self.0.passwords)
            .field("revocations", &self.0.revocations)
            .field("http", &self.0.http)
            .finish_non_exhaustive()
    }
}
