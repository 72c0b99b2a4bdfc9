//! [`ResourceServer`]: for services that verify another service's access tokens and issue none.
//!
//! All it holds is the issuer's JWK set, as `GET /auth/.well-known/jwks.json` or any identity provider publishes it. It
//! knows no users, no sessions and no endings: a token counts until it expires.
//!
//! A token is admitted when
//! 1. it is a Bearer token of at most 8 KiB in three segments of canonical base64url;
//! 2. its header names an asymmetric algorithm and a key of the set that is for exactly that algorithm, its `typ` is one
//!    that was agreed on, and it asks for no extension;
//! 3. the signature is good;
//! 4. its claims are one object, no name twice, with the issuer, our audience, a subject, an expiry that is ahead and not
//!    further than a day from its issue. Times may have fractions (RFC 7519 §2), which never count in favour of the token;
//!    `iat` and `nbf` may lie a minute ahead, because clocks differ.
//!
//! Nothing in a token says where a key comes from: `jku`, `x5u`, `jwk` and `x5c` are skipped, unread. To follow the issuer's
//! rotation, fetch the set on a timer of your own and hand it to [`replace_jwks`](ResourceServer::replace_jwks), or name its
//! address.
//!
//! # Keys from a URL
//!
//! With the feature `jwks_url` a server fetches the set itself, from `JwksUrl` and from nowhere else:
//! - every five minutes, when a request comes in: that one is answered by the keys at hand and does not wait;
//! - when a token names a key that is not in the set, at most once in ten seconds: such requests wait for the one fetch
//!   that is under way, for five seconds at most, and are then judged by what it brought;
//! - before the first request, which waits; `ResourceServer::refresh` does it at start.
//!
//! A fetch is one GET over https. A redirect, another status than 200, more than 256 KiB or 64 keys, a document that is no set
//! or has no key for us are failures; a failure is logged, tried again after ten seconds, and changes nothing: the keys at hand
//! count on, for a day at most. Without keys that count, requests are answered 503, never 401. So is a token that names a
//! key which is not in the set, as long as the last fetch has failed: the issuer may have changed its keys.
//!
//! The fetch trusts the certificate authorities of the operating system, and uses no proxy.

mod claims;
#[cfg(feature = "jwks_url")]
mod fetch;
mod keys;
#[cfg(feature = "jwks_url")]
mod refresh_schedule;
#[cfg(feature = "jwks_url")]
mod url;

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

pub use self::claims::ForeignClaims;
#[cfg(feature = "jwks_url")]
pub use self::url::JwksUrl;
pub(crate) use self::{claims::Read, keys::ForeignKeys};
use crate::{
    clock::{Clock, SystemClock},
    error::BuildError,
    error::{Error, ErrorKind},
    token::{ForeignProfile, TokenFault},
    user::{AuthUser, UserId},
};

/// Beyond, clocks are not skewed but wrong.
const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// Verifies another service's access tokens; clones share everything.
///
/// ```
/// use portcullis::{resource::ResourceServer, keys::Key};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let document = format!(r#"{{"keys":[{}]}}"#, Key::generate_ed25519()?.public_jwk().unwrap_or_default());
/// let server = ResourceServer::builder("https://auth.example.com", "https://api.example.com").jwks(document).build()?;
/// let guard = server.require();
/// # drop(guard);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ResourceServer(Arc<Inner>);

pub(crate) struct Inner {
    profile: ForeignProfile,
    clock: Arc<dyn Clock>,
    /// None until the first were fetched.
    keys: RwLock<Option<Arc<ForeignKeys>>>,
    #[cfg(feature = "jwks_url")]
    remote: Option<Arc<refresh_schedule::Remote>>,
}

