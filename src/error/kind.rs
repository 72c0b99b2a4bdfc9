//! [`ErrorKind`]: what kind of failure an error is, with a stable code for clients.

use std::fmt;

/// What kind of failure an [`Error`](crate::Error) is; each has a stable code that clients branch
/// on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The body is not what its content type says, has wrong types or names a field twice.
    InvalidBody,
    /// A field is missing, blank, too short, too long, too common or malformed; see
    /// [`Error::fields`](crate::Error::fields).
    ValidationFailed,
    /// The request contradicts itself, for example by two `Authorization` headers.
    InvalidRequest,
    /// Unknown login, wrong password or disabled user: deliberately one answer.
    InvalidCredentials,
    /// The request has no access token.
    TokenMissing,
    /// The access token was good until its `exp`.
    TokenExpired,
    /// The access token is anything but one of ours.
    TokenInvalid,
    /// The access token's session was ended, its token version is out of date, or its user is gone
    /// or disabled.
    TokenRevoked,
    /// The request has no refresh token.
    RefreshMissing,
    /// The refresh token is not ours, or its session no longer exists.
    RefreshInvalid,
    /// The refresh token was good until its `exp`.
    RefreshExpired,
    /// The refresh token was used before; its session is ended.
    RefreshReused,
    /// A good access token whose user lacks the role.
    InsufficientRole,
    /// A good access token without the scope (RFC 6750 §3.1).
    InsufficientScope,
    /// A good access token whose claims the app's own condition refuses.
    Forbidden,
    /// The current password given for a change is wrong.
    WrongPassword,
    /// A request from another site where cookies are read or set.
    CrossSite,
    /// No endpoint has this path.
    NotFound,
    /// The user has no such session.
    SessionNotFound,
    /// The endpoint exists, with other methods.
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
    /// Too many attempts at a password, or registrations; see
    /// [`Error::retry_after`](crate::Error::retry_after).
    TooManyAttempts,
    /// A fault on our side; the cause is logged, never answered.
    Internal,
    /// A store cannot be reached or cannot take more; nothing was decided.
    StoreUnavailable,
    /// The queue of passwords to hash is full.
    Overloaded,
}

impl ErrorKind {
    /// The stable code of this kind, as it appears in the answer's `code`.
    pub const fn code(self) -> &'static str {
        self.texts().0
    }

    /// A short English sentence, the same for every error of this kind.
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
