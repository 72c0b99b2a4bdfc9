//! What other nodes have ended: read once before the first token is verified, then polled.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{Auth, Inner};
use crate::{clock::Timestamp, error::Error, user::AuthUser};

/// How far back a poll reads beyond the last one: clocks of nodes differ, and an ending is stamped before it is written.
const OVERLAP: Duration = Duration::from_secs(10);

/// How this node follows the others.
#[derive(Debug)]
pub(crate) struct Nodes {
    poll_interval: Duration,
    loaded: AtomicBool,
    loading: tokio::sync::Mutex<()>,
    /// When the last successful poll began.
    polled_at: AtomicI64,
}

impl Nodes {
    pub(crate) fn new(poll_interval: Duration) -> Self {
        Self {
            poll_interval,
            loaded: AtomicBool::new(false),
            loading: tokio::sync::Mutex::new(()),
            polled_at: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }
}

impl<U: AuthUser> Auth<U> {
    /// Reads from the store what has ended on other nodes, since the last time or, the first time, since the oldest
    /// access token that may still be in use. One store round trip.
    ///
    /// It happens by itself, every 5 seconds unless configured otherwise; call it where something outside tells of an
    /// ending, or where no Tokio runtime serves the requests.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) and
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal): what was known before stays known.
    pub async fn poll_revocations(&self) -> Result<(), Error> {
        let nodes = &self.0.nodes;
        let now = self.now();
        let oldest = now.minus(self.0.lifetimes.tombstone);
        let last = Timestamp::from_millis(nodes.polled_at.load(Ordering::Acquire));
        let since = last.minus(OVERLAP).max(oldest);
        for ending in self.0.sessions.ended_since(since, now).await? {
            self.0.revocations.add(&ending, now);
        }
        nodes.polled_at.store(now.as_millis(), Ordering::Release);
        Ok(())
    }

    /// Makes sure that the first poll has succeeded: a restart forgets nothing, and a store that cannot be reached is 503
    /// rather than a pass.
    pub(super) async fn load_revocations(&self) -> Result<(), Error> {
        let nodes = &self.0.nodes;
        if nodes.is_loaded() {
            return Ok(());
        }
        let _one_at_a_time = nodes.loading.lock().await;
        if nodes.is_loaded() {
            return Ok(());
        }
        self.poll_revocations().await?;
        nodes.loaded.store(true, Ordering::Release);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let follower = Follower(Arc::downgrade(&self.0));
            runtime.spawn(follower.follow(nodes.poll_interval));
        } else {
            tracing::warn!(
                target: "portcullis",
                "no Tokio runtime: what other nodes end is seen only when `Auth::poll_revocations` is called"
            );
        }
        Ok(())
    }
}

/// The polling task. When it ends with its runtime while the `Auth` lives on, the next request loads afresh and starts
/// another.
struct Follower<U: AuthUser>(Weak<Inner<U>>);

impl<U: AuthUser> Follower<U> {
    async fn follow(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let Some(inner) = self.0.upgrade() else {
                return;
            };
            if let Err(error) = Auth(inner).poll_revocations().await {
                tracing::warn!(target: "portcullis", ?error, "what other nodes have ended could not be read");
            }
        }
    }
}

impl<U: AuthUser> Drop for Follower<U> {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.nodes.loaded.store(false, Ordering::Release);
        }
    }
}
