//! [`StoreError`]: how a store call fails.

use std::fmt;

use crate::error::{Error, ErrorKind, causes};

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Describes why a store call failed.
///
/// | constructor | meaning | answer to the client |
/// |---|---|---|
/// | [`duplicate`](Self::duplicate) | another user has this e-mail address or username | 409 |
/// | [`too_many_sessions`](Self::too_many_sessions) | the limit refuses a further session | 409 |
/// | [`unavailable`](Self::unavailable) | an outage, which ends by itself | 503 |
/// | [`internal`](Self::internal) | a bug or a wrong setup | 500 |
///
/// Errors are logged. The `Debug` form of a `StoreError` shows the `Display` form of its cause,
/// never the `Debug` form. The `Debug` form of a driver's error may contain the refused row, with
/// the password hash. Some drivers show the row in `Display` too: `tokio-postgres` prints the
/// `DETAIL` of PostgreSQL. With such a driver, pass a text of your own as the cause, for example
/// the error code and the name of the constraint.
///
/// # Examples
/// ```
/// use portcullis::store::{StoreError, UniqueField};
///
/// let error = StoreError::duplicate(UniqueField::Email);
/// assert_eq!(error.duplicate_field(), Some(UniqueField::Email));
/// assert!(StoreError::unavailable("no answer within 5 s").is_unavailable());
/// ```
pub struct StoreError(Kind);

enum Kind {
    Duplicate(UniqueField),
    TooManySessions,
    Unavailable(Source),
    Internal(Source),
}

/// Names the unique field whose value another user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UniqueField {
    /// The e-mail address.
    Email,
    /// The username.
    Username,
}

impl StoreError {
    /// Makes the error for a value that another user has.
    pub fn duplicate(field: UniqueField) -> Self {
        Self(Kind::Duplicate(field))
    }

    /// Makes the error for a login beyond the limit of sessions, where the limit refuses further
    /// logins.
    pub fn too_many_sessions() -> Self {
        Self(Kind::TooManySessions)
    }

    /// Makes the error for an outage: the store cannot be reached, did not answer in time, or has
    /// no room. The cause is logged. Clients do not see it.
    pub fn unavailable(source: impl Into<Source>) -> Self {
        Self(Kind::Unavailable(source.into()))
    }

    /// Makes the error for what does not pass by itself, such as a broken row or a wrong statement.
    /// The cause is logged. Clients do not see it.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self(Kind::Internal(source.into()))
    }

    /// Returns the kind of the error in one word, for metrics.
    #[cfg(feature = "metrics")]
    pub(crate) const fn word(&self) -> &'static str {
        match self.0 {
            Kind::Duplicate(_) => "duplicate",
            Kind::TooManySessions => "too_many_sessions",
            Kind::Unavailable(_) => "unavailable",
            Kind::Internal(_) => "internal",
        }
    }

    /// Returns the field whose value another user has. Returns `None` for every other error.
    pub fn duplicate_field(&self) -> Option<UniqueField> {
        match self.0 {
            Kind::Duplicate(field) => Some(field),
            _ => None,
        }
    }

    /// Returns whether this is an outage, so that a later call may succeed.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.0, Kind::Unavailable(_))
    }

    /// Returns whether the user has as many sessions as the limit allows.
    pub fn is_too_many_sessions(&self) -> bool {
        matches!(self.0, Kind::TooManySessions)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, source) = match &self.0 {
            Kind::Duplicate(field) => return f.debug_tuple("Duplicate").field(field).finish(),
            Kind::TooManySessions => return f.write_str("TooManySessions"),
            Kind::Unavailable(source) => ("Unavailable", source),
            Kind::Internal(source) => ("Internal", source),
        };
        f.debug_tuple(name).field(&causes(Some(&**source))).finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Duplicate(UniqueField::Email) => "another user has this e-mail address",
            Kind::Duplicate(UniqueField::Username) => "another user has this username",
            Kind::TooManySessions => "the user has as many sessions as are allowed",
            Kind::Unavailable(_) => "the store is not available",
            Kind::Internal(_) => "the store failed",
        })
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Unavailable(source) | Kind::Internal(source) => Some(&**source),
            Kind::Duplicate(_) | Kind::TooManySessions => None,
        }
    }
}

impl StoreError {
    /// Converts the error of a write. After an outage the write may have happened, so the error
    /// says that the outcome is uncertain.
    pub(crate) fn of_a_write(self) -> Error {
        let is_lost = self.is_unavailable();
        let error = Error::from(self);
        if is_lost { error.uncertain() } else { error }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error.0 {
            Kind::Duplicate(UniqueField::Email) => ErrorKind::EmailTaken.into(),
            Kind::Duplicate(UniqueField::Username) => ErrorKind::UsernameTaken.into(),
            Kind::TooManySessions => ErrorKind::TooManySessions.into(),
            Kind::Unavailable(source) => Error::new(ErrorKind::StoreUnavailable).with_source(source),
            Kind::Internal(source) => Error::internal(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Imitates a driver's error whose `Debug` form contains the refused row.
    #[derive(Debug)]
    struct Refused(#[expect(dead_code, reason = "it is printed")] &'static str);

    impl fmt::Display for Refused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a check refuses")
        }
    }

    impl std::error::Error for Refused {}

    #[test]
    fn debug_shows_the_display_form_of_the_cause() {
        for make in [StoreError::internal, StoreError::unavailable] {
            let error = make(Box::<dyn std::error::Error + Send + Sync>::from(Refused("$argon2id$")));
            let shown = format!("{error:?} {error:#?}");
            assert!(shown.contains("a check refuses") && !shown.contains("argon2id"), "{shown}");
            let error = Error::from(error);
            let shown = format!("{error:?} {error:#?}");
            assert!(shown.contains("a check refuses") && !shown.contains("argon2id"), "{shown}");
        }
    }
}
