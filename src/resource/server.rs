//! The server that verifies: an issuer's profile, its keys, and the time.

use std::{fmt, sync::Arc};

#[cfg(feature = "jwks_url")]
use super::refresh_schedule::{Remote, Want};
use super::{
    claims::ForeignClaims,
    keys::{ForeignKeys, HeldKeys},
    verify::ForeignProfile,
};
use crate::{
    clock::Clock,
    error::{BuildError, Error, ErrorKind},
    token::TokenFault,
};

/// Verifies the access tokens of another service. Clones share everything.
///
/// # Examples
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

/// What the clones of a server share.
pub(super) struct Inner {
    pub(super) profile: ForeignProfile,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: Arc<HeldKeys>,
    #[cfg(feature = "jwks_url")]
    pub(super) remote: Option<Arc<Remote>>,
}

impl ResourceServer {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Verifies an access token, as the guard does.
    ///
    /// Waits for a fetch of the set where the set comes from a URL and the token names an unknown
    /// key.
    ///
    /// # Errors
    /// - [`ErrorKind::TokenExpired`] for a token that was valid until its expiry.
    /// - [`ErrorKind::TokenInvalid`] for any other token that is not accepted.
    /// - [`ErrorKind::StoreUnavailable`] without usable keys, and where the token names a key that
    ///   could not be fetched.
    pub async fn authenticate(&self, access_token: &str) -> Result<ForeignClaims, Error> {
        self.authenticate_bytes(access_token.as_bytes()).await
    }

    /// Verifies the bytes of a token as [`authenticate`](Self::authenticate) does.
    #[cfg_attr(not(feature = "jwks_url"), allow(clippy::unused_async, reason = "a set from a URL is waited for"))]
    pub(super) async fn authenticate_bytes(&self, access_token: &[u8]) -> Result<ForeignClaims, Error> {
        if let Some(verdict) = self.verify_now(access_token) {
            return verdict;
        }
        #[cfg(feature = "jwks_url")]
        if let Some(remote) = &self.0.remote {
            remote.settled().await;
        }
        self.verify_bytes(access_token)
    }

    /// Verifies an access token with the present keys, without waiting.
    ///
    /// Begins a fetch of the set in the background where one is due. That needs a tokio runtime.
    ///
    /// # Errors
    /// - [`ErrorKind::TokenExpired`] for a token that was valid until its expiry.
    /// - [`ErrorKind::TokenInvalid`] for any other token that is not accepted.
    /// - [`ErrorKind::StoreUnavailable`] without usable keys, and for an unknown key where the last
    ///   fetch has failed.
    pub fn verify(&self, access_token: &str) -> Result<ForeignClaims, Error> {
        self.verify_bytes(access_token.as_bytes())
    }

    fn verify_bytes(&self, access_token: &[u8]) -> Result<ForeignClaims, Error> {
        #[cfg(feature = "jwks_url")]
        if let Some(remote) = &self.0.remote {
            remote.fetch(Want::IfDue);
        }
        let keys = self.0.usable_keys().ok_or_else(no_keys)?;
        let verdict = self.0.verify(&keys, access_token);
        #[cfg(feature = "jwks_url")]
        if self.0.may_miss_a_key(&keys, access_token, &verdict) {
            return Err(no_new_keys());
        }
        verdict
    }

    /// Returns the verdict, or `None` while a fetch is under way that may change it.
    #[cfg_attr(
        not(feature = "jwks_url"),
        allow(clippy::unnecessary_wraps, reason = "a set from a URL may be on its way")
    )]
    pub(super) fn verify_now(&self, access_token: &[u8]) -> Option<Result<ForeignClaims, Error>> {
        #[cfg(feature = "jwks_url")]
        if let Some(remote) = &self.0.remote {
            return self.0.verify_unless_fetching(remote, access_token);
        }
        Some(self.verify_bytes(access_token))
    }

    /// Fetches the issuer's set now, or waits for the fetch that is under way.
    ///
    /// Call it before the service reports that it is ready.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] where the set could not be fetched. The log has the reason.
    /// The previous set stays in use.
    #[cfg(feature = "jwks_url")]
    pub async fn refresh(&self) -> Result<(), Error> {
        let Some(remote) = &self.0.remote else { return Ok(()) };
        let fetched = remote.fetch(Want::Now) && remote.settled().await;
        if fetched { Ok(()) } else { Err(no_keys()) }
    }

    /// Replaces the issuer's set by this one.
    ///
    /// # Errors
    /// [`BuildError`] for a document that is no set or has no usable key. The previous set stays in
    /// use.
    pub fn replace_jwks(&self, document: &str) -> Result<(), BuildError> {
        let keys = ForeignKeys::parse(document).map_err(BuildError::one)?;
        self.0.keys.replace(keys);
        #[cfg(feature = "jwks_url")]
        if let Some(remote) = &self.0.remote {
            remote.replaced(self.0.clock.now());
        }
        Ok(())
    }
}

impl Inner {
    /// Returns the keys that are accepted now.
    fn usable_keys(&self) -> Option<Arc<ForeignKeys>> {
        #[cfg(feature = "jwks_url")]
        if self.remote.as_ref().is_some_and(|remote| !remote.is_fresh(self.clock.now())) {
            return None;
        }
        self.keys.get()
    }

    fn verify(&self, keys: &ForeignKeys, access_token: &[u8]) -> Result<ForeignClaims, Error> {
        self.profile.verify(keys, access_token, self.clock.now()).map_err(|fault| {
            Error::new(match fault {
                TokenFault::Expired => ErrorKind::TokenExpired,
                TokenFault::Invalid => ErrorKind::TokenInvalid,
            })
        })
    }

    /// Returns the verdict, or `None` while a fetch is under way that may change it.
    ///
    /// A token under a known key never waits. A token that no key could make valid never causes a
    /// fetch.
    #[cfg(feature = "jwks_url")]
    fn verify_unless_fetching(
        &self,
        remote: &Arc<Remote>,
        access_token: &[u8],
    ) -> Option<Result<ForeignClaims, Error>> {
        let fetching = remote.fetch(Want::IfDue);
        let Some(keys) = self.usable_keys() else {
            return (!fetching).then(|| Err(no_keys()));
        };
        let verdict = self.verify(&keys, access_token);
        let wanted = verdict.as_ref().is_err_and(|error| error.kind() == ErrorKind::TokenInvalid)
            && self.profile.names_unknown_key(&keys, access_token)
            && remote.fetch(Want::UnknownKey);
        if !wanted && self.may_miss_a_key(&keys, access_token, &verdict) {
            return Some(Err(no_new_keys()));
        }
        (!wanted).then_some(verdict)
    }

    /// Returns whether a refused token may be valid under a key that could not be fetched.
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
    Error::new(ErrorKind::StoreUnavailable).with_source("there is no usable JWK set: no fetch of its URL has succeeded")
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer").field("profile", &self.0.profile).finish_non_exhaustive()
    }
}
