//! Capacity and shards of the stores in memory.

use crate::store::StoreError;

/// How many users fit, and how many sessions. An app can set another capacity.
pub(super) const DEFAULT_CAPACITY: usize = 2_000_000;

/// The number of shards. With so many, two cores seldom need the same one.
pub(super) const SHARDS: usize = 64;

/// Returns the shard of a key. The hash has a random seed, so that an attacker cannot choose keys
/// of one shard.
pub(super) fn shard_of(hasher: &std::hash::RandomState, key: &str) -> usize {
    use std::hash::BuildHasher;
    usize::try_from(hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)
}

pub(super) fn full() -> StoreError {
    StoreError::unavailable("the memory store is at its capacity")
}
