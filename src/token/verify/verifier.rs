//! [`Verifier`]: verifies the tokens that this service issues.

use std::{borrow::Cow, cell::Cell, time::Duration};

use serde::Deserialize;

use super::{
    fault::TokenFault,
    segments::{MAX_TOKEN_BYTES, Segments},
    strict_json::{Audience, NumericDate, object, present},
    times::{MAX_CLOCK_SKEW, Times, contradict},
};
use crate::{
    clock::Timestamp,
    token::{
        cache::{Known, TokenCache},
        claims::{AccessClaims, Claims, Payload, RefreshClaims},
        custom_claims,
        keys::{Keys, verifies_at},
        roles::Roles,
    },
    user::UserId,
};

/// Whether an expired token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Checked,
    /// For logouts, which an expired token may do.
    Ignored,
}

/// What the claims are compared with.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// How long after its `exp` a token stays valid.
    pub(crate) leeway: Duration,
    /// The longest `exp - iat` that an access token of this service ever had.
    pub(crate) max_access_lifetime: Duration,
    /// Tokens issued before this moment are refused.
    pub(crate) not_before: Option<Timestamp>,
    /// Whether the app has custom claims. Their names must be unique then, and the payload is kept.
    pub(crate) custom_claims: bool,
}

#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) profile: Profile,
    /// The valid access tokens that were seen.
    pub(crate) cache: Option<TokenCache>,
}

#[derive(Deserialize)]
struct AccessPayload<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    aud: Audience<'a>,
    exp: NumericDate,
    iat: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    ver: u64,
    #[serde(default, deserialize_with = "present")]
    auth_time: Option<NumericDate>,
    #[serde(default)]
    roles: Roles,
}

#[derive(Deserialize)]
struct RefreshPayload<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    r#gen: u64,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    exp: NumericDate,
    iat: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
}

impl Verifier {
    /// Verifies an access token.
    pub(crate) fn access(
        &self,
        keys: &Keys,
        token: &[u8],
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<Claims, TokenFault> {
        // A logout accepts expired tokens, which the cache must not keep.
        let may_be_cached = expiry == Expiry::Checked && token.len() <= MAX_TOKEN_BYTES;
        let cache = self.cache.as_ref().filter(|_| may_be_cached);
        if let Some(cache) = cache
            && let Some(known) = cache.get(token)
        {
            return self.recheck(&known, now).inspect_err(|_| cache.remove(token));
        }
        let mut payload = SCRATCH.take();
        payload.clear();
        let key_until = signed_payload(keys, token, now, &mut payload)?;
        let claims: AccessPayload<'_> = object(&payload)?;
        let audience_matches = claims.aud.contains(&self.profile.audience);
        let lifetime = claims.exp.at().since(claims.iat.at());
        if claims.iss != self.profile.issuer
            || !audience_matches
            || !UserId::fits(&claims.sub)
            || claims.jti.is_empty()
            || lifetime > self.profile.max_access_lifetime
        {
            return Err(TokenFault::Invalid);
        }
        if self.profile.custom_claims && !custom_claims::names_are_unique(&payload) {
            return Err(TokenFault::Invalid);
        }
        let auth_time = claims.auth_time.map(NumericDate::at);
        if auth_time.is_some_and(|at| at > now.plus(MAX_CLOCK_SKEW)) {
            return Err(TokenFault::Invalid);
        }
        let session_id = claims.sid.parse().map_err(|_| TokenFault::Invalid)?;
        let times = Times {
            issued_at: claims.iat.at(),
            not_before: claims.nbf.map(NumericDate::at),
            expires_at: claims.exp.at(),
        };
        self.times(times, now, expiry)?;
        let mut claims = AccessClaims {
            subject: UserId::from(&*claims.sub),
            session_id,
            token_version: claims.ver,
            roles: claims.roles,
            auth_time,
            issued_at: claims.iat.at(),
            expires_at: claims.exp.at(),
            token_id: (*claims.jti).into(),
            payload: None,
        };
        if self.profile.custom_claims {
            claims.payload = Some(Payload(payload));
        } else {
            SCRATCH.set(payload);
        }
        let claims = Claims::new(claims);
        if let Some(cache) = cache {
            cache.insert(token, Known { claims: claims.clone(), times, key_until });
        }
        Ok(claims)
    }

    /// Checks again what may have changed since the token was found valid.
    fn recheck(&self, known: &Known, now: Timestamp) -> Result<Claims, TokenFault> {
        if !verifies_at(known.key_until, now) {
            return Err(TokenFault::Invalid);
        }
        self.times(known.times, now, Expiry::Checked)?;
        Ok(known.claims.clone())
    }

    /// Verifies a refresh token.
    pub(crate) fn refresh(
        &self,
        keys: &Keys,
        token: &str,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<RefreshClaims, TokenFault> {
        let mut payload = Vec::new();
        signed_payload(keys, token.as_bytes(), now, &mut payload)?;
        let claims: RefreshPayload<'_> = object(&payload)?;
        if claims.iss != self.profile.issuer || !UserId::fits(&claims.sub) {
            return Err(TokenFault::Invalid);
        }
        let session_id = claims.sid.parse().map_err(|_| TokenFault::Invalid)?;
        let token_id = claims.jti.parse().map_err(|_| TokenFault::Invalid)?;
        let times = Times {
            issued_at: claims.iat.at(),
            not_before: claims.nbf.map(NumericDate::at),
            expires_at: claims.exp.at(),
        };
        self.times(times, now, expiry)?;
        Ok(RefreshClaims { subject: UserId::from(&*claims.sub), session_id, generation: claims.r#gen, token_id })
    }

    /// Checks the times. The expiry is checked last, so that a token is reported as expired only if
    /// it has no other fault.
    fn times(&self, times: Times, now: Timestamp, expiry: Expiry) -> Result<(), TokenFault> {
        let Times { issued_at, not_before, expires_at } = times;
        let profile = &self.profile;
        let ahead = now.plus(MAX_CLOCK_SKEW);
        let too_early = issued_at > ahead || not_before.is_some_and(|moment| moment > ahead);
        let too_old = profile.not_before.is_some_and(|limit| issued_at < limit);
        if too_early || too_old || contradict(issued_at, not_before, expires_at) {
            return Err(TokenFault::Invalid);
        }
        // A token that ends when it begins was never valid. A leeway does not make it valid.
        let never_valid = expires_at == issued_at;
        if expiry == Expiry::Checked && (never_valid || now >= expires_at.plus(profile.leeway)) {
            return Err(TokenFault::Expired);
        }
        Ok(())
    }
}

thread_local! {
    /// The buffer into which a thread decodes access tokens. A refused token frees it.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Writes the payload of a token that one of the keys has signed. Returns when that key stops
/// verifying.
fn signed_payload(
    keys: &Keys,
    token: &[u8],
    now: Timestamp,
    payload: &mut Vec<u8>,
) -> Result<Option<Timestamp>, TokenFault> {
    let segments = Segments::split(token).ok_or(TokenFault::Invalid)?;
    let key = keys.key_of(segments.header, now).ok_or(TokenFault::Invalid)?;
    let is_valid = segments.payload_into(payload, |message, signature| key.verify(message, signature));
    if is_valid { Ok(key.until()) } else { Err(TokenFault::Invalid) }
}
