//! [`Missed`]: revocations that found no room in the set. Each of them wakes its waiters once,
//! although polls read it again and again.

use std::collections::HashMap;

/// Maximum number of entries between two polls. An entry takes 16 bytes. Each poll reads again the
/// revocations of the last 3 minutes, so this is enough for a few hundred a second.
const MAX_ENTRIES: usize = 65_536;

/// Revocations that were missed lately, by a hash of the session or user: those that the last poll
/// read, and those that came since.
///
/// Two keys with the same hash are not distinguished. The hash is keyed, so that no client can
/// produce such keys.
#[derive(Debug, Default)]
pub(super) struct Missed {
    before: HashMap<u64, u64>,
    lately: HashMap<u64, u64>,
}

impl Missed {
    /// Adds that versions below `min_version` are revoked, and returns whether that is new. Where
    /// there is no room here either, it is new again at the next poll.
    pub(super) fn add(&mut self, key: u64, min_version: u64) -> bool {
        let is_new = self.min_version(key).is_none_or(|known| known < min_version);
        if self.lately.len() < MAX_ENTRIES || self.lately.contains_key(&key) {
            let known = self.lately.entry(key).or_default();
            *known = (*known).max(min_version);
        }
        is_new
    }

    /// Returns the version below which all are revoked.
    pub(super) fn min_version(&self, key: u64) -> Option<u64> {
        [&self.before, &self.lately].into_iter().filter_map(|it| it.get(&key)).max().copied()
    }

    /// Called after each poll. An entry that is not added again before the next call is removed
    /// then.
    pub(super) fn polled(&mut self) {
        self.before = std::mem::take(&mut self.lately);
    }
}
