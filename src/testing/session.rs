//! [`TestSession`]: a session as a client holds it.

use std::fmt;

use http::HeaderValue;

use super::{TokenDraft, header};
use crate::{
    auth::{Auth, ClientInfo, LoginOutcome, TokenPair},
    error::Error,
    session::SessionId,
    user::AuthUser,
};

/// The tokens of a logged-in user, and the headers that carry them.
///
/// It is a real session of [`Auth::start_session`] that rotates and ends like any other. It works
/// with every `Auth`.
///
/// # Examples
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
    /// Logs a user in without a password.
    ///
    /// # Errors
    /// The same as for [`Auth::start_session`].
    pub async fn start(auth: &Auth<U>, user: &U) -> Result<Self, Error> {
        match auth.start_session(user, &ClientInfo::unknown()).await? {
            LoginOutcome::Complete(logged_in) => Self::of(auth, logged_in.tokens),
        }
    }

    /// Makes one of the tokens that another flow returned, such as a login with a password.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the tokens do not fit into a header.
    pub fn of(auth: &Auth<U>, tokens: TokenPair) -> Result<Self, Error> {
        let names = &auth.0.http.cookies;
        let (access, refresh) = (tokens.access_token.expose(), tokens.refresh_token.expose());
        let cookies = format!("{}={access}; {}={refresh}", names.access.name(), names.refresh.name());
        let (bearer, cookies) = (header::bearer(access)?, header::sensitive(&cookies)?);
        Ok(Self { auth: auth.clone(), tokens, bearer, cookies })
    }

    /// Returns the value of an `Authorization` header.
    pub fn bearer(&self) -> HeaderValue {
        self.bearer.clone()
    }

    /// Returns the value of a `Cookie` header with both tokens, as a browser sends it to `/`.
    ///
    /// The cross-site check accepts a request without `Origin` and `Sec-Fetch-Site`, unless the app
    /// sets [`strict_cross_site`](crate::AuthBuilder::strict_cross_site).
    pub fn cookies(&self) -> HeaderValue {
        self.cookies.clone()
    }

    /// Returns the access token.
    pub fn access_token(&self) -> &str {
        self.tokens.access_token.expose()
    }

    /// Returns the refresh token.
    pub fn refresh_token(&self) -> &str {
        self.tokens.refresh_token.expose()
    }

    /// Returns both tokens with their times.
    pub fn tokens(&self) -> &TokenPair {
        &self.tokens
    }

    /// Returns the id of the session.
    pub fn id(&self) -> SessionId {
        self.tokens.session_id
    }

    /// Refreshes the session and returns it with the next tokens.
    ///
    /// # Errors
    /// The same as for [`Auth::refresh`].
    pub async fn refresh(&self) -> Result<Self, Error> {
        Self::of(&self.auth, self.auth.refresh(self.refresh_token(), &ClientInfo::unknown()).await?.tokens)
    }

    /// Begins another access token of the session, to change it before it is signed.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the [`Auth`] is not that of a
    /// [`TestAuth`](super::TestAuth), because its keys may be real, and if the token is not one of
    /// this crate's.
    pub fn draft(&self) -> Result<TokenDraft<U>, Error> {
        TokenDraft::of(&self.auth, self.access_token())
    }
}

/// Does not show the tokens.
impl<U: AuthUser> fmt::Debug for TestSession<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSession").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}
