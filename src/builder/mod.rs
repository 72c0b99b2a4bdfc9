//! [`AuthBuilder`]: every setting, its default, and one `build()` that checks them together.

mod check;
mod cookies;
mod env;
mod http;
mod keys;
mod settings;
#[cfg(feature = "testing")]
mod testing;

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;

use self::settings::Settings;
#[cfg(feature = "metrics")]
use crate::store::Timed;
use crate::{
    auth::{Auth, CustomClaimsOf, Inner, Nodes},
    clock::{Clock, SystemClock, Timestamp},
    error::BuildError,
    event::{EventSink, Sinks},
    http::Delivery,
    password::{BreachCheck, HashCost, PasswordPolicy, Passwords, Pool},
    revocation::Revocations,
    secret::Secret,
    store::{RevocationFeed, SessionLimit, SessionStore, UserStore},
    throttle::{MemoryThrottle, Throttle, Told},
    token::{keys::KeyRing, write_custom},
    user::AuthUser,
};

/// Collects the settings of an [`Auth`].
///
/// Three are required: the [`issuer`](Self::issuer) and one secret (or ring of keys) for each kind of token. Everything
/// else has a default that suits a browser app on HTTPS.
#[must_use]
pub struct AuthBuilder<U: AuthUser> {
    users: Arc<dyn UserStore<User = U>>,
    sessions: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    feed: Option<Arc<dyn RevocationFeed>>,
    throttle: Option<Arc<dyn Throttle>>,
    breaches: Option<Arc<dyn BreachCheck>>,
    custom_claims: Option<CustomClaimsOf<U>>,
    sinks: Sinks,
    settings: Settings,
}

impl<U: AuthUser> Auth<U> {
    /// Begins with the stores of users and of sessions; a store that is both is cloned.
    pub fn builder(users: impl UserStore<User = U>, sessions: impl SessionStore) -> AuthBuilder<U> {
        AuthBuilder {
            users: Arc::new(users),
            sessions: Arc::new(sessions),
            clock: Arc::new(SystemClock),
            feed: None,
            throttle: None,
            breaches: None,
            custom_claims: None,
            sinks: Sinks::default(),
            settings: Settings::default(),
        }
    }
}

