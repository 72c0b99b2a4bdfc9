//! How long a server is left alone after a refresh that failed.

use std::time::Duration;

use super::{ClientError, ClientErrorKind};
use crate::clock::Timestamp;

/// The least time from a refresh that failed to the next one.
const REST: Duration = Duration::from_secs(1);
/// The longest time that a server may ask for.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// A refresh that failed, after which there is a rest.
pub(super) struct Failure {
    pub(super) error: ClientError,
    at: Timestamp,
    rest: Duration,
}

impl Failure {
    pub(super) fn new(error: &ClientError, at: Timestamp) -> Self {
        let rest = error.retry_after().unwrap_or_default().clamp(REST, LONGEST_REST);
        Self { error: error.clone(), at, rest }
    }

    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        is_within(self.rest, self.at, now)
    }

    /// Whether it was the server's, which is not asked again before the rest is over; a storage is.
    pub(super) fn is_the_servers(&self) -> bool {
        use ClientErrorKind::{Refused, Unexpected, Unreachable};
        matches!(self.error.kind(), Refused | Unexpected | Unreachable)
    }
}

/// A clock that was set back ends every rest.
pub(super) fn is_within(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    since <= now && now.since(since) < time
}
