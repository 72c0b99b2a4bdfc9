//! What a store can answer besides what it was asked.

use std::fmt;

use crate::error::{Error, ErrorKind, causes};

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A store's failure: a duplicate, an outage, or a bug. The three are told apart because the first is the client's to
/// mend, the second passes, and the third is ours.
///
/// Errors are logged. The `Debug` of a `StoreError` shows the `Display` of its cause, and never the cause's `Debug`: in a
/// driver's error that may contain the row that was refused, a password's hash included. Where a driver's `Display` contains
/// it too (`tokio-postgres` prints PostgreSQL's `DETAIL`), give a text of your own as the cause: the code and the name of the
/// constraint.
pub struct StoreError(Kind);

enum Kind {
    Duplicate(UniqueField),
    TooManySessions,
    Unavailable(Source),
    Internal(Source),
}

/// Which unique field another user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UniqueField {
    /// The e-mail address.
    Email,
    /// The username.
    Username,
}

impl StoreError {
    /// Another user has this value.
    pub fn duplicate(field: UniqueField) -> Self {
        Self(Kind::Duplicate(field))
    }

    /// The user has as many sessions as are allowed, and the limit refuses more.
    pub fn too_many_sessions() -> Self {
        Self(Kind::TooManySessions)
    }

    /// The store cannot be reached, timed out, or has no room: it may work again later. The cause is logged, never answered.
    pub fn unavailable(source: impl Into<Source>) -> Self {
        Self(Kind::Unavailable(source.into()))
    }

    /// Something that will not pass by itself: a broken row, a statement that is wrong. The cause is logged, never answered.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self(Kind::Internal(source.into()))
    }

    /// What it is, in one word for metrics.
    #[cfg(feature = "metrics")]
    pub(crate) const fn word(&self) -> &'static str {
        match self.0 {
            Kind::Duplicate(_) => "duplicate",
            Kind::TooManySessions => "too_many_sessions",
            Kind::Unavailable(_) => "unavailable",
            Kind::Internal(_) => "internal",
        }
    }

    /// The field that another user has, for a duplicate.
    pub fn duplicate_field(&self) -> Option<UniqueField> {
        match self.0 {
            Kind::Duplicate(field) => Some(field),
            _ => None,
        }
    }

    /// Whether the store may work again later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.0, Kind::Unavailable(_))
    }

    /// Whether the user has as many sessions as are allowed.
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
    /// Returns the error of a flow whose write failed. Where the answer is lost, the write may have happened.
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

    /// A driver's error, whose `Debug` has the refused row.
    #[derive(Debug)]
    struct Refused(#[expect(dead_code, reason = "it is printed")] &'static str);

    impl fmt::Display for Refused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a check refuses")
        }
    }

    impl std::error::Error for Refused {}

    #[test]
    fn the_debug_of_an_error_has_no_debug_of_its_cause() {
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
