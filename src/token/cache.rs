//! Remembers valid access tokens, so that an asymmetric signature is checked once and not on every
//! request.
//!
//! Only valid tokens are kept. A hit needs the whole token: every byte must be equal. A hit saves
//! only the check of the signature and the parse. The times, the retirement of the key and
//! revocations are checked on every request. The memory is bounded in bytes, and the least used
//! tokens are removed first.
//!
//! A lookup compares hashes with a seed of the process before it compares tokens, so its timing
//! does not show how much of a guess is correct.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter, sync};

use super::{claims::Claims, verify::Times};
use crate::clock::Timestamp;

/// The claims of a valid token, and what a hit checks again.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) claims: Claims,
    pub(super) times: Times,
    /// When its key stops verifying.
    pub(super) key_until: Option<Timestamp>,
}

/// The valid tokens that this node has seen.
pub(crate) struct TokenCache(sync::Cache<Token<Box<[u8]>>, Known, Bytes>);

/// A whole token. Two are equal if every byte is equal.
#[derive(Clone, PartialEq, Eq)]
struct Token<T>(T);

/// The number of bytes at the end of a token that are hashed. They belong to the signature, which
/// differs between all valid tokens.
const HASHED_BYTES: usize = 32;

/// Hashes the end alone. Forged tokens with the same end are compared and never kept.
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

/// Estimates the bytes of an entry: the token, its claims, and the allocations around them.
#[derive(Clone)]
struct Bytes;

impl Weighter<Token<Box<[u8]>>, Known> for Bytes {
    fn weight(&self, token: &Token<Box<[u8]>>, known: &Known) -> u64 {
        (token.0.len() + known.claims.memory() + 256) as u64
    }
}

/// An estimate for a token of usual length and its claims. The capacity of the table depends on it.
const USUAL_BYTES: usize = 1024;

impl TokenCache {
    /// Returns a cache of at most this many bytes. Returns `None` for zero.
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

    /// Returns the bytes in use.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }

    /// Removes a token that can never be valid again.
    pub(super) fn remove(&self, token: &[u8]) {
        self.0.remove(&Token(token));
    }
}

/// Shows only numbers, because tokens are secrets.
impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("tokens", &self.0.len()).field("bytes", &self.bytes()).finish()
    }
}
