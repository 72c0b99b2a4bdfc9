//! Why a token was not accepted.

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// It was valid until its `exp`.
    Expired,
    /// Anything else.
    Invalid,
}
