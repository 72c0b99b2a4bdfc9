//! How tokens are made.

use std::time::Duration;

use serde::Serialize;

use super::keys::Keys;
use crate::{
    clock::Timestamp,
    error::Error,
    secret::Secret,
    session::{Session, TokenId},
    user::UserId,
};

/// Makes both kinds of token.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// RFC 9068 §2.2 requires it; there is one client here, the app itself.
    pub(crate) client_id: String,
    pub(crate) access_lifetime: Duration,
    /// The longest access token that clients can keep, in bytes.
    pub(crate) max_access_bytes: usize,
    pub(crate) access_keys: Keys,
    pub(crate) refresh_keys: Keys,
}

/// A token and when it expires.
#[derive(Clone, Debug)]
pub(crate) struct IssuedToken {
    pub(crate) token: Secret<String>,
    pub(crate) expires_at: Timestamp,
}

/// What an access token is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessToken<'a> {
    pub(crate) session: &'a Session,
    pub(crate) roles: &'a [&'a str],
    /// The app's own claims: members without braces, no name of ours among them.
    pub(crate) custom: &'a str,
}

#[derive(Serialize)]
struct AccessPayload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    exp: i64,
    iat: i64,
    jti: String,
    auth_time: i64,
    sid: String,
    ver: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [&'a str],
}

#[derive(Serialize)]
struct RefreshPayload<'a> {
    iss: &'a str,
    sub: &'a str,
    sid: String,
    r#gen: u64,
    jti: String,
    iat: i64,
    exp: i64,
}

/// The most that a signature adds to a token: RSA with 4,096 bits, in base64url, and its dot.
const MAX_SIGNATURE_CHARS: usize = 684;

/// Room for our claims with a name and an issuer of usual length.
const USUAL_PAYLOAD_BYTES: usize = 512;

impl Issuer {
    /// Whether access tokens with these roles and claims are short enough to be kept; asked before a session moves, so that
    /// a token that cannot be delivered costs nobody theirs.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where they are not.
    pub(crate) fn check_size(&self, user: &UserId, roles: &[&str], custom: &str) -> Result<(), Error> {
        let id = "x".repeat(22);
        let payload = AccessPayload {
            iss: &self.issuer,
            sub: subject(user)?,
            aud: &self.audience,
            client_id: &self.client_id,
            exp: i64::MAX,
            iat: i64::MAX,
            jti: id.clone(),
            auth_time: i64::MAX,
            sid: id,
            ver: u64::MAX,
            roles,
        };
        let payload = serde_json::to_vec(&payload).map_err(Error::internal)?.len() + custom.len() + 1;
        let longest = self.access_keys.header_chars() + 1 + payload.div_ceil(3) * 4 + MAX_SIGNATURE_CHARS;
        if longest <= self.max_access_bytes {
            return Ok(());
        }
        Err(Error::internal(
            "the access token is longer than clients can keep: use fewer roles and claims, or delivery in the body",
        ))
    }

    /// An access token of the session, issued at `now`; it never outlives the session's absolute expiry.
    pub(crate) fn access(&self, token: &AccessToken<'_>, now: Timestamp) -> Result<IssuedToken, Error> {
        let session = token.session;
        let iat = now.as_secs();
        // `NumericDate`s are whole seconds: a lifetime below one still buys a token that can be used once.
        let lifetime = self.access_lifetime.as_millis().div_ceil(1000);
        let exp =
            iat.saturating_add(i64::try_from(lifetime).unwrap_or(i64::MAX)).min(session.absolute_expires_at.as_secs());
        let payload = AccessPayload {
            iss: &self.issuer,
            sub: subject(&session.user_id)?,
            aud: &self.audience,
            client_id: &self.client_id,
            exp,
            iat,
            jti: TokenId::random()?.encode(),
            // Sessions go by the clock that nodes share, tokens by the node's own, which may be behind.
            auth_time: session.auth_time.as_secs().min(iat),
            sid: session.id.encode(),
            ver: session.token_version,
            roles: token.roles,
        };
        sign(&self.access_keys, &payload, token.custom, exp)
    }

    /// An access token that says whatever it is told: for tests.
    #[cfg(feature = "testing")]
    pub(crate) fn access_of(&self, payload: &impl Serialize) -> Result<String, Error> {
        let payload = serde_json::to_vec(payload).map_err(Error::internal)?;
        self.access_keys.sign(&payload).map_err(Error::internal)
    }

    /// The session's current refresh token; made again, it differs from the first in `iat` at most.
    pub(crate) fn refresh(&self, session: &Session, now: Timestamp) -> Result<IssuedToken, Error> {
        let iat = now.as_secs();
        let expires = session.expires_at.min(session.absolute_expires_at);
        // Rounded down, so that the token never outlives the record; but a lifetime below a second is not none.
        let exp = expires.as_secs().max(iat.saturating_add(1));
        let payload = RefreshPayload {
            iss: &self.issuer,
            sub: subject(&session.user_id)?,
            sid: session.id.encode(),
            r#gen: session.generation,
            jti: session.token_id.encode(),
            iat,
            exp,
        };
        sign(&self.refresh_keys, &payload, "", exp)
    }
}

fn subject(user: &UserId) -> Result<&str, Error> {
    let id = user.as_str();
    if UserId::fits(id) { Ok(id) } else { Err(Error::internal("the user's id has no or more than 256 bytes")) }
}

fn sign(keys: &Keys, payload: &impl Serialize, custom: &str, exp: i64) -> Result<IssuedToken, Error> {
    // What most take, so that it need not grow.
    let mut json = Vec::with_capacity(USUAL_PAYLOAD_BYTES + custom.len());
    serde_json::to_writer(&mut json, payload).map_err(Error::internal)?;
    if !custom.is_empty() {
        json.pop();
        json.push(b',');
        json.extend_from_slice(custom.as_bytes());
        json.push(b'}');
    }
    let token = keys.sign(&json).map_err(Error::internal)?;
    Ok(IssuedToken { token: Secret::new(token), expires_at: Timestamp::from_secs(exp) })
}