impl ResourceServer {
    /// Begins with the issuer, exactly as its tokens have it (`iss`), and the name by which it knows this service (`aud`).
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> ResourceServerBuilder {
        ResourceServerBuilder {
            profile: ForeignProfile {
                issuer: issuer.into(),
                audience: audience.into(),
                types: vec!["at+jwt".to_owned()],
                leeway: Duration::ZERO,
                max_lifetime: Duration::from_secs(24 * 60 * 60),
            },
            clock: Arc::new(SystemClock),
            jwks: None,
            #[cfg(feature = "jwks_url")]
            jwks_url: None,
        }
    }

    /// Verifies an access token, as the guard does: where its key is not known and the set comes from a URL, once it has been
    /// fetched.
    ///
    /// # Errors
    /// [`ErrorKind::TokenExpired`] and [`ErrorKind::TokenInvalid`]; [`ErrorKind::StoreUnavailable`] where there are no keys
    /// that count, and where the token names a key that could not be fetched.
    pub async fn authenticate(&self, access_token: &str) -> Result<ForeignClaims, Error> {
        self.authenticate_bytes(access_token.as_bytes()).await
    }

    /// The same for a token as it was in the request.
    #[cfg_attr(not(feature = "jwks_url"), allow(clippy::unused_async, reason = "a set from a URL is waited for"))]
    pub(crate) async fn authenticate_bytes(&self, access_token: &[u8]) -> Result<ForeignClaims, Error> {
        if let Some(verdict) = self.verify_now(access_token) {
            return verdict;
        }
        #[cfg(feature = "jwks_url")]
        if let Some(remote) = &self.0.remote {
            remote.settled().await;
        }
        self.verify_bytes(access_token)
    }

    /// Verifies an access token by the keys at hand, without waiting for any. A set that is due is fetched meanwhile, where a
    /// tokio runtime is at hand.
    ///
    /// # Errors
    /// As those of [`authenticate`](Self::authenticate).
    pub fn verify(&self, access_token: &str) -> Result<ForeignClaims, Error> {
        self.verify_bytes(access_token.as_bytes())
    }

    fn verify_bytes(&self, access_token: &[u8]) -> Result<ForeignClaims, Error> {
        #[cfg(feature = "jwks_url")]
        if let Some(remote) = &self.0.remote {
            self.0.fetch(remote, refresh_schedule::Want::IfDue);
        }
        let keys = self.0.keys().ok_or_else(no_keys)?;
        let verdict = self.0.verify(&keys, access_token);
        #[cfg(feature = "jwks_url")]
        if self.0.may_miss_a_key(&keys, access_token, &verdict) {
            return Err(no_new_keys());
        }
        verdict
    }

    /// The verdict, or nothing where a fetch is under way that may change it.
    #[cfg_attr(
        not(feature = "jwks_url"),
        allow(clippy::unnecessary_wraps, reason = "a set from a URL may be on its way")
    )]
    pub(crate) fn verify_now(&self, access_token: &[u8]) -> Option<Result<ForeignClaims, Error>> {
        #[cfg(feature = "jwks_url")]
        if let Some(remote) = &self.0.remote {
            return self.0.verify_unless_fetching(remote, access_token);
        }
        Some(self.verify_bytes(access_token))
    }

    /// Fetches the issuer's set now, or waits for the fetch that is under way: before a service says that it is ready.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] where it could not be fetched; the log says why. The set before stays.
    #[cfg(feature = "jwks_url")]
    pub async fn refresh(&self) -> Result<(), Error> {
        let Some(remote) = &self.0.remote else { return Ok(()) };
        let good = self.0.fetch(remote, refresh_schedule::Want::Now) && remote.settled().await;
        if good { Ok(()) } else { Err(no_keys()) }
    }

    /// Takes the issuer's set as it is now in place of the one before.
    ///
    /// # Errors
    /// [`BuildError`] for a document that is no set or has no key in it that we can use; the set before stays.
    pub fn replace_jwks(&self, document: &str) -> Result<(), BuildError> {
        let keys = ForeignKeys::parse(document).map_err(BuildError::one)?;
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        #[cfg(feature = "jwks_url")]
        if let Some(remote) = &self.0.remote {
            remote.replaced(self.0.clock.now());
        }
        Ok(())
    }

    /// For the mark that a guard leaves on requests.
    #[cfg(feature = "axum")]
    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.0)
    }
}

