//! Tokens that were found good, so that an asymmetric signature is checked once and not on every request.
//!
//! Only successes are kept, and they are found by the whole token: nothing that differs in a byte is a hit. A hit saves the
//! signature and the parse and nothing else: the times, whether the key still counts, and what has ended are asked each
//! time. The memory is bounded in bytes, and what is used least goes first.
//!
//! Looking up compares hashes under a seed of the process before it compares tokens, so its timing tells nothing of how
//! much of a guess was right.

use std::fmt;

use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter, sync};

use super::claims::Claims;
use crate::clock::Timestamp;

/// What an access token says of its own times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) issued_at: Timestamp,
    pub(super) not_before: Option<Timestamp>,
    pub(super) expires_at: Timestamp,
}

/// A token that was good, and what has to be asked again.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) claims: Claims,
    pub(super) times: Times,
    /// From when on its key no longer counts.
    pub(super) key_until: Option<Timestamp>,
}

/// The tokens that this node has found good.
pub(crate) struct TokenCache(sync::Cache<Box<str>, Known, Bytes>);

/// How many bytes an entry takes: the token, what was read of it, and the allocations around them.
#[derive(Clone)]
struct Bytes;

impl Weighter<Box<str>, Known> for Bytes {
    fn weight(&self, token: &Box<str>, known: &Known) -> u64 {
        (token.len() + known.claims.memory() + 256) as u64
    }
}

/// A token of usual length with what was read of it: an estimate, by which room is made for the table.
const USUAL_BYTES: usize = 1024;

impl TokenCache {
    /// A cache of at most this many bytes; none for zero.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let options = OptionsBuilder::new()
            .estimated_items_capacity((bytes / USUAL_BYTES).max(1))
            .weight_capacity(bytes as u64)
            .build()
            .ok()
            .filter(|_| bytes > 0)?;
        let lifecycle = sync::DefaultLifecycle::default();
        Some(Self(sync::Cache::with_options(options, Bytes, DefaultHashBuilder::default(), lifecycle)))
    }

    pub(super) fn get(&self, token: &str) -> Option<Known> {
        self.0.get(token)
    }

    pub(super) fn insert(&self, token: &str, known: Known) {
        self.0.insert(token.into(), known);
    }

    /// How many it takes now.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }

    /// Forgets a token that can never be good again.
    pub(super) fn remove(&self, token: &str) {
        self.0.remove(token);
    }
}

/// Tokens are secrets.
impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("tokens", &self.0.len()).field("bytes", &self.bytes()).finish()
    }
}
