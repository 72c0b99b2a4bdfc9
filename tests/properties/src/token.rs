//! Tokens as clients have them. Clients cannot read them, but a test reads the payload and forges
//! tokens.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use portcullis::{auth::TokenPair, clock::Timestamp};
use proptest::prelude::*;
use serde_json::Value;
use sha2::Sha256;

/// The refresh secret of every node of every schedule. It is known here to forge what only a leaked
/// key could make.
pub(crate) const REFRESH_SECRET: &str = "Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs";

/// The id of a session, as tokens write it.
pub type Sid = String;

/// A refresh token and its claims.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    pub text: String,
    pub sid: Sid,
    pub generation: u64,
    pub jti: String,
    pub issued: Timestamp,
    pub expires: Timestamp,
}

/// An access token and its claims.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    pub text: String,
    pub sid: Sid,
    pub version: u64,
    pub issued: Timestamp,
    pub expires: Timestamp,
}

/// Both tokens, as one answer contains them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub refresh: RefreshToken,
    pub access: AccessToken,
}

// The text of the token is left out, because it does not help a reader of a failure.
impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken(session {}, generation {}, until {})", self.sid, self.generation, self.expires)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(session {}, version {}, until {})", self.sid, self.version, self.expires)
    }
}

impl Pair {
    /// Reads the tokens of an answer.
    ///
    /// # Panics
    /// Panics where the tokens do not agree with [`TokenPair`].
    pub fn of(tokens: &TokenPair) -> Self {
        let (refresh, access) = (tokens.refresh_token.expose(), tokens.access_token.expose());
        let (said, also_said) = (payload(refresh), payload(access));
        let pair = Self {
            refresh: RefreshToken {
                text: refresh.clone(),
                sid: text(&said, "sid"),
                generation: number(&said, "gen"),
                jti: text(&said, "jti"),
                issued: moment(&said, "iat"),
                expires: moment(&said, "exp"),
            },
            access: AccessToken {
                text: access.clone(),
                sid: text(&also_said, "sid"),
                version: number(&also_said, "ver"),
                issued: moment(&also_said, "iat"),
                expires: moment(&also_said, "exp"),
            },
        };
        assert_eq!(pair.refresh.expires, tokens.refresh_expires_at);
        assert_eq!(pair.access.expires, tokens.access_expires_at);
        assert_eq!((pair.refresh.sid.as_str(), &pair.access.sid), (&*tokens.session_id.encode(), &pair.refresh.sid));
        pair
    }
}

/// What is wrong with a forged token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// One character of the signature is wrong.
    Signature,
    /// The signature is valid, by a leaked key. The session never had the token id.
    TokenId,
    /// The signature is valid, by a leaked key. The generation is one ahead.
    Generation,
}

impl Forgery {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        prop_oneof![Just(Self::Signature), Just(Self::TokenId), Just(Self::Generation)]
    }

    /// Forges a token from a genuine one.
    pub fn of(self, genuine: &RefreshToken) -> RefreshToken {
        let mut forged = genuine.clone();
        match self {
            Self::Signature => forged.text = flipped(&genuine.text),
            Self::TokenId => {
                forged.jti = URL_SAFE_NO_PAD.encode([7; 16]);
                forged.text = resigned(&genuine.text, "jti", forged.jti.clone().into());
            }
            Self::Generation => {
                forged.generation += 1_000;
                forged.text = resigned(&genuine.text, "gen", forged.generation.into());
            }
        }
        forged
    }
}

fn flipped(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').expect("a token has three segments");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{message}.{first}{}", &signature[1..])
}

fn resigned(token: &str, claim: &str, value: Value) -> String {
    let header = token.split('.').next().expect("a token has a header");
    let mut claims = payload(token);
    claims[claim] = value;
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(REFRESH_SECRET.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn payload(token: &str) -> Value {
    let segment = token.split('.').nth(1).expect("a token has a payload");
    let bytes = URL_SAFE_NO_PAD.decode(segment).expect("a payload is base64url");
    serde_json::from_slice(&bytes).expect("a payload is JSON")
}

fn text(payload: &Value, claim: &str) -> String {
    payload[claim].as_str().expect("a claim that is a string").to_owned()
}

fn number(payload: &Value, claim: &str) -> u64 {
    payload[claim].as_u64().expect("a claim that is a number")
}

fn moment(payload: &Value, claim: &str) -> Timestamp {
    Timestamp::from_secs(payload[claim].as_i64().expect("a claim that is a date"))
}
