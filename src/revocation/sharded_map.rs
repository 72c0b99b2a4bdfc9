//! A map in shards with a lock of their own, and the bells that wake those who wait for an entry.

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

/// Enough that cores seldom meet, few enough that an empty set is small.
pub(super) const SHARDS: usize = 64;

/// Enough that an ending wakes few, few enough that they take some 40 kB.
const BELLS: usize = 1024;

/// A map in shards; `len` is read without a lock, so that an empty map costs one load.
pub(super) struct Shards<K, V> {
    shards: Box<[RwLock<Shard<K, V>>]>,
    /// They wake those who wait for an entry.
    bells: Box<[Notify]>,
    len: AtomicUsize,
    hasher: RandomState,
}

struct Shard<K, V> {
    entries: HashMap<K, V>,
    /// No entry is dead before: until then none need be looked for.
    dead_from: Timestamp,
}

/// What an entry ends with.
pub(super) trait Expires {
    fn keep_until(&self) -> Timestamp;
}

impl Expires for Timestamp {
    fn keep_until(&self) -> Timestamp {
        *self
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    /// It says something that was not known.
    News,
    Known,
    NoRoom,
}

impl<K: Hash + Eq + Clone, V: Expires> Shard<K, V> {
    fn sweep(&mut self, now: Timestamp) {
        self.entries.retain(|_, value| now < value.keep_until());
        self.dead_from = self.entries.values().map(V::keep_until).min().unwrap_or(NEVER);
    }
}

const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

impl<K: Hash + Eq + Clone, V: Expires> Shards<K, V> {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::new(Shard { entries: HashMap::new(), dead_from: NEVER })).collect(),
            bells: (0..BELLS).map(|_| Notify::new()).collect(),
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

    /// A number below `count` that is always the same for this key.
    fn place(&self, key: &K, count: usize) -> usize {
        usize::try_from(self.hash(key) % count as u64).unwrap_or(0)
    }

    fn shard(&self, key: &K) -> Option<&RwLock<Shard<K, V>>> {
        self.shards.get(self.place(key, SHARDS))
    }

    pub(super) fn bell(&self, key: &K) -> Option<&Notify> {
        self.bells.get(self.place(key, BELLS))
    }

    #[cfg(feature = "testing")]
    pub(super) fn ring_all(&self) {
        self.bells.iter().for_each(Notify::notify_waiters);
    }

    pub(super) fn read<T>(&self, key: &K, f: impl FnOnce(&V) -> T) -> Option<T> {
        if self.len() == 0 {
            return None;
        }
        let shard = self.shard(key)?.read().unwrap_or_else(PoisonError::into_inner);
        shard.entries.get(key).map(f)
    }

    /// `merge` answers whether that is news.
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
            return if merge(old) { Inserted::News } else { Inserted::Known };
        }
        // Room is made shard by shard: the dead entries of this one go when it is at its share.
        let share = capacity.div_ceil(SHARDS).max(1);
        if shard.entries.len() >= share {
            if now < shard.dead_from {
                return Inserted::NoRoom;
            }
            let before = shard.entries.len();
            shard.sweep(now);
            self.len.fetch_sub(before.saturating_sub(shard.entries.len()), Ordering::AcqRel);
            if shard.entries.len() >= share {
                return Inserted::NoRoom;
            }
        }
        shard.dead_from = shard.dead_from.min(value.keep_until());
        shard.entries.insert(key.clone(), value);
        self.len.fetch_add(1, Ordering::AcqRel);
        Inserted::News
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
    fn a_full_shard_is_swept_once_when_something_in_it_has_died() {
        struct Counted<'a>(Timestamp, &'a AtomicUsize);
        impl Expires for Counted<'_> {
            fn keep_until(&self) -> Timestamp {
                self.1.fetch_add(1, Ordering::Relaxed);
                self.0
            }
        }
        let looked = AtomicUsize::new(0);
        let set = Shards::new();
        let insert = |n: u32, now| set.insert(&n, Counted(later(60), &looked), |_| true, 10 * SHARDS, now);
        for n in 0..10_000 {
            insert(n, NOW);
        }
        assert_eq!(set.len(), 10 * SHARDS, "every shard is full");
        looked.store(0, Ordering::Relaxed);
        for n in 10_000..20_000 {
            assert_eq!(insert(n, later(59)), Inserted::NoRoom);
        }
        assert_eq!(looked.load(Ordering::Relaxed), 0, "nothing has died, and nothing is looked at");
        assert_eq!(insert(20_000, later(60)), Inserted::News);
        assert_eq!(set.len(), 10 * (SHARDS - 1) + 1);
    }
}
