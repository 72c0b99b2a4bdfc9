//! Issues tokens.

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

/// Issues both kinds of token.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// RFC 9068 §2.2 requires it. The only client here is the app itself.
    pub(crate) client_id: String,
    pub(crate) access_lifetime: Duration,
    /// The longest access token that clients can keep, in bytes.
    pub(crate) max_access_bytes: usize,
    pub(crate) access_keys: Keys,
    pub(crate) refresh_keys: Keys,
}

/// A token and its expiry.
#[derive(Clone, Debug)]
pub(crate) struct IssuedToken {
    pub(crate) token: Secret<String>,
    pub(crate) expires_at: Timestamp,
}

/// What an access token contains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessToken<'a> {
    pub(crate) session: &'a Session,
    pub(crate) roles: &'a [&'a str],
    /// The custom claims: the members of an object without its braces. None has a reserved name.
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

/// The largest part of a token that is signature: that of an RSA key with 4,096 bits in base64url,
/// and the dot before it.
const MAX_SIGNATURE_CHARS: usize = 684;

/// Enough for our claims if the user's id and the issuer have usual lengths.
const USUAL_PAYLOAD_BYTES: usize = 512;

impl Issuer {
    /// Checks that clients can keep an access token with these roles and claims. This is checked
    /// before a session rotates, so that a token that cannot be delivered does not cost the user
    /// the session.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the token is too long.
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

    /// Issues an access token of the session at `now`. It never outlives the session's absolute
    /// expiry.
    pub(crate) fn access(&self, token: &AccessToken<'_>, now: Timestamp) -> Result<IssuedToken, Error> {
        let session = token.session;
        let iat = now.as_secs();
        // A `NumericDate` has whole seconds. The lifetime is rounded up, so that a token with a
        // lifetime below a second can be used.
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
            // The time of the session comes from the clock that nodes share. The clock of this node
            // may be behind it.
            auth_time: session.auth_time.as_secs().min(iat),
            sid: session.id.encode(),
            ver: session.token_version,
            roles: token.roles,
        };
        sign(&self.access_keys, &payload, token.custom, exp)
    }

    /// Signs any claims as an access token, for tests.
    #[cfg(feature = "testing")]
    pub(crate) fn access_of(&self, payload: &impl Serialize) -> Result<String, Error> {
        let payload = serde_json::to_vec(payload).map_err(Error::internal)?;
        self.access_keys.sign(&payload).map_err(Error::internal)
    }

    /// Issues the session's current refresh token. A repeated token differs from the first one only
    /// in `iat`.
    pub(crate) fn refresh(&self, session: &Session, now: Timestamp) -> Result<IssuedToken, Error> {
        let iat = now.as_secs();
        let expires = session.expires_at.min(session.absolute_expires_at);
        // Rounded down, so that the token never outlives the record, but to no less than a second.
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
    if UserId::fits(id) { Ok(id) } else { Err(Error::internal("the id of the user must have 1 to 256 bytes")) }
}

fn sign(keys: &Keys, payload: &impl Serialize, custom: &str, exp: i64) -> Result<IssuedToken, Error> {
    // Enough for most tokens, so that the buffer need not grow.
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
