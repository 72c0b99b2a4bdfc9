//! [`ErrorKind`]: the kinds of failures, with their stable codes and messages.

use std::fmt;

/// Kind of a failure. Each kind has a stable code, on which clients branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The body is not what its content type says, has wrong types or names a field twice.
    InvalidBody,
    /// A field is missing, blank, too short, too long, too common or malformed. See
    /// [`Error::fields`](crate::Error::fields).
    ValidationFailed,
    /// The request contradicts itself, for example by two `Authorization` headers.
    InvalidRequest,
    /// The login is unknown, the password is wrong, or the user is disabled. Deliberately one kind,
    /// so that the answer does not say which.
    InvalidCredentials,
    /// The request has no access token.
    TokenMissing,
    /// The access token was valid until its `exp`.
    TokenExpired,
    /// The access token is malformed, or this service did not issue it.
    TokenInvalid,
    /// The access token's session has ended, its token version is out of date, or its user is
    /// deleted or disabled.
    TokenRevoked,
    /// The request has no refresh token.
    RefreshMissing,
    /// This service did not issue the refresh token, or its session no longer exists.
    RefreshInvalid,
    /// The refresh token was valid until its `exp`.
    RefreshExpired,
    /// The refresh token was used before. Its session ends.
    RefreshReused,
    /// The access token is valid, but its user lacks the role.
    InsufficientRole,
    /// The access token is valid, but lacks the scope (RFC 6750 §3.1).
    InsufficientScope,
    /// The access token is valid, but the app's own condition refuses its claims.
    Forbidden,
    /// The current password given for a change is wrong.
    WrongPassword,
    /// The request comes from another site, and would read or set cookies.
    CrossSite,
    /// No endpoint has this path.
    NotFound,
    /// The user has no such session.
    SessionNotFound,
    /// The endpoint exists, but not with this method.
    MethodNotAllowed,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The body's content type is neither JSON nor a form.
    UnsupportedMediaType,
    /// The user has as many sessions as are allowed, and the limit refuses more.
    TooManySessions,
    /// Another user has this e-mail address.
    EmailTaken,
    /// Another user has this username.
    UsernameTaken,
    /// There were too many attempts at a password, or registrations. See
    /// [`Error::retry_after`](crate::Error::retry_after).
    TooManyAttempts,
    /// A fault of this service. The cause is logged and never answered.
    Internal,
    /// A store cannot be reached or is overloaded. A write may have happened, and nothing was
    /// answered.
    StoreUnavailable,
    /// Too many passwords wait to be hashed, or too many guards wait for the store.
    Overloaded,
}

impl ErrorKind {
    /// Returns the stable code of this kind, as responses carry it in `code`.
    pub const fn code(self) -> &'static str {
        self.texts().0
    }

    /// Returns a short English sentence, the same for every error of this kind.
    pub const fn message(self) -> &'static str {
        self.texts().1
    }

    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidBody => ("invalid_body", "The body cannot be read"),
            Self::ValidationFailed => ("validation_failed", "Some fields are not valid"),
            Self::InvalidRequest => ("invalid_request", "The request contradicts itself"),
            Self::InvalidCredentials => ("invalid_credentials", "Login or password is wrong"),
            Self::TokenMissing => ("token_missing", "An access token is required"),
            Self::TokenExpired => ("token_expired", "The access token has expired"),
            Self::TokenInvalid => ("token_invalid", "The access token is not valid"),
            Self::TokenRevoked => ("token_revoked", "The session has ended"),
            Self::RefreshMissing => ("refresh_missing", "A refresh token is required"),
            Self::RefreshInvalid => ("refresh_invalid", "The refresh token is not valid"),
            Self::RefreshExpired => ("refresh_expired", "The refresh token has expired"),
            Self::RefreshReused => ("refresh_reused", "The refresh token was used before"),
            Self::InsufficientRole => ("insufficient_role", "The user lacks the role"),
            Self::InsufficientScope => ("insufficient_scope", "The access token lacks the scope"),
            Self::Forbidden => ("forbidden", "The user may not do this"),
            Self::WrongPassword => ("wrong_password", "The current password is wrong"),
            Self::CrossSite => ("cross_site", "Cross-site requests are not allowed"),
            Self::NotFound => ("not_found", "There is nothing here"),
            Self::SessionNotFound => ("session_not_found", "There is no such session"),
            Self::MethodNotAllowed => ("method_not_allowed", "The method is not allowed"),
            Self::BodyTooLarge => ("body_too_large", "The body is too large"),
            Self::UnsupportedMediaType => ("unsupported_media_type", "The content type is not supported"),
            Self::TooManySessions => ("too_many_sessions", "The user has too many sessions"),
            Self::EmailTaken => ("email_taken", "The e-mail address is taken"),
            Self::UsernameTaken => ("username_taken", "The username is taken"),
            Self::TooManyAttempts => ("too_many_attempts", "There were too many attempts, try again later"),
            Self::Internal => ("internal", "Something went wrong"),
            Self::StoreUnavailable => ("store_unavailable", "The service is not available right now"),
            Self::Overloaded => ("overloaded", "The service is busy"),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}
