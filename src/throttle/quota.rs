//! Calculates when the next grant of a quota is due. It keeps no state.

use std::time::Duration;

use crate::clock::Timestamp;

/// Grants `burst` at once, and one more for each `every`.
///
/// Its state is the time at which all grants are free again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) burst: u32,
    pub(super) every: Duration,
}

impl Quota {
    /// Returns the first time from `earliest` on at which a grant is due.
    pub(super) fn due(self, free_at: Option<Timestamp>, earliest: Timestamp) -> Timestamp {
        let ahead = self.every.saturating_mul(self.burst.saturating_sub(1));
        free_at.map_or(earliest, |free_at| free_at.minus(ahead).max(earliest))
    }

    /// Returns the state after a grant for that time.
    pub(super) fn granted(self, free_at: Option<Timestamp>, due: Timestamp) -> Timestamp {
        free_at.map_or(due, |free_at| free_at.max(due)).plus(self.every)
    }

    /// Limits the state to `longest` from now, which is how far ahead grants are made. Otherwise a
    /// clock that was set back would make longer waits.
    pub(super) fn bounded(self, free_at: Timestamp, now: Timestamp, longest: Duration) -> Timestamp {
        free_at.min(now.plus(longest).plus(self.every.saturating_mul(self.burst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { burst: 3, every: Duration::from_secs(60) };
    const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn at(seconds: u64) -> Timestamp {
        NOON.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_burst_is_granted_at_once_and_then_one_by_one() {
        let (mut state, mut due) = (None, Vec::new());
        for _ in 0..6 {
            let next = QUOTA.due(state, NOON);
            state = Some(QUOTA.granted(state, next));
            due.push(next.since(NOON).as_secs());
        }
        assert_eq!(due, [0, 0, 0, 60, 120, 180]);
        assert_eq!(QUOTA.due(state, at(1_000)), at(1_000), "all are free again");
    }

    #[test]
    fn a_grant_is_never_due_before_the_earliest_time() {
        let state = QUOTA.granted(None, at(10));
        assert_eq!(state, at(70));
        assert_eq!(QUOTA.due(Some(state), at(5)), at(5));
    }

    #[test]
    fn a_clock_that_was_set_back_prolongs_nothing() {
        let state = QUOTA.bounded(at(86_400), NOON, Duration::from_secs(600));
        assert_eq!(QUOTA.due(Some(state), NOON), at(660));
    }
}
