//! A feed inside one process.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::{
    session::Revocation,
    store::{RevocationFeed, StoreError, Subscription},
};

/// Connects several [`Auth`](crate::Auth) of one process; clones are the same feed.
#[derive(Clone, Debug)]
pub struct MemoryFeed(broadcast::Sender<Revocation>);

impl MemoryFeed {
    /// How many endings a slow listener may lag behind before it polls the store instead.
    const CAPACITY: usize = 1024;

    /// A feed that nobody listens to yet.
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
    async fn publish(&self, ending: &Revocation) -> Result<(), StoreError> {
        // Nobody listening is no failure.
        let _ = self.0.send(ending.clone());
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
