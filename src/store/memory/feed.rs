//! [`MemoryFeed`]: a feed inside one process.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::{
    session::Revocation,
    store::{RevocationFeed, StoreError, Subscription},
};

/// Carries revocations between several [`Auth`](crate::Auth)s of one process. Clones are the same
/// feed.
///
/// # Examples
/// ```
/// use portcullis::{
///     Auth,
///     store::memory::{MemoryFeed, MemoryStore},
/// };
///
/// let (store, feed) = (MemoryStore::new(), MemoryFeed::new());
/// let public = Auth::builder(store.clone(), store.clone()).revocation_feed(feed.clone());
/// let admin = Auth::builder(store.clone(), store).revocation_feed(feed);
/// # let _ = (public, admin);
/// ```
#[derive(Clone, Debug)]
pub struct MemoryFeed(broadcast::Sender<Revocation>);

impl MemoryFeed {
    /// How many revocations a slow listener may be behind. Beyond this it polls the store instead.
    const CAPACITY: usize = 1024;

    /// Makes a feed without listeners.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(Self::CAPACITY))
    }
}

impl Default for MemoryFeed {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RevocationFeed for MemoryFeed {
    async fn publish(&self, revocation: &Revocation) -> Result<(), StoreError> {
        // Sending fails only where there is no listener, which is no failure of the feed.
        let _ = self.0.send(revocation.clone());
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(Listener(self.0.subscribe())))
    }
}

struct Listener(broadcast::Receiver<Revocation>);

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> Result<Revocation, StoreError> {
        self.0.recv().await.map_err(StoreError::unavailable)
    }
}
