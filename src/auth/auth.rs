//! [`Auth`]: the type, and what belongs to no single flow.

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

/// Authenticates users of type `U`: registers them, logs them in and out, verifies and refreshes their tokens, lists and
/// ends their sessions, changes their passwords.
///
/// [`Auth::builder`] and [`Auth::from_env`] make one. A clone is another handle to the same keys, stores and threads.
/// Over HTTP an `Auth` offers [`routes`](Self::routes) (the ready endpoints) and [`require`](Self::require) (the guard).
/// The methods here are the same flows for code that speaks something else.
///
/// What has ended is read from the store when the `Auth` is built in a Tokio runtime, or at its first call in one. From
/// then on a task of that runtime, with its timer enabled, polls the store. No token is verified before the first read.
/// Without a runtime, call [`poll_revocations`](Self::poll_revocations) yourself.
///
/// # Examples
///
/// ```
/// use portcullis::{Auth, Registration, User, auth::{ClientInfo, LoginOutcome}, keys::Key, store::memory::MemoryStore};
/// use portcullis::user::{Login, Profile};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::<User>::new();
/// let auth = Auth::builder(store.clone(), store)
///     .issuer("https://example.com")
///     .access_key(Key::from_secret("the secret of the access tokens of the example")?)
///     .refresh_key(Key::from_secret("another secret, which signs the refresh tokens")?)
///     .build()?;
///
/// let client = ClientInfo::unknown();
/// let new = Registration::new("ada@example.com", "correct horse battery staple", Profile::default());
/// auth.register(new, &client).await?;
/// let login = Login::email("ada@example.com");
/// if let LoginOutcome::Complete(ada) = auth.login(&login, "correct horse battery staple".into(), &client).await? {
///     let next = auth.refresh(ada.tokens.refresh_token.expose(), &client).await?;
///     assert_eq!(next.tokens.session_id, ada.tokens.session_id);
/// }
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(run()).unwrap();
/// ```
pub struct Auth<U: AuthUser>(pub(crate) Arc<Inner<U>>);

/// Writes the app's own claims of a user. The builder erases the app's type once.
pub(crate) type CustomClaimsOf<U> = Arc<dyn Fn(&U) -> Result<String, CustomProblem> + Send + Sync>;

pub(crate) struct Inner<U: AuthUser> {
    pub(crate) users: Arc<dyn UserStore<User = U>>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Option<Arc<dyn Throttle>>,
    /// The refusals of the throttle that have had their event.
    pub(crate) throttle_events: EventDedup,
    pub(crate) issuer: Issuer,
    pub(crate) custom_claims: Option<CustomClaimsOf<U>>,
    pub(crate) verifier: Verifier,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) session_limit: SessionLimit,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) events: Arc<Events>,
    pub(crate) http: HttpSettings,
    /// It signs whatever a test wants to see refused.
    #[cfg(feature = "testing")]
    pub(crate) for_tests: bool,
}

/// How long sessions live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    pub(crate) grace: Duration,
}

impl<U: AuthUser> Auth<U> {
    /// Writes what this node has ended while the store was out of reach, and reads what has ended on other nodes.
    ///
    /// It reads what has ended since the last poll. The first poll reads back as far as the oldest access token that may
    /// still be in use. It takes one store round trip, and one for each ending that was put aside.
    ///
    /// It happens by itself, by default every 5 s. Call it where another system reports an ending, or where no Tokio
    /// runtime serves the requests.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) and
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal). What was known before stays known.
    pub async fn poll_revocations(&self) -> Result<(), Error> {
        self.0.revocations.poll().await
    }

    /// Returns what the hashing threads have to do and have done, for metrics. The most useful number is how many
    /// passwords wait.
    pub fn hash_stats(&self) -> HashStats {
        self.0.passwords.stats()
    }

    /// Returns the public keys of access tokens as a JWK set (RFC 7517): the current key, the next one, and the retired
    /// ones that still verify. The set is empty where access tokens are signed with a secret.
    ///
    /// `GET /auth/.well-known/jwks.json` answers it.
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
    pub(crate) fn is_heard(&self) -> bool {
        self.0.events.are_heard()
    }

    /// Begins a run of a flow. It keeps what is known of the client only where an event sink is set.
    pub(super) fn begin(&self, operation: Operation, client: &ClientInfo) -> FlowRun {
        self.0.revocations.start();
        let is_heard = self.is_heard();
        let user_agent = is_heard.then(|| client.kept_user_agent()).flatten();
        FlowRun::begin(&self.0.events, operation, client.ip.filter(|_| is_heard), user_agent)
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