impl<U: AuthUser> AuthBuilder<U> {
    /// The issuer of the tokens (`iss`), required: the address of the service, such as `https://example.com`.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.settings.issuer = Some(issuer.into());
        self
    }

    /// The audience of access tokens (`aud`); the issuer unless set.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.settings.audience = Some(audience.into());
        self
    }

    /// The keys of access tokens, in place of a secret: see [`keys`](crate::keys).
    pub fn access_keys(mut self, keys: KeyRing) -> Self {
        self.settings.access_keys = Some(keys);
        self
    }

    /// The keys of refresh tokens, in place of a secret. Nobody else has to verify those, so a secret serves as well.
    pub fn refresh_keys(mut self, keys: KeyRing) -> Self {
        self.settings.refresh_keys = Some(keys);
        self
    }

    /// The secret that signs access tokens (HS256), required unless there are [keys](Self::access_keys): at least 32 random
    /// bytes, such as from `openssl rand -base64 48`. The bytes are taken as they are. A text with and without white space
    /// around it counts as the same secret where two must differ.
    pub fn access_secret(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.settings.access_secret = Some(secret.into());
        self
    }

    /// The secret that signs refresh tokens (HS256), required unless there are [keys](Self::refresh_keys): another one than
    /// for access tokens.
    pub fn refresh_secret(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.settings.refresh_secret = Some(secret.into());
        self
    }

    /// A secret that signed access tokens before and still verifies them. Take it out once the longest of them has
    /// expired; a secret that has leaked is taken out at once.
    pub fn retired_access_secret(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.settings.retired_access_secrets.push(secret.into());
        self
    }

    /// A secret that signed refresh tokens before and still verifies them.
    pub fn retired_refresh_secret(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.settings.retired_refresh_secrets.push(secret.into());
        self
    }

    /// The app's own claims in access tokens, made of the user whenever tokens are issued, at a refresh too, and read with
    /// [`Claims::custom`](crate::Claims::custom). None unless set.
    ///
    /// They are for everybody to read, and as old as the token: what must not be seen, or must count at once, stays with
    /// the user. An object of at most 1,536 bytes whose names are not [ours](crate::Claims), else issuing fails as
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal).
    ///
    /// ```
    /// # use portcullis::{AuthBuilder, Claims, Error, User};
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Tenant {
    ///     tenant: String,
    /// }
    /// # fn builder(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    /// builder.custom_claims(|user: &User| Tenant { tenant: user.email.rsplit('@').next().unwrap_or_default().into() })
    /// # }
    ///
    /// async fn handler(claims: Claims) -> Result<String, Error> {
    ///     let Tenant { tenant } = claims.custom()?;
    ///     Ok(tenant)
    /// }
    /// ```
    pub fn custom_claims<C: Serialize>(mut self, claims: impl Fn(&U) -> C + Send + Sync + 'static) -> Self {
        self.custom_claims = Some(Arc::new(move |user| write_custom(&claims(user))));
        self
    }

    /// How long an access token lives: 15 minutes unless set, at most a day, in whole seconds (rounded up).
    pub fn access_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.access_lifetime = lifetime;
        self
    }

    /// The longest life of an access token that may still be in use: set it while tokens of an earlier, longer
    /// [`access_lifetime`](Self::access_lifetime) run, a day at most. Tokens that live longer are refused.
    ///
    /// Endings are remembered for the longer of the two lifetimes. Where this is not set, endings are remembered for the access
    /// lifetime, and tokens of up to a day are accepted: a token that is older than the access lifetime is one of an
    /// earlier setting, and each request with it asks the store whether its session lives. Nothing has to be set, then, to
    /// shorten the access lifetime: no token ends by it, and no ended one comes back.
    pub fn max_access_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.max_access_lifetime = Some(lifetime);
        self
    }

    /// How long a session lives without a refresh: 7 days unless set.
    pub fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.refresh_lifetime = lifetime;
        self
    }

    /// How long a session lives at most, however often it is refreshed: 30 days unless set.
    pub fn session_max_age(mut self, max_age: Duration) -> Self {
        self.settings.session_max_age = max_age;
        self
    }

    /// How long after a rotation the refresh token before it is still answered, with the current pair: 10 seconds unless
    /// set, at most 60, zero turns it off. It is what lets two tabs refresh at once and a lost answer be asked for again.
    pub fn refresh_grace(mut self, grace: Duration) -> Self {
        self.settings.refresh_grace = grace;
        self
    }

    /// How far past its expiry a token still counts: nothing unless set, at most 30 seconds.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = leeway;
        self
    }

    /// Refuses every token issued before this moment: for use after a leak, or after a backup was restored.
    pub fn not_before(mut self, moment: Timestamp) -> Self {
        self.settings.not_before = Some(moment);
        self
    }

    /// How often this node asks what other nodes have ended: every 5 seconds unless set.
    pub fn revocation_poll(mut self, interval: Duration) -> Self {
        self.settings.revocation_poll = interval;
        self
    }

    /// How long polls may fail before the guard asks the store about every token: it never does unless set. With it, an
    /// outage of the store stops requests instead of leaving endings of other nodes unseen.
    pub fn max_poll_staleness(mut self, limit: Duration) -> Self {
        self.settings.max_poll_staleness = Some(limit);
        self
    }

    /// How nodes tell each other at once what has ended: by polling only unless set.
    pub fn revocation_feed(mut self, feed: impl RevocationFeed) -> Self {
        self.feed = Some(Arc::new(feed));
        self
    }

    /// How many ended sessions, and how many users with ended sessions, are kept in memory: 1,048,576 of each unless set (about 50 MB
    /// each when full). Beyond, the guard asks the store about every token until entries have expired.
    pub fn revocation_capacity(mut self, entries: usize) -> Self {
        self.settings.revocation_capacity = entries;
        self
    }

    /// How many bytes of access tokens that were found good are remembered, so that a signature is checked once and not on
    /// every request: 16 MiB unless set where the current key is asymmetric, none for secrets, whose check costs as little
    /// as remembering. Zero turns it off. Expiry, endings and retired keys are asked about each time.
    pub fn token_cache(mut self, bytes: usize) -> Self {
        self.settings.token_cache = Some(bytes);
        self
    }

    /// How many sessions a user may have: 100 unless set, beyond which the one used longest ago ends.
    pub fn session_limit(mut self, limit: SessionLimit) -> Self {
        self.settings.session_limit = limit;
        self
    }

    /// Which passwords are accepted: 8 characters or more unless set.
    pub fn password_policy(mut self, policy: PasswordPolicy) -> Self {
        self.settings.password_policy = policy;
        self
    }

    /// A secret that goes into every password hash: none unless set, at least 32 random bytes, kept apart from the store.
    /// With it a stolen users table cannot be guessed at; without it nobody can log in, so keep a copy. Hashes that have
    /// none, or another, are renewed at their user's next good login.
    pub fn pepper(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.settings.pepper = Some(secret.into());
        self
    }

    /// A pepper of hashes from before; whoever has not logged in since it was retired needs it.
    pub fn retired_pepper(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.settings.retired_peppers.push(secret.into());
        self
    }

    /// What knows passwords from leaks: nothing unless set.
    pub fn breach_check(mut self, breaches: impl BreachCheck) -> Self {
        self.breaches = Some(Arc::new(breaches));
        self
    }

    /// What a password hash costs: [`HashCost::OWASP`] unless set.
    pub fn hash_cost(mut self, cost: HashCost) -> Self {
        self.settings.hash_cost = cost;
        self
    }

    /// How many passwords are hashed at once: half the cores unless set, and at least one, so that a login storm leaves
    /// the other half to everybody who is signed in. Each takes the memory of one [`HashCost`].
    pub fn hash_threads(mut self, threads: usize) -> Self {
        self.settings.hash_threads = Some(threads);
        self
    }

    /// How many passwords wait to be hashed: 256 for each thread unless set, some seconds of work. Whoever comes then is
    /// answered 503 `overloaded`.
    pub fn hash_queue(mut self, jobs: usize) -> Self {
        self.settings.hash_queue = Some(jobs);
        self
    }

    /// How long a password waits to be hashed: 15 seconds unless set, about when people give up and proxies soon do.
    /// Whoever waits longer is answered 503 `overloaded`.
    pub fn hash_deadline(mut self, deadline: Duration) -> Self {
        self.settings.hash_deadline = deadline;
        self
    }

    /// What slows guesses: a [`MemoryThrottle`] unless set. Nodes that are to share their counts take one over a store.
    pub fn throttle(mut self, throttle: impl Throttle) -> Self {
        self.throttle = Some(Arc::new(throttle));
        self.settings.throttle = true;
        self
    }

    /// Slows no guesses: for load tests, and where something before this service does it. The log warns of it.
    pub fn no_throttle(mut self) -> Self {
        self.settings.throttle = false;
        self
    }

    /// The path below which the endpoints are: `/auth` unless set.
    pub fn mount_path(mut self, path: impl Into<String>) -> Self {
        self.settings.mount_path = path.into();
        self
    }

    /// How tokens may reach clients: the first is what a login gets that does not ask; `[Delivery::Cookie]` unless set.
    pub fn token_delivery(mut self, allowed: impl IntoIterator<Item = Delivery>) -> Self {
        self.settings.deliveries = allowed.into_iter().collect();
        self
    }

    /// Whether a registration signs the user in: yes unless set, but not in [`ResponseFormat::Envelope`](crate::ResponseFormat::Envelope).
    pub fn login_on_register(mut self, yes: bool) -> Self {
        self.settings.login_on_register = Some(yes);
        self
    }

    /// How many proxies of your own stand before this service, each of which appends to `X-Forwarded-For`: none unless set.
    /// Behind a proxy guesses can be counted by address only with it.
    pub fn trusted_proxy_hops(mut self, hops: usize) -> Self {
        self.settings.trusted_proxy_hops = hops;
        self
    }

    /// Who is told what happens, such as an audit log: nobody unless set. Called again it adds another. See
    /// [`event`](crate::event).
    pub fn event_sink(mut self, sink: impl EventSink) -> Self {
        self.sinks.add(sink);
        self
    }

    /// What tells the time: the system's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks all settings together and starts the hashing threads.
    ///
    /// Within a Tokio runtime it also begins to read what has ended, so that the first request need not wait for it; elsewhere
    /// the first request does.
    ///
    /// # Errors
    /// A [`BuildError`] that lists every problem with its mend.
    pub fn build(self) -> Result<Auth<U>, BuildError> {
        let Self { users, sessions, clock, feed, throttle, breaches, custom_claims, sinks, settings } = self;
        crate::metrics::describe();
        #[cfg(feature = "metrics")]
        let (users, sessions): (Arc<dyn UserStore<User = U>>, Arc<dyn SessionStore>) = (
            Arc::new(Timed::users(users, Arc::clone(&clock))),
            Arc::new(Timed::sessions(sessions, Arc::clone(&clock))),
        );
        #[cfg(feature = "testing")]
        let for_tests = settings.test_hash_cost.is_some();
        let throttled = settings.throttle;
        let mut checked = settings.check()?;
        checked.verifier.profile.custom_claims = custom_claims.is_some();
        let pool = Pool::new(checked.hash_threads, checked.hash_queue, checked.hash_deadline, Arc::clone(&clock))
            .map_err(|error| BuildError::one(format!("the hashing threads cannot be started: {error}")))?;
        let passwords = Passwords::new(checked.password_policy, checked.hasher, pool)
            .map_err(|error| BuildError::one(format!("no randomness: {error:?}")))?
            .with_breaches(breaches);
        #[cfg(feature = "testing")]
        if for_tests {
            tracing::warn!(
                target: "portcullis",
                "made by `testing::TestAuth`: its password hashes can be read back, and it must serve nobody but a test"
            );
        }
        if !throttled {
            tracing::warn!(target: "portcullis", "the throttle is off (THROTTLE): guesses at passwords are not slowed");
        }
        let throttle = throttled.then(|| throttle.unwrap_or_else(|| Arc::new(MemoryThrottle::new())));
        sessions.begin(&clock);
        let auth = Auth(Arc::new(Inner {
            users,
            sessions,
            clock,
            passwords,
            throttle,
            refusals_told: Told::new(),
            issuer: checked.issuer,
            custom_claims,
            verifier: checked.verifier,
            lifetimes: checked.lifetimes,
            session_limit: checked.session_limit,
            revocations: Revocations::new(checked.revocation_capacity),
            nodes: Nodes::new(checked.revocation_poll, checked.max_poll_staleness, feed),
            sinks,
            http: checked.http,
            #[cfg(feature = "testing")]
            for_tests,
        }));
        auth.start();
        Ok(auth)
    }
}

impl<U: AuthUser> fmt::Debug for AuthBuilder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
