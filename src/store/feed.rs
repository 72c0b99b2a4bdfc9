//! How nodes learn at once what another has ended, where the engine can tell them.

use async_trait::async_trait;

use super::StoreError;
use crate::session::Revocation;

/// Tells every node what one of them has ended: a change stream, pub/sub, `LISTEN`/`NOTIFY`.
///
/// It only makes nodes faster: what it loses is brought by the next poll
/// ([`SessionStore::ended_since`](super::SessionStore::ended_since)), so it may be down without any request failing.
#[async_trait]
pub trait RevocationFeed: Send + Sync + 'static {
    /// Tells the other nodes; called after the store has the ending. Hearing its own endings again does a node no harm.
    ///
    /// # Errors
    /// Any; it is logged, and the poll makes up for it.
    async fn publish(&self, ending: &Revocation) -> Result<(), StoreError>;

    /// Begins to listen; what is published from now on reaches the subscription.
    ///
    /// # Errors
    /// Any; it is logged and tried again at the next poll.
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError>;
}

/// What a node hears of a [`RevocationFeed`].
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next ending.
    ///
    /// # Errors
    /// Where something may have been missed, or the feed is gone: the node then polls and subscribes anew.
    async fn next(&mut self) -> Result<Revocation, StoreError>;
}
