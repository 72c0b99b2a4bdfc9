//! [`RevocationFeed`]: how the engine of a store carries revocations to the other nodes at once.

use async_trait::async_trait;

use super::StoreError;
use crate::session::Revocation;

/// Carries revocations from the node that caused them to all nodes. Engines offer this as a change
/// stream, as publish and subscribe, or as `LISTEN` and `NOTIFY`.
///
/// A feed only makes nodes faster. Each node also polls
/// [`SessionStore::ended_since`](super::SessionStore::ended_since), which returns every revocation
/// that the feed lost. No request fails while the feed is down.
#[async_trait]
pub trait RevocationFeed: Send + Sync + 'static {
    /// Sends a revocation to the other nodes. The store has already written it. A node may receive
    /// its own revocations, which changes nothing.
    ///
    /// # Errors
    /// Any error is logged. The other nodes read the revocation at their next poll.
    async fn publish(&self, revocation: &Revocation) -> Result<(), StoreError>;

    /// Begins to listen. The subscription receives every revocation that is published from now on.
    ///
    /// # Errors
    /// Any error is logged. The node subscribes again at its next poll.
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError>;
}

/// Receives revocations from a [`RevocationFeed`].
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next revocation.
    ///
    /// # Errors
    /// Returns an error where a revocation may have been missed, or where the feed is gone. The
    /// node then polls and subscribes again.
    async fn next(&mut self) -> Result<Revocation, StoreError>;
}
