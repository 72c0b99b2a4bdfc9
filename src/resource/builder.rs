//! The settings of a resource server.

use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "jwks_url")]
use super::{jwks_url::JwksUrl, refresh_schedule::Remote};
use super::{
    keys::{ForeignKeys, HeldKeys},
    server::{Inner, ResourceServer},
    verify::ForeignProfile,
};
use crate::{
    clock::{Clock, SystemClock},
    error::BuildError,
};

/// A clock that differs by more than this is wrong.
const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// Collects the settings of a [`ResourceServer`].
///
/// # Defaults
///
/// - `token_types`: `at+jwt`
/// - `leeway`: none
/// - `max_token_lifetime`: 24 h
/// - `clock`: the clock of the system
///
/// The JWK set has no default.
#[must_use]
pub struct ResourceServerBuilder {
    profile: ForeignProfile,
    clock: Arc<dyn Clock>,
    jwks: Option<String>,
    #[cfg(feature = "jwks_url")]
    jwks_url: Option<JwksUrl>,
}

impl ResourceServer {
    /// Begins with the issuer, exactly as its tokens have it (`iss`), and with the name that its
    /// tokens have for this service (`aud`).
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
}

impl ResourceServerBuilder {
    /// Sets the issuer's JWK set. Maximum: 256 KiB and 64 keys.
    ///
    /// Required without a URL. Beside a URL the document is in use until the first fetch.
    pub fn jwks(mut self, document: impl Into<String>) -> Self {
        self.jwks = Some(document.into());
        self
    }

    /// Sets the URL from which the server fetches the issuer's JWK set.
    #[cfg(feature = "jwks_url")]
    pub fn jwks_url(mut self, url: impl Into<JwksUrl>) -> Self {
        self.jwks_url = Some(url.into());
        self
    }

    /// Sets the `typ`s of the issuer's access tokens. Default: `at+jwt` (RFC 9068).
    ///
    /// An issuer that writes `JWT` needs `["JWT"]`. It then has to give its ID tokens another
    /// audience than its access tokens, because the type no longer distinguishes them.
    pub fn token_types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let folded = types.into_iter().map(|typ| typ.into().to_ascii_lowercase());
        self.profile.types = folded.map(|typ| typ.strip_prefix("application/").unwrap_or(&typ).to_owned()).collect();
        self
    }

    /// Sets how long a token is accepted after its expiry. Default: none. Maximum: 60 s.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.profile.leeway = leeway;
        self
    }

    /// Sets the longest lifetime of a token. Default: 24 h.
    pub fn max_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.profile.max_lifetime = lifetime;
        self
    }

    /// Sets the clock. Default: the clock of the system.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks all settings together.
    ///
    /// # Errors
    /// A [`BuildError`] that lists every problem with its fix.
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
        let keys = Arc::new(HeldKeys::new(keys.map_err(|problem| problems.push(problem)).ok().flatten()));
        #[cfg(feature = "jwks_url")]
        let remote = self.remote(&keys, &mut problems);
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
        Ok(ResourceServer::new(Inner {
            profile: self.profile,
            clock: self.clock,
            keys,
            #[cfg(feature = "jwks_url")]
            remote,
        }))
    }

    #[cfg(feature = "jwks_url")]
    fn remote(&self, keys: &Arc<HeldKeys>, problems: &mut Vec<String>) -> Option<Arc<Remote>> {
        let settings = self.jwks_url.clone()?;
        let uri = settings.check(problems)?;
        Remote::new(uri, settings, &self.profile.issuer, Arc::clone(&self.clock), Arc::clone(keys))
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
