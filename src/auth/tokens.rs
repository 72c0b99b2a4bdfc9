//! [`TokenPair`], and making the tokens of a session.

use super::Auth;
use crate::{
    clock::Timestamp,
    error::Error,
    secret::Secret,
    session::{Session, SessionId},
    token::{AccessToken, Expiry},
    user::{AuthUser, UserId},
};

/// A pair of tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenPair {
    /// The access token, to be sent as `Authorization: Bearer`.
    pub access_token: Secret<String>,
    /// When the access token expires, in whole seconds as its `exp`.
    pub access_expires_at: Timestamp,
    /// The refresh token, to be sent to get the next pair.
    pub refresh_token: Secret<String>,
    /// When the refresh token expires, in whole seconds as its `exp`.
    pub refresh_expires_at: Timestamp,
    /// When the pair was issued, in milliseconds.
    pub issued_at: Timestamp,
    /// The session that both belong to.
    pub session_id: SessionId,
}

impl<U: AuthUser> Auth<U> {
    /// Makes the pair of a session at its current generation, with the roles that the user has now.
    pub(super) fn tokens(&self, user: &U, session: &Session, now: Timestamp) -> Result<TokenPair, Error> {
        let custom = self.check_token_content(user)?;
        let access = self.0.issuer.access(&AccessToken { session, roles: &user.roles(), custom: &custom }, now)?;
        let refresh = self.0.issuer.refresh(session, now)?;
        Ok(TokenPair {
            access_token: access.token,
            access_expires_at: access.expires_at,
            refresh_token: refresh.token,
            refresh_expires_at: refresh.expires_at,
            issued_at: now,
            session_id: session.id,
        })
    }

    /// Returns the app's own claims of a user, once it is known that they and the roles fit into a token.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where they do not fit.
    pub(super) fn check_token_content(&self, user: &U) -> Result<String, Error> {
        let custom = self.0.custom_claims.as_ref().map(|claims| claims(user)).transpose();
        let custom = custom.map_err(Error::internal)?.unwrap_or_default();
        self.0.issuer.check_size(&user.id(), &user.roles(), &custom)?;
        Ok(custom)
    }

    /// Returns the session that a refresh token of ours belongs to, of any generation and also when it has expired.
    pub(super) fn session_of(&self, refresh_token: &str, now: Timestamp) -> Option<(UserId, SessionId)> {
        let keys = &self.0.issuer.refresh_keys;
        let claims = self.0.verifier.refresh(keys, refresh_token, now, Expiry::Ignored).ok()?;
        Some((claims.subject, claims.session_id))
    }
}
