//! A map with a fixed maximum of entries. It forgets the least recently used ones.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A keyed hash of 128 bits of what is counted. No attacker can aim at the key of another account,
/// and no e-mail address stays in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

/// Makes keys. Each process makes its own.
#[derive(Default)]
pub(super) struct Keys(RandomState, RandomState);

impl Keys {
    pub(super) fn of(&self, what: impl Hash) -> Key {
        Key((u128::from(self.0.hash_one(&what)) << 64) | u128::from(self.1.hash_one(&what)))
    }
}

/// Number of locks. With several, logins on many cores rarely wait for each other.
const SHARDS: usize = 16;

/// A map of two generations. An entry that is used moves to the young generation. When that is
/// full, the old generation is dropped. Every operation takes constant time, no task has to remove
/// old entries, and memory is bounded for any keys.
pub(super) struct Bounded<V> {
    shards: [Mutex<Generations<V>>; SHARDS],
}

struct Generations<V> {
    young: Map<V>,
    old: Map<V>,
}

type Map<V> = HashMap<Key, V, BuildHasherDefault<Prehashed>>;

/// Maximum of entries of a generation: 7/8 of a power of two, which fills its hash table.
const GENERATION: usize = 7 * 1024;

/// Maximum of entries of a map.
pub(super) const MAX_ENTRIES: usize = SHARDS * 2 * GENERATION;

impl<V: Copy> Bounded<V> {
    pub(super) fn new() -> Self {
        let shard = |_| Mutex::new(Generations { young: Map::default(), old: Map::default() });
        Self { shards: std::array::from_fn(shard) }
    }

    pub(super) fn get(&self, key: Key) -> Option<V> {
        let shard = self.shard(key);
        shard.young.get(&key).or_else(|| shard.old.get(&key)).copied()
    }

    pub(super) fn insert(&self, key: Key, value: V) {
        self.update(key, |_| (Some(value), ()));
    }

    pub(super) fn remove(&self, key: Key) {
        self.update(key, |_| (None, ()));
    }

    /// Replaces an entry by the result of `change`, in one step.
    pub(super) fn update<R>(&self, key: Key, change: impl FnOnce(Option<V>) -> (Option<V>, R)) -> R {
        let mut shard = self.shard(key);
        let before = shard.young.get(&key).or_else(|| shard.old.get(&key)).copied();
        let (after, answer) = change(before);
        shard.old.remove(&key);
        match after {
            None => {
                shard.young.remove(&key);
            }
            Some(value) => {
                if shard.young.len() >= GENERATION && !shard.young.contains_key(&key) {
                    shard.old = std::mem::take(&mut shard.young);
                }
                shard.young.insert(key, value);
            }
        }
        answer
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Generations<V>> {
        // Uses other bits than those by which the hash tables place their entries.
        let index = usize::try_from(key.0 >> 64).map_or(0, |bits| bits % SHARDS);
        let [first, ..] = &self.shards;
        self.shards.get(index).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        let count = |shard: &Mutex<Generations<V>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(count).sum()
    }
}

/// Passes keys through, because they are hashes already.
#[derive(Default)]
struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Never called for a `u128`, but correct.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
        let low = key as u64;
        self.0 = low;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_keys_stay_within_the_bound() {
        let (keys, map) = (Keys::default(), Bounded::new());
        for number in 0..1_000_000_u32 {
            map.insert(keys.of(number), number);
        }
        assert!(map.len() <= MAX_ENTRIES, "{}", map.len());
        assert!(map.len() >= MAX_ENTRIES / 2, "{}", map.len());
        assert_eq!(map.get(keys.of(999_999_u32)), Some(999_999));
        assert_eq!(map.get(keys.of(0_u32)), None);
    }

    #[test]
    fn what_is_used_stays_whatever_else_comes() {
        let (keys, map) = (Keys::default(), Bounded::new());
        let used = keys.of("used");
        map.insert(used, 0);
        for number in 0..500_000_u32 {
            map.insert(keys.of(number), number);
            if number % 1_000 == 0 {
                map.update(used, |before| (before, ()));
            }
        }
        assert_eq!(map.get(used), Some(0));
    }

    #[test]
    fn an_entry_is_in_one_generation_only() {
        let (keys, map) = (Keys::default(), Bounded::new());
        let key = keys.of("key");
        for round in 0..3 {
            map.insert(key, round);
        }
        assert_eq!((map.get(key), map.len()), (Some(2), 1));
        map.remove(key);
        assert_eq!((map.get(key), map.len()), (None, 0));
    }
}
