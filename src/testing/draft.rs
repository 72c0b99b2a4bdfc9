//! [`TokenDraft`]: access tokens with the claims that a test needs.

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use serde::Serialize;
use serde_json::{Map, Value};

use super::header;
use crate::{auth::Auth, error::Error, user::AuthUser};

/// An access token before it is signed with the key of a [`TestAuth`](super::TestAuth).
/// [`TestSession::draft`](super::TestSession::draft) makes one.
///
/// # Examples
///
/// ```
/// # use portcullis::{ErrorKind, auth::Check, testing::TestAuth};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let test = TestAuth::new()?;
/// # let ada = test.user("ada@example.com").create().await?;
/// let session = test.login(&ada).await?;
/// let editor = session.draft()?.claim("roles", ["editor"]).token()?;
/// let expired = session.draft()?.expired().token()?;
/// let elsewhere = session.draft()?.claim("iss", "https://elsewhere.example").token()?;
///
/// let auth = test.auth();
/// assert!(auth.authenticate(&editor, Check::Stateless).await?.claims.has_role("editor"));
/// let refused = auth.authenticate(&expired, Check::Stateless).await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::TokenExpired);
/// let refused = auth.authenticate(&elsewhere, Check::Stateless).await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::TokenInvalid);
/// # Ok(()) }
/// ```
#[must_use = "`token` and `bearer` sign it"]
pub struct TokenDraft<U: AuthUser> {
    auth: Auth<U>,
    claims: Map<String, Value>,
    problem: Option<serde_json::Error>,
}

impl<U: AuthUser> TokenDraft<U> {
    pub(super) fn of(auth: &Auth<U>, token: &str) -> Result<Self, Error> {
        // The keys of another `Auth` may be those of a running service.
        if !auth.0.for_tests {
            return Err(Error::internal("a draft needs the `Auth` of a `TestAuth`: no other `Auth` signs drafts"));
        }
        let payload = token.split('.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(Error::internal)?;
        let claims = serde_json::from_slice(&payload).map_err(Error::internal)?;
        Ok(Self { auth: auth.clone(), claims, problem: None })
    }

    /// Sets a claim: a registered one, such as `exp`, or one of the app's.
    pub fn claim(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => drop(self.claims.insert(name.into(), value)),
            Err(problem) => self.problem = Some(problem),
        }
        self
    }

    /// Removes a claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets `iat` to 2 min ago and `exp` to 1 min ago, which is longer than every leeway.
    pub fn expired(self) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        let expired = self.auth.now().minus(MINUTE);
        self.claim("iat", expired.minus(MINUTE).as_secs()).claim("exp", expired.as_secs())
    }

    /// Signs the token.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if a claim cannot be written as JSON.
    pub fn token(self) -> Result<String, Error> {
        match self.problem {
            Some(problem) => Err(Error::internal(problem)),
            None => self.auth.0.issuer.access_of(&self.claims),
        }
    }

    /// Signs the token and returns it as the value of an `Authorization` header.
    ///
    /// # Errors
    /// The same as for [`token`](Self::token).
    pub fn bearer(self) -> Result<HeaderValue, Error> {
        header::bearer(&self.token()?)
    }
}

/// Shows only the names of the claims, because the values describe a user.
impl<U: AuthUser> fmt::Debug for TokenDraft<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.claims.keys()).finish()
    }
}
