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
//!    further than a day from its issue.
//!
//! Nothing in a token makes this crate fetch anything. To follow the issuer's rotation, fetch the set on a timer of your
//! own and hand it to [`replace_jwks`](ResourceServer::replace_jwks).

mod claims;
mod keys;

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

pub use self::claims::ForeignClaims;
pub(crate) use self::{claims::Read, keys::ForeignKeys};
use crate::{
    builder::BuildError,
    clock::{Clock, SystemClock},
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
    keys: RwLock<Arc<ForeignKeys>>,
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
        }
    }

    /// Verifies an access token.
    ///
    /// # Errors
    /// [`ErrorKind::TokenExpired`] and [`ErrorKind::TokenInvalid`].
    pub fn verify(&self, access_token: &str) -> Result<ForeignClaims, Error> {
        let keys = Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner));
        self.0.profile.verify(&keys, access_token, self.0.clock.now()).map_err(|fault| {
            Error::new(match fault {
                TokenFault::Expired => ErrorKind::TokenExpired,
                TokenFault::Invalid => ErrorKind::TokenInvalid,
            })
        })
    }

    /// Takes the issuer's set as it is now in place of the one before.
    ///
    /// # Errors
    /// [`BuildError`] for a document that is no set or has no key in it that we can use; the set before stays.
    pub fn replace_jwks(&self, document: &str) -> Result<(), BuildError> {
        let keys = ForeignKeys::parse(document).map_err(BuildError::one)?;
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// For the mark that a guard leaves on requests.
    #[cfg(feature = "axum")]
    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.0)
    }
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
}

impl ResourceServerBuilder {
    /// The issuer's JWK set, required: the document, at most 256 KiB and 64 keys.
    pub fn jwks(mut self, document: impl Into<String>) -> Self {
        self.jwks = Some(document.into());
        self
    }

    /// The `typ`s that the issuer gives to access tokens: `at+jwt` (RFC 9068) unless set. Issuers that write `JWT` need
    /// `["JWT"]`, and then have to tell their ID tokens from access tokens by another audience.
    pub fn token_types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let folded = types.into_iter().map(|typ| typ.into().to_ascii_lowercase());
        self.profile.types = folded.map(|typ| typ.strip_prefix("application/").unwrap_or(&typ).to_owned()).collect();
        self
    }

    /// How far past its expiry a token still counts: nothing unless set, at most a minute.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.profile.leeway = leeway;
        self
    }

    /// The longest lifetime of a token: a day unless set.
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
    /// A [`BuildError`] that lists every problem with its mend.
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
        refuse(self.jwks.is_none(), "the JWK set is missing: set it with jwks(document)");
        let keys = self.jwks.as_deref().map(ForeignKeys::parse).transpose();
        let keys = keys.map_err(|problem| problems.push(problem)).ok().flatten();
        match keys {
            Some(keys) if problems.is_empty() => {
                let keys = RwLock::new(Arc::new(keys));
                Ok(ResourceServer(Arc::new(Inner { profile: self.profile, clock: self.clock, keys })))
            }
            _ => Err(BuildError::new(problems)),
        }
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
