//! What users and sessions in memory share: into how many parts they are divided, and how many fit.

use crate::store::StoreError;

/// How many users, and how many sessions, fit unless an app says otherwise.
pub(super) const DEFAULT_CAPACITY: usize = 2_000_000;

/// Enough shards that cores seldom meet in one.
pub(super) const SHARDS: usize = 64;

/// Which shard a key belongs to; seeded, so that nobody can aim at one.
pub(super) fn shard_of(hasher: &std::hash::RandomState, key: &str) -> usize {
    use std::hash::BuildHasher;
    usize::try_from(hasher.hash_one(key) % SHARDS as u64).unwrap_or(0)
}

pub(super) fn full() -> StoreError {
    StoreError::unavailable("the memory store is at its capacity")
}
