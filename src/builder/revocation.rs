//! Settings of revocation: how a node learns what has ended on other nodes, and how much of it is
//! kept in memory.

use std::{sync::Arc, time::Duration};

use super::{AuthBuilder, env::Environment};
use crate::{clock::CLOCK_SKEW, revocation, store::RevocationFeed, user::AuthUser};

/// Maximum time between polls. An ended session could be accepted for this long.
const MAX_POLL: Duration = Duration::from_secs(60);

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `REVOCATION_POLL` | `5s` | how often a node asks what others have ended |"
    };
}
pub(super) use variables;

/// Settings of revocation.
///
/// # Defaults
/// - poll: every 5 s
/// - longest time that polls may fail: unlimited
/// - feed: none
/// - capacity: 1,048,576 ended sessions, and as many users
pub(super) struct RevocationSettings {
    poll: Duration,
    max_poll_staleness: Option<Duration>,
    feed: Option<Arc<dyn RevocationFeed>>,
    capacity: usize,
}

impl Default for RevocationSettings {
    fn default() -> Self {
        Self { poll: Duration::from_secs(5), max_poll_staleness: None, feed: None, capacity: 1_048_576 }
    }
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Sets how often this node asks the store what other nodes have ended. Default: every 5 s.
    /// Maximum: 60 s, because until then this node accepts tokens of sessions that ended elsewhere.
    ///
    /// Variable: `REVOCATION_POLL`.
    pub fn revocation_poll(mut self, interval: Duration) -> Self {
        self.revocation.poll = interval;
        self
    }

    /// Sets how long polls may fail before the guard asks the store about the session of every
    /// token. It must be longer than the [poll](Self::revocation_poll). Default: the guard never
    /// asks.
    ///
    /// What the store answers about a session counts for as long as the time between two polls, and
    /// at most 256 sessions are asked about at once. A request beyond that is refused with 503 and
    /// `Retry-After`.
    ///
    /// With it, an outage of the store stops requests. Without it, tokens of sessions that other
    /// nodes have ended are accepted until they expire or the store is back.
    pub fn max_poll_staleness(mut self, limit: Duration) -> Self {
        self.revocation.max_poll_staleness = Some(limit);
        self
    }

    /// Sets the feed through which nodes inform each other at once of what has ended. Default:
    /// none, nodes only poll.
    pub fn revocation_feed(mut self, feed: impl RevocationFeed) -> Self {
        self.revocation.feed = Some(Arc::new(feed));
        self
    }

    /// Sets how many ended sessions, and how many users with ended sessions, are kept in memory.
    /// Default: 1,048,576 of each, about 50 MB each when full.
    ///
    /// Beyond it the guard asks the store about the session of every token, until entries have
    /// expired. [`max_poll_staleness`](Self::max_poll_staleness) says what is asked then.
    pub fn revocation_capacity(mut self, entries: usize) -> Self {
        self.revocation.capacity = entries;
        self
    }
}

impl RevocationSettings {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        env.duration("REVOCATION_POLL", &mut self.poll);
    }

    pub(super) fn check(&self, problems: &mut Vec<String>) {
        let mut refuse = |wrong: bool, problem: &str| {
            if wrong {
                problems.push(problem.to_owned());
            }
        };
        refuse(self.poll.is_zero(), "the revocation poll (REVOCATION_POLL) is zero: use 5s");
        refuse(self.poll > MAX_POLL, "the revocation poll (REVOCATION_POLL) is longer than a minute: use 5s");
        refuse(
            self.max_poll_staleness.is_some_and(|limit| limit <= self.poll),
            "max_poll_staleness must be longer than the revocation poll (REVOCATION_POLL), or every request \
             would ask the store: use 30s",
        );
    }

    /// The memory of what has ended, and what fills it.
    /// `remembered` is how old an access token may be, by its lifetime and the leeway.
    pub(super) fn into_settings(self, remembered: Duration) -> revocation::RevocationSettings {
        revocation::RevocationSettings {
            capacity: self.capacity,
            poll_interval: self.poll,
            max_poll_staleness: self.max_poll_staleness,
            feed: self.feed,
            remembered,
            tombstone: remembered.saturating_add(CLOCK_SKEW),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::env::read_pairs;

    #[test]
    fn variables_reach_their_settings() {
        let mut settings = RevocationSettings::default();
        assert_eq!(read_pairs(&[("REVOCATION_POLL", "1s")], |env| settings.read(env)), Vec::<String>::new());
        assert_eq!(settings.poll, Duration::from_secs(1));
    }
}
