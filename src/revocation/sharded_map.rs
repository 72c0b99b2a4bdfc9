//! [`Shards`]: a map in shards with a lock each, and the notifiers that wake the tasks that wait
//! for an entry.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use crate::clock::Timestamp;

/// Number of shards. It is high enough that cores seldom wait for each other, and low enough that
/// an empty set is small.
pub(super) const SHARDS: usize = 64;

/// Number of notifiers. It is high enough that a revocation wakes few tasks, and low enough that
/// all take about 40 kB.
const NOTIFIERS: usize = 1024;

/// Map in shards. `len` is read without a lock, so that an empty map costs one load.
pub(super) struct Shards<K, V> {
    shards: Box<[RwLock<Shard<K, V>>]>,
    /// They wake the tasks that wait for an entry.
    notifiers: Box<[Notify]>,
    len: AtomicUsize,
    hasher: RandomState,
}

struct Shard<K, V> {
    entries: HashMap<K, V>,
    /// Earliest expiry of an entry. Before it there is nothing to remove.
    expired_from: Timestamp,
}

/// Value with an expiry.
pub(super) trait Expires {
    fn keep_until(&self) -> Timestamp;
}

impl Expires for Timestamp {
    fn keep_until(&self) -> Timestamp {
        *self
    }
}

/// Result of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    /// The entry is new, or changes what is known.
    New,
    Known,
    NoRoom,
}

impl<K: Hash + Eq + Clone, V: Expires> Shard<K, V> {
    fn sweep(&mut self, now: Timestamp) {
        self.entries.retain(|_, value| now < value.keep_until());
        self.expired_from = self.entries.values().map(V::keep_until).min().unwrap_or(NEVER);
    }
}

const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

impl<K: Hash + Eq + Clone, V: Expires> Shards<K, V> {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::new(Shard { entries: HashMap::new(), expired_from: NEVER })).collect(),
            notifiers: (0..NOTIFIERS).map(|_| Notify::new()).collect(),
            len: AtomicUsize::new(0),
            hasher: RandomState::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Returns a number below `count` that is always the same for a key.
    fn place(&self, key: &K, count: usize) -> usize {
        usize::try_from(self.hash(key) % count as u64).unwrap_or(0)
    }

    fn shard(&self, key: &K) -> Option<&RwLock<Shard<K, V>>> {
        self.shards.get(self.place(key, SHARDS))
    }

    pub(super) fn notifier(&self, key: &K) -> Option<&Notify> {
        self.notifiers.get(self.place(key, NOTIFIERS))
    }

    #[cfg(feature = "testing")]
    pub(super) fn wake_all(&self) {
        self.notifiers.iter().for_each(Notify::notify_waiters);
    }

    pub(super) fn read<T>(&self, key: &K, f: impl FnOnce(&V) -> T) -> Option<T> {
        if self.len() == 0 {
            return None;
        }
        let shard = self.shard(key)?.read().unwrap_or_else(PoisonError::into_inner);
        shard.entries.get(key).map(f)
    }

    /// Inserts an entry, or merges it into the one of the same key. `merge` returns whether it
    /// changed anything.
    pub(super) fn insert(
        &self,
        key: &K,
        value: V,
        merge: impl FnOnce(&mut V) -> bool,
        capacity: usize,
        now: Timestamp,
    ) -> Inserted {
        let Some(shard) = self.shard(key) else {
            return Inserted::NoRoom;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = shard.entries.get_mut(key) {
            return if merge(old) { Inserted::New } else { Inserted::Known };
        }
        // Each shard has its share of the capacity. When it is full, it removes its expired
        // entries.
        let share = capacity.div_ceil(SHARDS).max(1);
        if shard.entries.len() >= share {
            if now < shard.expired_from {
                return Inserted::NoRoom;
            }
            let before = shard.entries.len();
            shard.sweep(now);
            self.len.fetch_sub(before.saturating_sub(shard.entries.len()), Ordering::AcqRel);
            if shard.entries.len() >= share {
                return Inserted::NoRoom;
            }
        }
        shard.expired_from = shard.expired_from.min(value.keep_until());
        shard.entries.insert(key.clone(), value);
        self.len.fetch_add(1, Ordering::AcqRel);
        Inserted::New
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn later(secs: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_full_shard_is_swept_once_when_an_entry_has_expired() {
        struct Counted<'a>(Timestamp, &'a AtomicUsize);
        impl Expires for Counted<'_> {
            fn keep_until(&self) -> Timestamp {
                self.1.fetch_add(1, Ordering::Relaxed);
                self.0
            }
        }
        let read = AtomicUsize::new(0);
        let set = Shards::new();
        let insert = |n: u32, now| set.insert(&n, Counted(later(60), &read), |_| true, 10 * SHARDS, now);
        for n in 0..10_000 {
            insert(n, NOW);
        }
        assert_eq!(set.len(), 10 * SHARDS, "every shard is full");
        read.store(0, Ordering::Relaxed);
        for n in 10_000..20_000 {
            assert_eq!(insert(n, later(59)), Inserted::NoRoom);
        }
        assert_eq!(read.load(Ordering::Relaxed), 0, "no entry has expired, and none is read");
        assert_eq!(insert(20_000, later(60)), Inserted::New);
        assert_eq!(set.len(), 10 * (SHARDS - 1) + 1);
    }
}
