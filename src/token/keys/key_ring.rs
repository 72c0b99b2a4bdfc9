//! [`KeyRing`]: the keys of one kind of token, as an app configures them.

use std::time::Duration;

use super::Key;
use crate::clock::Timestamp;

/// The keys of one kind of token. The current key signs. It, the next key and the retired keys
/// verify.
///
/// The [module](super) describes the rotation of keys and has an example.
#[derive(Clone, Debug)]
pub struct KeyRing {
    pub(super) current: Key,
    pub(super) next: Option<Key>,
    pub(super) retired: Vec<Retired>,
    pub(super) max_token_lifetime: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct Retired {
    pub(super) key: Key,
    pub(super) at: Option<Timestamp>,
}

impl KeyRing {
    /// Makes a ring of one key. It signs, so it must be private.
    pub fn new(current: Key) -> Self {
        Self { current, next: None, retired: Vec::new(), max_token_lifetime: None }
    }

    /// Sets the key that will sign after the current one. It is published and verifies already, so
    /// that every verifier has it before its first token.
    #[must_use]
    pub fn with_next(mut self, key: Key) -> Self {
        self.next = Some(key);
        self
    }

    /// Adds a key that signed until this time. It verifies until the last token that it can have
    /// signed has expired, and stops then by itself.
    ///
    /// Never retire a key that has leaked. Leave it out, so that its tokens become invalid.
    #[must_use]
    pub fn with_retired(mut self, key: Key, retired_at: Timestamp) -> Self {
        self.retired.push(Retired { key, at: Some(retired_at) });
        self
    }

    /// Adds a key that signed before. It verifies until it is removed from the configuration.
    #[must_use]
    pub fn with_retired_indefinitely(mut self, key: Key) -> Self {
        self.retired.push(Retired { key, at: None });
        self
    }

    /// Sets the longest lifetime that a token of this ring ever had. Default: 1 day for access
    /// tokens, the maximal age of a session (30 days) for refresh tokens.
    ///
    /// It differs from the current lifetime, so that a shorter lifetime does not end older tokens.
    #[must_use]
    pub fn with_max_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_token_lifetime = Some(lifetime);
        self
    }

    /// Returns the longest lifetime, if one is set.
    pub(crate) fn max_token_lifetime(&self) -> Option<Duration> {
        self.max_token_lifetime
    }

    /// Returns whether the current key can sign.
    pub(crate) fn can_sign(&self) -> bool {
        self.current.is_private()
    }

    /// Returns every key of the ring.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.next).chain(self.retired.iter().map(|retired| &retired.key))
    }
}
