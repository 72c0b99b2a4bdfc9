//! [`LoginOutcome`]: the result of a login.

use std::fmt;

use super::tokens::TokenPair;
use crate::user::AuthUser;

/// Result of a login that the server has accepted.
///
/// At present every login is [`Complete`](Self::Complete). A variant for users with a second factor
/// will be added with that feature, so match with a `_` that grants nothing.
///
/// # Examples
///
/// ```
/// use portcullis::{User, auth::LoginOutcome};
///
/// fn answer(outcome: LoginOutcome<User>) -> String {
///     match outcome {
///         LoginOutcome::Complete(logged_in) => logged_in.tokens.access_token.expose().clone(),
///         _ => "one more step is needed".to_owned(),
///     }
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum LoginOutcome<U> {
    /// The user is logged in.
    Complete(LoggedIn<U>),
}

impl<U> LoginOutcome<U> {
    /// Returns the user and the tokens. Returns `None` if the login needs one more step.
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

/// User, and the tokens of their session.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoggedIn<U> {
    /// User, as the store has them.
    pub user: U,
    /// Current tokens of the session.
    pub tokens: TokenPair,
}

/// Names the user by id only, because the `Debug` of an app's user type may print the password
/// hash.
impl<U: AuthUser> fmt::Debug for LoggedIn<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedIn").field("user", &self.user.id()).field("tokens", &self.tokens).finish()
    }
}
