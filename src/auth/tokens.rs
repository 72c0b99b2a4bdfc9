//! [`TokenPair`], and how the tokens of a session are made.

use super::Auth;
use crate::{
    clock::Timestamp,
    error::Error,
    secret::Secret,
    session::{Session, SessionId},
    token::{AccessToken, Expiry},
    user::{AuthUser, UserId},
};

/// Access token and refresh token of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenPair {
    /// Access token. A client sends it as `Authorization: Bearer` with each request.
    pub access_token: Secret<String>,
    /// Expiry of the access token, in whole seconds, as its claim `exp`.
    pub access_expires_at: Timestamp,
    /// Refresh token. A client exchanges it for the next pair, with [`Auth::refresh`].
    pub refresh_token: Secret<String>,
    /// Expiry of the refresh token, in whole seconds, as its claim `exp`.
    pub refresh_expires_at: Timestamp,
    /// Time of issue, in milliseconds.
    pub issued_at: Timestamp,
    /// Session of both tokens.
    pub session_id: SessionId,
}

impl<U: AuthUser> Auth<U> {
    /// Makes the tokens of a session at its current generation, with the current roles of the user.
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

    /// Returns the custom claims of a user, after a check that they and the roles fit into a token.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if they do not fit, or if the app's
    /// function for custom claims fails.
    pub(super) fn check_token_content(&self, user: &U) -> Result<String, Error> {
        let custom = self.0.custom_claims.as_ref().map(|claims| claims(user)).transpose();
        let custom = custom.map_err(Error::internal)?.unwrap_or_default();
        self.0.issuer.check_size(&user.id(), &user.roles(), &custom)?;
        Ok(custom)
    }

    /// Returns the session of a refresh token that this service issued. The token may be of any
    /// generation, and may have expired.
    pub(super) fn session_of(&self, refresh_token: &str, now: Timestamp) -> Option<(UserId, SessionId)> {
        let keys = &self.0.issuer.refresh_keys;
        let claims = self.0.verifier.refresh(keys, refresh_token, now, Expiry::Ignored).ok()?;
        Some((claims.subject, claims.session_id))
    }
}
