//! The keys of one kind of token, as an app hands them over.

use std::time::Duration;

use super::Key;
use crate::clock::Timestamp;

/// The keys of one kind of token: the current one signs, and it, the next and the retired ones verify.
///
/// See the [module](super) for how keys are rotated.
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
    /// A ring of one key, which signs; it must be a private one.
    pub fn new(current: Key) -> Self {
        Self { current, next: None, retired: Vec::new(), max_token_lifetime: None }
    }

    /// The key that will sign after this one: published and verified already, so that no verifier meets its first token
    /// unprepared.
    #[must_use]
    pub fn with_next(mut self, key: Key) -> Self {
        self.next = Some(key);
        self
    }

    /// A key that signed until this moment: it verifies until the longest token it can have signed has expired, and then
    /// no more, whether it is taken out of the configuration or not.
    ///
    /// Never for a key that has leaked: that one is dropped, and its tokens with it.
    #[must_use]
    pub fn with_retired(mut self, key: Key, retired_at: Timestamp) -> Self {
        self.retired.push(Retired { key, at: Some(retired_at) });
        self
    }

    /// A key that signed before and verifies until it is taken out of the configuration.
    #[must_use]
    pub fn with_retired_indefinitely(mut self, key: Key) -> Self {
        self.retired.push(Retired { key, at: None });
        self
    }

    /// Sets the longest lifetime that a token of this ring ever had. Default: 1 day for access tokens, the session's
    /// maximal age (30 days) for refresh tokens. It is apart from the present lifetime, so that no token ends when that
    /// one is made shorter.
    #[must_use]
    pub fn with_max_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_token_lifetime = Some(lifetime);
        self
    }

    /// The longest lifetime, where one was set.
    pub(crate) fn max_token_lifetime(&self) -> Option<Duration> {
        self.max_token_lifetime
    }

    /// Whether the current key can sign.
    pub(crate) fn can_sign(&self) -> bool {
        self.current.is_private()
    }

    /// Every key of the ring.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.next).chain(self.retired.iter().map(|retired| &retired.key))
    }
}
