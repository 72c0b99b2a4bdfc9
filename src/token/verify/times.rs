//! The times in a token, and when they contradict each other.

use std::time::Duration;

use crate::clock::Timestamp;

/// How far ahead the `iat`, `nbf` and `auth_time` of a token may lie: the skew between nodes, or
/// between an issuer and this service.
pub(crate) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The times in an access token.
#[derive(Clone, Copy, Debug)]
pub(in crate::token) struct Times {
    pub(in crate::token) issued_at: Timestamp,
    pub(in crate::token) not_before: Option<Timestamp>,
    pub(in crate::token) expires_at: Timestamp,
}

/// Returns whether a token ends before it was issued, or not after the moment from which it may be
/// used.
pub(crate) fn contradict(issued_at: Timestamp, not_before: Option<Timestamp>, expires_at: Timestamp) -> bool {
    expires_at < issued_at || not_before.is_some_and(|moment| expires_at <= moment)
}
