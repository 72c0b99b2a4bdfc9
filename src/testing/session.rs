//! A user who is signed in, as a client holds it.

use std::fmt;

use http::HeaderValue;

use super::TokenDraft;
use crate::{
    auth::{Auth, ClientInfo, LoginOutcome, TokenPair},
    error::Error,
    session::SessionId,
    user::AuthUser,
};

/// A user who is signed in: their tokens, and the headers that carry them.
///
/// A real session of [`Auth::start_session`], so it rotates and ends as any other. It works with every `Auth`:
///
/// ```
/// # use portcullis::{Auth, Error, User, testing::TestSession};
/// async fn page_of(auth: &Auth<User>, user: &User) -> Result<http::Request<()>, Box<dyn std::error::Error>> {
///     let session = TestSession::start(auth, user).await?;
///     Ok(http::Request::get("/inbox").header("cookie", session.cookies()).body(())?)
/// }
/// ```
#[derive(Clone)]
pub struct TestSession<U: AuthUser> {
    auth: Auth<U>,
    tokens: TokenPair,
    bearer: HeaderValue,
    cookies: HeaderValue,
}

impl<U: AuthUser> TestSession<U> {
    /// Signs a user in, without their password.
    ///
    /// # Errors
    /// As of [`Auth::start_session`].
    pub async fn start(auth: &Auth<U>, user: &U) -> Result<Self, Error> {
        match auth.start_session(user, &ClientInfo::unknown()).await? {
            LoginOutcome::Complete(logged_in) => Self::of(auth, logged_in.tokens),
        }
    }

    /// The tokens that some other flow gave, such as a login with a password.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) for tokens that are no text of ours.
    pub fn of(auth: &Auth<U>, tokens: TokenPair) -> Result<Self, Error> {
        let names = &auth.0.http.cookies;
        let (access, refresh) = (tokens.access_token.expose(), tokens.refresh_token.expose());
        let cookies = format!("{}={access}; {}={refresh}", names.access.name(), names.refresh.name());
        let (bearer, cookies) = (bearer(access)?, header(&cookies)?);
        Ok(Self { auth: auth.clone(), tokens, bearer, cookies })
    }

    /// The value of an `Authorization` header.
    pub fn bearer(&self) -> HeaderValue {
        self.bearer.clone()
    }

    /// The value of a `Cookie` header with both tokens, as a browser sends it to `/`.
    ///
    /// A request without `Origin` and `Sec-Fetch-Site` passes for one of the same site, unless the app is
    /// [strict](crate::AuthBuilder::strict_cross_site).
    pub fn cookies(&self) -> HeaderValue {
        self.cookies.clone()
    }

    /// The access token.
    pub fn access_token(&self) -> &str {
        self.tokens.access_token.expose()
    }

    /// The refresh token.
    pub fn refresh_token(&self) -> &str {
        self.tokens.refresh_token.expose()
    }

    /// Both, with their times.
    pub fn tokens(&self) -> &TokenPair {
        &self.tokens
    }

    /// Which session it is.
    pub fn id(&self) -> SessionId {
        self.tokens.session_id
    }

    /// The next pair of the session.
    ///
    /// # Errors
    /// As of [`Auth::refresh`].
    pub async fn refresh(&self) -> Result<Self, Error> {
        Self::of(&self.auth, self.auth.refresh(self.refresh_token(), &ClientInfo::unknown()).await?.tokens)
    }

    /// Another access token of the session, to be changed before it is signed.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) for a session on an [`Auth`] that no
    /// [`TestAuth`](super::TestAuth) made, whose keys may be real, and for a token that is none of ours.
    pub fn draft(&self) -> Result<TokenDraft<U>, Error> {
        TokenDraft::of(&self.auth, self.access_token())
    }
}

/// Without the tokens.
impl<U: AuthUser> fmt::Debug for TestSession<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSession").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

pub(super) fn bearer(token: &str) -> Result<HeaderValue, Error> {
    header(&format!("Bearer {token}"))
}

fn header(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
