//! [`TokenFault`]: why a token was not accepted.

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// The token was valid until its `exp`.
    Expired,
    /// The token has any other fault.
    Invalid,
}
