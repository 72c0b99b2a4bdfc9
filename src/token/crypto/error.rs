//! [`SignError`]: the error of a backend that signs.

/// A signature could not be made.
#[derive(Debug, thiserror::Error)]
#[error("signing failed: {0}")]
pub(crate) struct SignError(String);

impl SignError {
    pub(super) fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}
