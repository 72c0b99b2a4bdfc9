//! Settings of access tokens: their issuer and audience, how long they live, and what they carry.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    AuthBuilder,
    env::Environment,
    keys::{Rings, in_whole_seconds},
};
use crate::{
    auth::CustomClaimsOf,
    clock::{CLOCK_SKEW, Timestamp},
    token::{Issuer, Profile, TokenCache, Verifier, write_custom},
    user::AuthUser,
};

/// Maximum lifetime of an access token.
const MAX_ACCESS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Maximum leeway. The clocks of our own servers differ by less.
const MAX_LEEWAY: Duration = Duration::from_secs(30);
/// Default size of the cache for asymmetric keys, in bytes: about ten thousand tokens.
const TOKEN_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `TOKEN_ISSUER` | required | `iss` |
| `TOKEN_AUDIENCE` | the issuer | `aud` |
| `ACCESS_TOKEN_EXPIRY` | `15m` | life of an access token |"
    };
}
pub(super) use variables;

/// Settings of access tokens.
///
/// # Defaults
/// - issuer: none, it is required
/// - audience: the issuer
/// - life of an access token: 15 min
/// - longest life of an access token that is accepted: not set, which accepts 1 day
/// - leeway: none
/// - not before: tokens of any age are accepted
/// - cache: 16 MiB where the current key is asymmetric, else none
/// - custom claims: none
pub(super) struct TokenSettings<U: AuthUser> {
    issuer: Option<String>,
    audience: Option<String>,
    access_lifetime: Duration,
    /// `None`: tokens of an earlier setting may live for up to a day.
    max_access_lifetime: Option<Duration>,
    leeway: Duration,
    not_before: Option<Timestamp>,
    cache_bytes: Option<usize>,
    custom_claims: Option<CustomClaimsOf<U>>,
}

impl<U: AuthUser> Default for TokenSettings<U> {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            access_lifetime: Duration::from_secs(15 * 60),
            max_access_lifetime: None,
            leeway: Duration::ZERO,
            not_before: None,
            cache_bytes: None,
            custom_claims: None,
        }
    }
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Sets the issuer of the tokens (`iss`): the address of the service, such as
    /// `https://example.com`. It is required.
    ///
    /// Variable: `TOKEN_ISSUER`.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.tokens.issuer = Some(issuer.into());
        self
    }

    /// Sets the audience of access tokens (`aud`). Default: the issuer. Variable: `TOKEN_AUDIENCE`.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.tokens.audience = Some(audience.into());
        self
    }

    /// Sets how long an access token lives, rounded up to whole seconds. Default: 15 min. Maximum:
    /// 1 day, because an ended session is remembered for that long.
    ///
    /// Variable: `ACCESS_TOKEN_EXPIRY`.
    pub fn access_lifetime(mut self, lifetime: Duration) -> Self {
        self.tokens.access_lifetime = lifetime;
        self
    }

    /// Sets the longest life of an access token that may still be in use. Tokens that live longer
    /// are refused. Default: not set, and tokens of up to 1 day are accepted. Maximum: 1 day.
    ///
    /// Set it while tokens of an earlier, longer [`access_lifetime`](Self::access_lifetime) are in
    /// use. Ended sessions are then remembered for the longer of the two lifetimes.
    ///
    /// Where it is not set, ended sessions are remembered for the access lifetime. A token that is
    /// older than the access lifetime was issued under an earlier setting, and each request with it
    /// asks the store whether its session lives. An app can therefore shorten the access lifetime
    /// without this setting: no token ends by it, and no ended session comes back.
    pub fn max_access_lifetime(mut self, lifetime: Duration) -> Self {
        self.tokens.max_access_lifetime = Some(lifetime);
        self
    }

    /// Sets how long after its expiry a token is still accepted. Default: 0 s. Maximum: 30 s, which
    /// is more than the clocks of one's own servers differ.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.tokens.leeway = leeway;
        self
    }

    /// Refuses every token that was issued before this moment: after a leak, or after a backup was
    /// restored. Default: none is refused. Tokens name the moment of their issue in whole seconds.
    pub fn not_before(mut self, moment: Timestamp) -> Self {
        self.tokens.not_before = Some(moment);
        self
    }

    /// Sets the size of the cache of verified access tokens, in bytes. The signature of a token in
    /// the cache is not verified again. Zero turns the cache off.
    ///
    /// Default: 16 MiB where the current key is asymmetric, and 0 where it is a secret, because
    /// verifying with a secret costs as little as a look-up. Expiry, revocation and retired keys
    /// are checked for each request.
    pub fn token_cache(mut self, bytes: usize) -> Self {
        self.tokens.cache_bytes = Some(bytes);
        self
    }

    /// Adds custom claims to access tokens. The function gets the user whenever tokens are issued,
    /// also at a refresh. [`Claims::custom`](crate::Claims::custom) reads them. Default: none.
    ///
    /// Any holder of the token can read the claims, and they are as old as the token. Leave out
    /// secrets, and values whose changes must take effect at once. Issuing fails with
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) unless they are an object of at most
    /// 1,536 bytes that uses none of [our names](crate::Claims).
    ///
    /// ```
    /// # use portcullis::{AuthBuilder, Claims, Error, User};
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Tenant {
    ///     tenant: String,
    /// }
    /// # fn builder(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    /// builder.custom_claims(|user: &User| Tenant {
    ///     tenant: user.email.rsplit('@').next().unwrap_or_default().into(),
    /// })
    /// # }
    ///
    /// async fn handler(claims: Claims) -> Result<String, Error> {
    ///     let Tenant { tenant } = claims.custom()?;
    ///     Ok(tenant)
    /// }
    /// ```
    pub fn custom_claims<C: Serialize>(mut self, claims: impl Fn(&U) -> C + Send + Sync + 'static) -> Self {
        self.tokens.custom_claims = Some(Arc::new(move |user| write_custom(&claims(user))));
        self
    }
}