impl Inner {
    /// The keys that count now.
    fn keys(&self) -> Option<Arc<ForeignKeys>> {
        #[cfg(feature = "jwks_url")]
        if self.remote.as_ref().is_some_and(|remote| !remote.holds_good(self.clock.now())) {
            return None;
        }
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn verify(&self, keys: &ForeignKeys, access_token: &[u8]) -> Result<ForeignClaims, Error> {
        self.profile.verify(keys, access_token, self.clock.now()).map_err(|fault| {
            Error::new(match fault {
                TokenFault::Expired => ErrorKind::TokenExpired,
                TokenFault::Invalid => ErrorKind::TokenInvalid,
            })
        })
    }

    /// A token under a key that is known never waits, and one that could not be good under any never makes us fetch.
    #[cfg(feature = "jwks_url")]
    fn verify_unless_fetching(
        self: &Arc<Self>,
        remote: &Arc<refresh_schedule::Remote>,
        access_token: &[u8],
    ) -> Option<Result<ForeignClaims, Error>> {
        let fetching = self.fetch(remote, refresh_schedule::Want::IfDue);
        let Some(keys) = self.keys() else {
            return (!fetching).then(|| Err(no_keys()));
        };
        let verdict = self.verify(&keys, access_token);
        let wanted = verdict.as_ref().is_err_and(|error| error.kind() == ErrorKind::TokenInvalid)
            && self.profile.names_unknown_key(&keys, access_token)
            && self.fetch(remote, refresh_schedule::Want::UnknownKey);
        if !wanted && self.may_miss_a_key(&keys, access_token, &verdict) {
            return Some(Err(no_new_keys()));
        }
        (!wanted).then_some(verdict)
    }

    /// Whether a token that was refused may be good under a key that could not be fetched.
    #[cfg(feature = "jwks_url")]
    fn may_miss_a_key(&self, keys: &ForeignKeys, access_token: &[u8], verdict: &Result<ForeignClaims, Error>) -> bool {
        verdict.as_ref().is_err_and(|error| error.kind() == ErrorKind::TokenInvalid)
            && self.remote.as_ref().is_some_and(|remote| remote.has_failed())
            && self.profile.names_unknown_key(keys, access_token)
    }
}

#[cfg(feature = "jwks_url")]
fn no_new_keys() -> Error {
    let why = "the token names a key that is not in the JWK set, and the last fetch of the set has failed";
    Error::new(ErrorKind::StoreUnavailable).with_source(why)
}

fn no_keys() -> Error {
    Error::new(ErrorKind::StoreUnavailable).with_source("there is no JWK set that counts: its URL did not give one")
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer").field("profile", &self.0.profile).finish_non_exhaustive()
    }
}

/// Collects the settings of a [`ResourceServer`].
#[must_use]
pub struct ResourceServerBuilder {
    profile: ForeignProfile,
    clock: Arc<dyn Clock>,
    jwks: Option<String>,
    #[cfg(feature = "jwks_url")]
    jwks_url: Option<JwksUrl>,
}

impl ResourceServerBuilder {
    /// The issuer's JWK set, required: the document, at most 256 KiB and 64 keys. Beside a URL it is what counts until the
    /// first fetch.
    pub fn jwks(mut self, document: impl Into<String>) -> Self {
        self.jwks = Some(document.into());
        self
    }

    /// Where the issuer's JWK set is fetched from, in place of the document.
    #[cfg(feature = "jwks_url")]
    pub fn jwks_url(mut self, url: impl Into<JwksUrl>) -> Self {
        self.jwks_url = Some(url.into());
        self
    }

