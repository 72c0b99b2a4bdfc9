//! [`LoginOutcome`]: what a login leads to.

use std::fmt;

use super::tokens::TokenPair;
use crate::user::AuthUser;

/// What a login leads to.
///
/// So far every login is [`Complete`](Self::Complete). A variant for users who have a second factor comes with that
/// feature, so match with a `_` that grants nothing.
///
/// # Examples
///
/// ```
/// use portcullis::auth::LoginOutcome;
///
/// # fn answer(outcome: LoginOutcome<portcullis::User>) -> String {
/// match outcome {
///     LoginOutcome::Complete(logged_in) => logged_in.tokens.access_token.expose().clone(),
///     _ => "one more step is needed".to_owned(),
/// }
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum LoginOutcome<U> {
    /// The user is logged in.
    Complete(LoggedIn<U>),
}

impl<U> LoginOutcome<U> {
    /// Returns the user and the tokens, or `None` where the login needs one more step.
    pub fn into_logged_in(self) -> Option<LoggedIn<U>> {
        match self {
            Self::Complete(logged_in) => Some(logged_in),
        }
    }
}

impl<U: AuthUser> fmt::Debug for LoginOutcome<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete(logged_in) => f.debug_tuple("Complete").field(logged_in).finish(),
        }
    }
}

/// A user and the tokens of their session.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoggedIn<U> {
    /// The user, as read from the store.
    pub user: U,
    /// The session's current pair.
    pub tokens: TokenPair,
}

/// Names the user by id only, because an app's own `Debug` may print the password hash.
impl<U: AuthUser> fmt::Debug for LoggedIn<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedIn").field("user", &self.user.id()).field("tokens", &self.tokens).finish()
    }
}
