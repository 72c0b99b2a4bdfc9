//! The verification of another issuer's tokens (RFC 8725).
//!
//! Another issuer may order the members of a header as it likes, so the header has to be parsed. It
//! names a key of the set and never brings one.

use std::{borrow::Cow, fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, Visitor},
};

use super::{
    claims::{ForeignClaims, ReadClaims},
    keys::ForeignKeys,
};
use crate::{
    clock::Timestamp,
    token::{
        Audience, MAX_CLOCK_SKEW, MAX_NUMERIC_DATE, Roles, Segments, TokenFault, contradict, keys::Algorithm,
        names_are_unique, object, present,
    },
};

/// What the tokens of the issuer must say.
#[derive(Debug)]
pub(super) struct ForeignProfile {
    pub(super) issuer: String,
    pub(super) audience: String,
    /// The accepted `typ`s, in lower case and without `application/`.
    pub(super) types: Vec<String>,
    pub(super) leeway: Duration,
    pub(super) max_lifetime: Duration,
}

/// The members of a header that are read. `jwk`, `jku`, `x5c` and `x5u`, which would bring a key,
/// are skipped, unread.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    kid: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    typ: Option<Cow<'a, str>>,
    /// Extensions that a verifier must understand (RFC 7515 §4.1.11). This one understands none.
    crit: Option<IgnoredAny>,
    b64: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    aud: Audience<'a>,
    exp: FractionalDate,
    #[serde(default, deserialize_with = "present")]
    iat: Option<FractionalDate>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<FractionalDate>,
    #[serde(borrow, default, deserialize_with = "present")]
    jti: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    client_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    scope: Option<Cow<'a, str>>,
    #[serde(default)]
    roles: Roles,
}

/// Seconds since 1970: not negative, before the year 10000, with or without a fraction (RFC 7519
/// §2).
///
/// Each use takes the rounding that accepts fewer tokens: the floor of an expiry, the ceiling of a
/// beginning.
#[derive(Clone, Copy)]
struct FractionalDate {
    floor: Timestamp,
    ceil: Timestamp,
}

impl<'de> Deserialize<'de> for FractionalDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;
        impl Visitor<'_> for Seconds {
            type Value = FractionalDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since 1970")
            }

            fn visit_u64<E: de::Error>(self, secs: u64) -> Result<FractionalDate, E> {
                date(secs, secs).ok_or_else(|| E::custom("not a date"))
            }

            fn visit_f64<E: de::Error>(self, secs: f64) -> Result<FractionalDate, E> {
                // Refuses what is negative, too large and not a number.
                let since = Duration::try_from_secs_f64(secs).map_err(E::custom)?;
                let floor = since.as_secs();
                let ceil = floor.saturating_add(u64::from(since.subsec_nanos() > 0));
                date(floor, ceil).ok_or_else(|| E::custom("not a date"))
            }
        }
        fn date(floor: u64, ceil: u64) -> Option<FractionalDate> {
            let at = |secs| i64::try_from(secs).ok().filter(|_| secs <= MAX_NUMERIC_DATE).map(Timestamp::from_secs);
            Some(FractionalDate { floor: at(floor)?, ceil: at(ceil)? })
        }
        deserializer.deserialize_any(Seconds)
    }
}

impl ForeignProfile {
    /// Verifies a token under one of the keys.
    ///
    /// # Errors
    /// [`TokenFault::Expired`] for a token with no other fault, and [`TokenFault::Invalid`].
    pub(super) fn verify(&self, keys: &ForeignKeys, token: &[u8], now: Timestamp) -> Result<ForeignClaims, TokenFault> {
        let payload = self.signed_payload(keys, token).ok_or(TokenFault::Invalid)?;
        let claims: Payload<'_> = object(&payload)?;
        let expires_at = claims.exp.floor;
        let begins = claims.iat.map_or(now, |iat| iat.floor);
        let issued_at = claims.iat.map(|iat| iat.ceil);
        let not_before = claims.nbf.map(|nbf| nbf.ceil);
        let ahead = now.plus(MAX_CLOCK_SKEW);
        let too_early = [issued_at, not_before].into_iter().flatten().any(|moment| moment > ahead);
        if claims.iss != self.issuer
            || !claims.aud.contains(&self.audience)
            || claims.sub.is_empty()
            || expires_at.since(begins) > self.max_lifetime
            || too_early
            || contradict(issued_at.unwrap_or(Timestamp::EPOCH), not_before, expires_at)
            || !names_are_unique(&payload)
        {
            return Err(TokenFault::Invalid);
        }
        if now >= expires_at.plus(self.leeway) {
            return Err(TokenFault::Expired);
        }
        let mut read = ReadClaims {
            issuer: claims.iss.into(),
            subject: claims.sub.into(),
            expires_at,
            issued_at,
            token_id: claims.jti.map(Into::into),
            client_id: claims.client_id.map(Into::into),
            scope: claims.scope.map(Into::into),
            roles: claims.roles,
            payload: Vec::new(),
        };
        read.payload = payload;
        Ok(ForeignClaims::new(read))
    }

    fn signed_payload(&self, keys: &ForeignKeys, token: &[u8]) -> Option<Vec<u8>> {
        let segments = Segments::split(token)?;
        let json = URL_SAFE_NO_PAD.decode(segments.header).ok()?;
        let (algorithm, kid) = self.named_key(&json)?;
        let key = keys.find(algorithm, kid.as_deref())?;
        segments.payload(|message, signature| key.verifies(message, signature))
    }

    /// Returns the algorithm and the name of the key in a header, if the header is acceptable.
    fn named_key<'a>(&self, json: &'a [u8]) -> Option<(Algorithm, Option<Cow<'a, str>>)> {
        let header: Header<'_> = object(json).ok()?;
        let extended = [header.crit, header.b64, header.zip, header.enc].iter().any(Option::is_some);
        if extended || !names_are_unique(json) || !self.accepts_type(header.typ.as_deref()) {
            return None;
        }
        let algorithm = Algorithm::parse(&header.alg).filter(|algorithm| algorithm.is_asymmetric())?;
        Some((algorithm, header.kid))
    }

    /// Returns whether a token names a key that is not in the set. A token without a name does not.
    #[cfg(feature = "jwks_url")]
    pub(super) fn names_unknown_key(&self, keys: &ForeignKeys, token: &[u8]) -> bool {
        let Some(segments) = Segments::split(token) else { return false };
        let json = URL_SAFE_NO_PAD.decode(segments.header).unwrap_or_default();
        self.named_key(&json)
            .is_some_and(|(algorithm, kid)| kid.is_some() && keys.find(algorithm, kid.as_deref()).is_none())
    }

    /// Compares without regard to case and to the prefix `application/` (RFC 7515 §4.1.9).
    fn accepts_type(&self, typ: Option<&str>) -> bool {
        let typ = typ.unwrap_or_default().to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        self.types.iter().any(|own| own == typ)
    }
}
