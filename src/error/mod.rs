//! One opaque [`Error`] for everything that can go wrong at run time, and the stable codes behind it.
//!
//! An error says what a client may know: its [`kind`](Error::kind), for invalid input the fields, for an overload when
//! to come back. What only the operator may know is kept as [`source`](std::error::Error::source) and goes to `tracing`.

mod build;

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use serde::Serialize;

pub use self::build::BuildError;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What kind of failure an [`Error`] is; each has a stable code that clients branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The body is not what its content type says, has wrong types or names a field twice.
    InvalidBody,
    /// A field is missing, blank, too short, too long, too common or malformed; see [`Error::fields`].
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
    /// The access token's session was ended, its token version is out of date, or its user is gone or disabled.
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
    /// Too many attempts at a password, or registrations; see [`Error::retry_after`].
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

/// What is wrong with one field of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldError {
    /// The field's name in the body.
    pub field: Cow<'static, str>,
    /// A stable code, for example `required` or `too_short`.
    pub code: Cow<'static, str>,
    /// An English sentence for the person who filled the form; it never repeats the value.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// Describes one problem of one field.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), code: code.into(), message: message.into() }
    }
}

/// A failure of any flow of this crate.
///
/// Opaque, so that it can learn more without breaking anyone: branch on [`kind`](Self::kind).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    detail: Option<Cow<'static, str>>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    overtaken: bool,
    uncertain: bool,
    told: bool,
    scope: Option<Box<str>>,
    source: Option<Source>,
}

impl Error {
    /// Makes an error of this kind, with nothing more to say.
    pub fn new(kind: ErrorKind) -> Self {
        let retry_after =
            matches!(kind, ErrorKind::StoreUnavailable | ErrorKind::Overloaded).then_some(Duration::from_secs(1));
        Self(Box::new(Inner {
            kind,
            detail: None,
            fields: Vec::new(),
            retry_after,
            overtaken: false,
            uncertain: false,
            told: false,
            scope: None,
            source: None,
        }))
    }

    /// Makes a [`ErrorKind::ValidationFailed`] of these fields.
    pub fn validation(fields: Vec<FieldError>) -> Self {
        let mut error = Self::new(ErrorKind::ValidationFailed);
        error.0.fields = fields;
        error
    }

    /// Names fields as the client does.
    pub(crate) fn renaming_fields(mut self, theirs: impl Fn(&str) -> Option<&'static str>) -> Self {
        for mistake in &mut self.0.fields {
            if let Some(name) = theirs(&mistake.field) {
                mistake.field = name.into();
            }
        }
        self
    }

    /// Adds a sentence that the client may read.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Says when it makes sense to try again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Keeps the cause, for logs only.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says that another request of the same client was faster, and may have been given what this one was refused.
    pub(crate) fn overtaken(mut self) -> Self {
        self.0.overtaken = true;
        self
    }

    /// Whether another request of the same client may have been given new tokens, which must not be taken away again.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.0.overtaken
    }

    /// Says that a store was asked to write, and that its answer is lost.
    pub(crate) fn uncertain(mut self) -> Self {
        self.0.uncertain = true;
        self
    }

    /// Whether what was asked for may have happened in spite of the error.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.0.uncertain
    }

    /// Notes that the event of it has been told.
    pub(crate) fn told(mut self) -> Self {
        self.0.told = true;
        self
    }

    /// Whether its event has been told, so that nobody tells it again.
    pub(crate) fn is_told(&self) -> bool {
        self.0.told
    }

    /// Says which scopes would do, for the challenge.
    pub(crate) fn with_scope(mut self, scope: impl Into<Box<str>>) -> Self {
        self.0.scope = Some(scope.into());
        self
    }

    /// The scopes that would do, separated by spaces.
    pub(crate) fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// The kind, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence for the client, where there is more to say than the kind's.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The fields that did not pass, for [`ErrorKind::ValidationFailed`].
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// When it makes sense to try again, for outages, overload and too many attempts.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.message())?;
        match &self.0.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("detail", &self.0.detail)
            .field("fields", &self.0.fields)
            // Its `Debug` may have what no log must: a driver's has the row that was refused.
            .field("source", &self.0.source.as_ref().map(|source| causes(Some(&**source))))
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An error and its whole chain of causes, for the log: what was wrong is seldom the outermost.
pub(crate) fn causes(error: Option<&(dyn StdError + 'static)>) -> String {
    let chain = std::iter::successors(error, |&error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_say_when_to_come_back_and_refusals_do_not() {
        assert!(Error::new(ErrorKind::StoreUnavailable).retry_after().is_some());
        assert!(Error::new(ErrorKind::Overloaded).retry_after().is_some());
        assert!(Error::new(ErrorKind::TokenInvalid).retry_after().is_none());
    }

    #[test]
    fn the_cause_is_kept_for_logs_and_left_out_of_the_text() {
        let error = Error::new(ErrorKind::Internal).with_source("db.internal:5432 refused");
        assert!(!error.to_string().contains("db.internal"));
        assert!(StdError::source(&error).is_some());
    }
}
