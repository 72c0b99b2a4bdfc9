//! Tokens that were found good, so that an asymmetric signature is checked once and not on every request.
//!
//! Only successes are kept, and they are found by the whole token: nothing that differs in a byte is a hit. A hit saves the
//! signature and the parse and nothing else: the times, whether the key still counts, and what has ended are asked each
//! time. The memory is bounded in bytes, and what is used least goes first.
//!
//! Looking up compares hashes under a seed of the process before it compares tokens, so its timing tells nothing of how
//! much of a guess was right.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter, sync};

use super::{claims::Claims, verify::Times};
use crate::clock::Timestamp;

/// A token that was good, and what has to be asked again.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) claims: Claims,
    pub(super) times: Times,
    /// From when on its key no longer counts.
    pub(super) key_until: Option<Timestamp>,
}

/// The tokens that this node has found good.
pub(crate) struct TokenCache(sync::Cache<Token<Box<[u8]>>, Known, Bytes>);

/// A whole token: equal when every byte is.
#[derive(Clone, PartialEq, Eq)]
struct Token<T>(T);

/// How much of a token's end is hashed: of a signature under any algorithm, which differs between all tokens that are good.
const HASHED_BYTES: usize = 32;

/// By the end alone. Who makes up tokens with the same end has them compared, and never kept.
impl<T: AsRef<[u8]>> Hash for Token<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let token = self.0.as_ref();
        state.write(token.last_chunk::<HASHED_BYTES>().map_or(token, |end| end));
    }
}

impl Equivalent<Token<Box<[u8]>>> for Token<&[u8]> {
    fn equivalent(&self, kept: &Token<Box<[u8]>>) -> bool {
        *self.0 == *kept.0
    }
}

/// How many bytes an entry takes: the token, what was read of it, and the allocations around them.
#[derive(Clone)]
struct Bytes;

impl Weighter<Token<Box<[u8]>>, Known> for Bytes {
    fn weight(&self, token: &Token<Box<[u8]>>, known: &Known) -> u64 {
        (token.0.len() + known.claims.memory() + 256) as u64
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

    pub(super) fn get(&self, token: &[u8]) -> Option<Known> {
        self.0.get(&Token(token))
    }

    pub(super) fn insert(&self, token: &[u8], known: Known) {
        self.0.insert(Token(token.into()), known);
    }

    /// How many it takes now.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }

    /// Forgets a token that can never be good again.
    pub(super) fn remove(&self, token: &[u8]) {
        self.0.remove(&Token(token));
    }
}

/// Tokens are secrets.
impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("tokens", &self.0.len()).field("bytes", &self.bytes()).finish()
    }
}
