//! [`Error`]: the one error of every flow.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use super::{ErrorKind, FieldError};

/// A failure of any flow of this crate.
///
/// The type is opaque, so that later versions can add to it without breaking callers. Branch on
/// [`kind`](Self::kind).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    detail: Option<Cow<'static, str>>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    overtaken: bool,
    uncertain: bool,
    event_emitted: bool,
    scope: Option<Box<str>>,
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

impl Error {
    /// Makes an error of this kind, without detail or cause.
    ///
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Overloaded`] are given a
    /// [`retry_after`](Self::retry_after) of 1 s.
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
            event_emitted: false,
            scope: None,
            source: None,
        }))
    }

    /// Makes an [`ErrorKind::Internal`] with its cause, which is logged and never answered.
    ///
    /// ```
    /// use portcullis::{Error, ErrorKind};
    ///
    /// let error = "12x".parse::<u8>().map_err(Error::internal).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Internal);
    /// assert_eq!(error.to_string(), "Something went wrong");
    /// ```
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync + 'static>>) -> Self {
        Self::new(ErrorKind::Internal).with_source(source)
    }

    /// Makes an [`ErrorKind::ValidationFailed`] with these fields.
    pub fn validation(fields: Vec<FieldError>) -> Self {
        let mut error = Self::new(ErrorKind::ValidationFailed);
        error.0.fields = fields;
        error
    }

    /// Renames the fields to the names that the client uses.
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

    /// Sets after how long it makes sense to try again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Sets the cause. It is logged and never answered.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync + 'static>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Notes that another request of the same client was faster and may have got new tokens.
    pub(crate) fn overtaken(mut self) -> Self {
        self.0.overtaken = true;
        self
    }

    /// Returns whether another request of the same client may have got new tokens. The answer must
    /// then clear no cookies.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.0.overtaken
    }

    /// Notes that the answer of a store to a write was lost.
    pub(crate) fn uncertain(mut self) -> Self {
        self.0.uncertain = true;
        self
    }

    /// Returns whether the write may have happened in spite of the error.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.0.uncertain
    }

    /// Notes that the event of this error has been emitted.
    pub(crate) fn event_emitted(mut self) -> Self {
        self.0.event_emitted = true;
        self
    }

    /// Returns whether the event of this error has been emitted, so that no caller emits it again.
    pub(crate) fn is_event_emitted(&self) -> bool {
        self.0.event_emitted
    }

    /// Sets the scopes that would be enough, for the challenge.
    pub(crate) fn with_scope(mut self, scope: impl Into<Box<str>>) -> Self {
        self.0.scope = Some(scope.into());
        self
    }

    /// Returns the scopes that would be enough, separated by spaces.
    pub(crate) fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// Returns the kind, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the sentence for the client, where it says more than that of the kind.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Returns the fields that did not pass, for [`ErrorKind::ValidationFailed`].
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Returns after how long it makes sense to try again, for outages, overload and too many
    /// attempts. Responses carry it as `Retry-After`, in whole seconds.
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
            // Not `Debug` of the source, because that of a database driver contains the refused
            // row.
            .field("source", &self.0.source.as_ref().map(|source| causes(Some(&**source))))
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Returns the texts of an error and of all its causes, for the log. The outermost error rarely
/// says what was wrong.
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
        let error = Error::internal("db.internal:5432 refused");
        assert!(!error.to_string().contains("db.internal"));
        assert!(StdError::source(&error).is_some());
    }
}
