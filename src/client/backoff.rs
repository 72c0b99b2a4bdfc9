//! Decides how long the client does not call the server after a refresh that failed.

use std::time::Duration;

use super::{ClientAuth, ClientError, ClientErrorKind};
use crate::clock::Timestamp;

/// The shortest time from a failed refresh to the next one.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest time that the server's `Retry-After` can ask for.
const LONGEST: Duration = Duration::from_secs(300);

/// A refresh that failed, and the backoff after it.
pub(super) struct Failure {
    error: ClientError,
    at: Timestamp,
    backoff: Duration,
}

impl Failure {
    pub(super) fn new(error: &ClientError, at: Timestamp) -> Self {
        let backoff = error.retry_after().unwrap_or_default().clamp(SHORTEST, LONGEST);
        Self { error: error.clone(), at, backoff }
    }

    /// Returns whether the backoff is not over yet.
    pub(super) fn is_in_force(&self, now: Timestamp) -> bool {
        is_within(self.backoff, self.at, now)
    }

    /// Returns whether the server caused the failure. Only the server needs a backoff. A storage is
    /// asked again at once.
    fn is_from_the_server(&self) -> bool {
        use ClientErrorKind::{Refused, Unexpected, Unreachable};
        matches!(self.error.kind(), Refused | Unexpected | Unreachable)
    }
}

impl ClientAuth {
    /// Returns the error of the last refresh while the server must not be called.
    pub(super) fn backoff_error(&self) -> Option<ClientError> {
        let now = self.clock().now();
        let state = self.state();
        let failure =
            state.failed.as_ref().filter(|failure| failure.is_from_the_server() && failure.is_in_force(now))?;
        // A pair that has to be stored does not need the server.
        state.unsaved.is_none().then(|| failure.error.clone())
    }
}

/// Returns whether less than this time has passed since then. A clock that was set back ends every
/// backoff.
pub(super) fn is_within(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    since <= now && now.since(since) < time
}
