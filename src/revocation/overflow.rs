//! Endings that found no room in memory: each wakes those who wait once, though polls bring it again and again.

use std::collections::HashMap;

/// How many are noted between two polls: at 16 bytes each, and a few hundred a second.
const ROOM: usize = 65_536;

/// What was missed lately, by keys of the caller's making: what the last poll brought, and what came since.
///
/// Which of two that share a key is meant cannot be told; the hash is a keyed one, so nobody makes them share it.
#[derive(Debug, Default)]
pub(super) struct Missed {
    before: HashMap<u64, u64>,
    lately: HashMap<u64, u64>,
}

impl Missed {
    /// Notes that versions below `floor` have ended, and answers whether that is new. Where there is no room for it
    /// here either, it is new again at the next poll.
    pub(super) fn note(&mut self, key: u64, floor: u64) -> bool {
        let news = self.floor(key).is_none_or(|known| known < floor);
        if self.lately.len() < ROOM || self.lately.contains_key(&key) {
            let noted = self.lately.entry(key).or_default();
            *noted = (*noted).max(floor);
        }
        news
    }

    /// The versions below it have ended.
    pub(super) fn floor(&self, key: u64) -> Option<u64> {
        [&self.before, &self.lately].into_iter().filter_map(|it| it.get(&key)).max().copied()
    }

    /// A poll has brought all that polls still bring: what it did not bring is forgotten at the next.
    pub(super) fn polled(&mut self) {
        self.before = std::mem::take(&mut self.lately);
    }
}