impl<U: AuthUser> TokenSettings<U> {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        self.issuer = env.exact("TOKEN_ISSUER");
        self.audience = env.exact("TOKEN_AUDIENCE");
        env.duration("ACCESS_TOKEN_EXPIRY", &mut self.access_lifetime);
    }

    /// Sets this issuer where none was set.
    pub(super) fn default_issuer(&mut self, issuer: &str) {
        self.issuer.get_or_insert_with(|| issuer.to_owned());
    }

    pub(super) fn check(&self, problems: &mut Vec<String>) {
        let mut refuse = |wrong: bool, problem: &str| {
            if wrong {
                problems.push(problem.to_owned());
            }
        };
        let longest = self.max_access_lifetime();
        refuse(self.access_lifetime.is_zero(), "the access lifetime (ACCESS_TOKEN_EXPIRY) is zero: use 15m");
        refuse(longest > MAX_ACCESS_LIFETIME, "the maximal access lifetime is longer than a day: use a day");
        refuse(
            self.access_lifetime > longest,
            "the access lifetime (ACCESS_TOKEN_EXPIRY) is longer than its maximum, a day unless set: use 15m",
        );
        refuse(self.leeway > MAX_LEEWAY, "the leeway is longer than 30 seconds: use none");
        refuse(
            self.issuer.as_ref().is_none_or(|issuer| issuer.trim().is_empty()),
            "the issuer is missing: set it with issuer(\"https://your.service\") or TOKEN_ISSUER",
        );
    }

    /// Life of the access tokens that are issued now.
    pub(super) fn access_lifetime(&self) -> Duration {
        self.access_lifetime
    }

    /// Longest life of an access token that may still be in use.
    pub(super) fn max_access_lifetime(&self) -> Duration {
        self.max_access_lifetime.unwrap_or(MAX_ACCESS_LIFETIME)
    }

    /// Returns the maximum age of access tokens for which ended sessions are kept in memory. For an
    /// older token the store is asked.
    pub(super) fn remembered(&self, rings: &Rings) -> Duration {
        let is_set = self.max_access_lifetime.is_some() || rings.access_ring_sets_longest;
        let longest = if is_set { rings.max_access_lifetime } else { in_whole_seconds(self.access_lifetime) };
        longest.saturating_add(self.leeway)
    }

    /// Returns the maximum time after its expiry at which a node may still accept a token, by the
    /// clock of any node.
    pub(super) fn clock_tolerance(&self) -> Duration {
        self.leeway.saturating_add(CLOCK_SKEW)
    }

    /// Returns the issuer and the verifier of tokens. Call it after the check.
    pub(super) fn into_parts(self, keys: Rings, max_access_bytes: usize) -> TokenParts<U> {
        let issuer = self.issuer.unwrap_or_default();
        let audience = self.audience.unwrap_or_else(|| issuer.clone());
        let usual_cache = if keys.access.is_asymmetric() { TOKEN_CACHE_BYTES } else { 0 };
        TokenParts {
            verifier: Verifier {
                cache: TokenCache::new(self.cache_bytes.unwrap_or(usual_cache)),
                profile: Profile {
                    issuer: issuer.clone(),
                    audience: audience.clone(),
                    leeway: self.leeway,
                    max_access_lifetime: keys.max_access_lifetime,
                    not_before: self.not_before,
                    custom_claims: self.custom_claims.is_some(),
                },
            },
            issuer: Issuer {
                issuer,
                client_id: audience.clone(),
                audience,
                access_lifetime: self.access_lifetime,
                max_access_bytes,
                access_keys: keys.access,
                refresh_keys: keys.refresh,
            },
            custom_claims: self.custom_claims,
        }
    }
}

/// What an `Auth` needs for its tokens.
pub(super) struct TokenParts<U: AuthUser> {
    pub(super) issuer: Issuer,
    pub(super) verifier: Verifier,
    pub(super) custom_claims: Option<CustomClaimsOf<U>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{builder::env::read_pairs, user::User};

    #[test]
    fn variables_reach_their_settings() {
        let mut settings = TokenSettings::<User>::default();
        let pairs =
            [("TOKEN_ISSUER", "https://example.com\r\n"), ("TOKEN_AUDIENCE", ""), ("ACCESS_TOKEN_EXPIRY", "5m")];
        assert_eq!(read_pairs(&pairs, |env| settings.read(env)), Vec::<String>::new());
        assert_eq!(settings.issuer.as_deref(), Some("https://example.com"));
        assert_eq!(settings.audience, None);
        assert_eq!(settings.access_lifetime, Duration::from_secs(300));
    }
}