    /// The `typ`s that the issuer gives to access tokens: `at+jwt` (RFC 9068) unless set. Issuers that write `JWT` need
    /// `["JWT"]`, and then have to tell their ID tokens from access tokens by another audience.
    pub fn token_types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let folded = types.into_iter().map(|typ| typ.into().to_ascii_lowercase());
        self.profile.types = folded.map(|typ| typ.strip_prefix("application/").unwrap_or(&typ).to_owned()).collect();
        self
    }

    /// Sets how long after its expiry a token is still accepted. Default: 0 s. Maximum: 60 s, which is more than the clocks
    /// of servers differ.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.profile.leeway = leeway;
        self
    }

    /// Sets the longest lifetime of a token that is accepted. Default: 1 day.
    pub fn max_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.profile.max_lifetime = lifetime;
        self
    }

    /// What tells the time: the system's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks all settings together.
    ///
    /// # Errors
    /// A [`BuildError`] that lists every problem and how to fix it.
    pub fn build(self) -> Result<ResourceServer, BuildError> {
        let mut problems = Vec::new();
        let mut refuse = |wrong: bool, problem: &str| problems.extend(wrong.then(|| problem.to_owned()));
        let profile = &self.profile;
        refuse(profile.issuer.trim().is_empty(), "the issuer is empty: use what its tokens have as `iss`");
        refuse(
            profile.audience.trim().is_empty(),
            "the audience is empty: use what tokens for this service have as `aud`",
        );
        refuse(
            profile.types.is_empty() || profile.types.iter().any(String::is_empty),
            "a token type is missing: use at+jwt",
        );
        refuse(profile.leeway > MAX_LEEWAY, "the leeway is longer than a minute: use none");
        refuse(profile.max_lifetime.is_zero(), "the longest lifetime of a token is zero: use a day");
        let keys = self.jwks.as_deref().map(ForeignKeys::parse).transpose();
        let keys = keys.map_err(|problem| problems.push(problem)).ok().flatten().map(Arc::new);
        #[cfg(feature = "jwks_url")]
        let remote = self.remote(keys.is_some(), &mut problems);
        #[cfg(feature = "jwks_url")]
        let has_source = self.jwks.is_some() || self.jwks_url.is_some();
        #[cfg(not(feature = "jwks_url"))]
        let has_source = self.jwks.is_some();
        if !has_source {
            problems.push("the JWK set is missing: set it with jwks(document)".to_owned());
        }
        if !problems.is_empty() {
            return Err(BuildError::new(problems));
        }
        Ok(ResourceServer(Arc::new(Inner {
            profile: self.profile,
            clock: self.clock,
            keys: RwLock::new(keys),
            #[cfg(feature = "jwks_url")]
            remote,
        })))
    }

    #[cfg(feature = "jwks_url")]
    fn remote(&self, holds_keys: bool, problems: &mut Vec<String>) -> Option<Arc<refresh_schedule::Remote>> {
        let settings = self.jwks_url.clone()?;
        let uri = settings.check(problems)?;
        let held_since = holds_keys.then(|| self.clock.now());
        refresh_schedule::Remote::new(uri, settings, held_since)
            .map_err(|problem| problems.push(problem))
            .ok()
            .map(Arc::new)
    }
}

impl fmt::Debug for ResourceServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServerBuilder").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// The users of a [`ResourceServer`]: there are none.
impl AuthUser for Infallible {
    type Registration = ();
    type Public = ();

    fn id(&self) -> UserId {
        match *self {}
    }

    fn password_hash(&self) -> Option<&str> {
        match *self {}
    }

    fn token_version(&self) -> u64 {
        match *self {}
    }

    fn is_disabled(&self) -> bool {
        match *self {}
    }

    fn roles(&self) -> Vec<&str> {
        match *self {}
    }

    fn public(&self) {
        match *self {}
    }

    fn names(&self) -> Vec<&str> {
        match *self {}
    }
}
