//! Follows the other nodes. The first read of what has ended comes before the first token is
//! verified. Then a task polls, and a feed, where configured, brings revocations at once. Each poll
//! writes the outbox to the store first.

use std::{
    pin::pin,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{Revocations, revocations::NEVER};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    event::{FlowRun, Operation},
    metrics,
    session::Revocation,
    store::{RevocationFeed, StoreError},
};

/// How far a poll reads back beyond the last one. Clocks of nodes differ by up to a minute, and the
/// end of a session is stamped up to a store's timeout (a minute at most) before it is written. A
/// revocation that is read twice costs nothing.
const OVERLAP: Duration = Duration::from_secs(180);

/// How long revocations of other nodes are remembered at least, if no access lifetime is shorter
/// than the default of 15 minutes.
const USUAL_MEMORY: Duration = Duration::from_secs(15 * 60);

impl Revocations {
    /// Writes the outbox to the store, and reads which sessions other nodes have ended.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]. This node keeps what it knew
    /// before.
    pub(crate) async fn poll(self: &Arc<Self>) -> Result<(), Error> {
        let run = FlowRun::begin(&self.events, Operation::Poll, None, None);
        let result = run.watch(pin!(self.read())).await;
        self.gauges.set(self.report().gauges());
        result
    }

    async fn read(self: &Arc<Self>) -> Result<(), Error> {
        self.follow_shared_clock().await;
        self.write_outbox().await;
        let (now, ahead) = (self.clock.now(), self.shared.ahead());
        let oldest = now.minus(self.settings.tombstone);
        let last = self.polled_at();
        // If the clock was set back, the time of the last poll means nothing.
        let since = if last > now { oldest } else { last.minus(OVERLAP).max(oldest) };
        let revocations = self.sessions.ended_since(since.moved(ahead), now.moved(ahead)).await?;
        metrics::polled(revocations.len());
        self.poll_entries.store(revocations.len() as u64, Ordering::Relaxed);
        let is_first = last == NEVER;
        for revocation in &revocations {
            if is_first {
                self.set.add(revocation, now);
            } else {
                self.add_from_other_node(revocation, now);
            }
        }
        if !is_first && now.since(last) > USUAL_MEMORY && self.settings.remembered > USUAL_MEMORY {
            // A node with a shorter access lifetime may have published a revocation and forgotten
            // it since the last poll.
            self.blind_before.fetch_max(now.minus(USUAL_MEMORY).as_millis(), Ordering::AcqRel);
        }
        self.set.polled();
        self.set_polled_at(now);
        Ok(())
    }

    /// Adds a revocation of another node. It is remembered as long as one of this node, because the
    /// other may have a shorter access lifetime.
    fn add_from_other_node(&self, revocation: &Revocation, now: Timestamp) {
        self.set.add_from_other_node(revocation, now, now.plus(self.settings.tombstone));
    }

    /// Writes the outbox to the store. It runs as a task, because the request that polls may be
    /// dropped.
    pub(super) async fn write_outbox(self: &Arc<Self>) {
        let users = self.outbox().users();
        if users.is_empty() {
            return;
        }
        let this = Arc::clone(self);
        let written = self.events.tasks.to_the_end(async move {
            let Ok(_one_at_a_time) = this.writing_outbox.try_lock() else { return Ok(()) };
            for user in users {
                let left = this.outbox().of(&user);
                for pending in left {
                    // Another poll may have written it, or a later end of all sessions may cover
                    // it.
                    if !this.outbox().contains(&pending) {
                        continue;
                    }
                    let Err(error) = this.write_late(&pending).await else {
                        this.outbox().done(&pending);
                        continue;
                    };
                    tracing::warn!(target: "portcullis", ?error, "the end of a session still cannot be written");
                    this.outbox().move_to_back(&pending);
                    if error.is_unavailable() {
                        // The next one would fail too, and the caller of the poll waits for this.
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = written.await {
            tracing::error!(target: "portcullis", ?error, "sessions that have ended here could not be ended in the store");
        }
    }

    /// Starts a task that makes the first read, unless it was made or is being made. The caller
    /// does not wait for it.
    pub(crate) fn start(self: &Arc<Self>) {
        if self.is_loaded() || self.starting.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.starting.swap(true, Ordering::AcqRel) {
            runtime.spawn(Starter(Arc::downgrade(self)).load(self.settings.poll_interval));
        }
    }

    /// Waits until the first poll has succeeded. After a restart a node therefore knows what had
    /// ended before. While the store is out of reach, requests get 503 and are never admitted.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub(crate) async fn load(self: &Arc<Self>) -> Result<(), Error> {
        if self.is_loaded() {
            return Ok(());
        }
        let failed_before = self.failed_loads.load(Ordering::Acquire);
        let _one_at_a_time = self.loading.lock().await;
        if self.is_loaded() {
            return Ok(());
        }
        if self.failed_loads.load(Ordering::Acquire) != failed_before {
            // The load that this caller waited for has just failed. Another one would only make the
            // others wait longer.
            return Err(ErrorKind::StoreUnavailable.into());
        }
        if let Err(error) = self.poll().await {
            self.failed_loads.fetch_add(1, Ordering::AcqRel);
            return Err(error);
        }
        self.loaded.store(true, Ordering::Release);
        if let Ok(runtime) = Handle::try_current() {
            self.follow(&runtime);
        } else {
            tracing::warn!(
                target: "portcullis",
                "no Tokio runtime: this node learns what other nodes end only when `Auth::poll_revocations` is called"
            );
        }
        Ok(())
    }

    fn follow(self: &Arc<Self>, runtime: &Handle) {
        let interval = self.settings.poll_interval;
        let mut tasks = vec![runtime.spawn(Follower(Arc::downgrade(self)).poll(interval)).abort_handle()];
        if let Some(feed) = self.settings.feed.clone() {
            tasks.push(runtime.spawn(listen(Arc::downgrade(self), feed, interval)).abort_handle());
        }
        self.keep(tasks);
    }
}

/// Task that makes the first read, and repeats it at the polling interval until it succeeds.
struct Starter(Weak<Revocations>);

impl Starter {
    async fn load(self, retry: Duration) {
        loop {
            let Some(revocations) = self.0.upgrade() else { return };
            let _ = revocations.shared_now().await;
            let Err(error) = revocations.load().await else { return };
            drop(revocations);
            tracing::warn!(target: "portcullis", ?error, "the ended sessions could not be read at the start: trying again");
            tokio::time::sleep(retry).await;
        }
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        if let Some(revocations) = self.0.upgrade() {
            revocations.starting.store(false, Ordering::Release);
        }
    }
}

/// Polling task. If it ends with its runtime while the `Auth` lives on, the next request loads
/// again and starts another task.
struct Follower(Weak<Revocations>);

impl Follower {
    async fn poll(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let Some(revocations) = self.0.upgrade() else { return };
            if let Err(error) = revocations.poll().await {
                tracing::warn!(target: "portcullis", ?error, "the sessions that other nodes have ended could not be read");
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(revocations) = self.0.upgrade() {
            revocations.loaded.store(false, Ordering::Release);
        }
    }
}

/// Listens to the feed. After it has subscribed, it polls for what was published in between. After
/// a failure it waits for the polling interval, so that a feed that fails at once costs no more
/// than polling.
async fn listen(revocations: Weak<Revocations>, feed: Arc<dyn RevocationFeed>, retry: Duration) {
    loop {
        let followed = follow_feed(&revocations, &*feed).await;
        if let Some(revocations) = revocations.upgrade() {
            revocations.is_feed_up.store(false, Ordering::Release);
        }
        if let Err(error) = followed {
            tracing::warn!(target: "portcullis", ?error, "the revocation feed failed: polling until it is back");
        }
        if revocations.strong_count() == 0 {
            return;
        }
        tokio::time::sleep(retry).await;
    }
}

async fn follow_feed(revocations: &Weak<Revocations>, feed: &dyn RevocationFeed) -> Result<(), StoreError> {
    let mut subscription = feed.subscribe().await?;
    if let Some(revocations) = revocations.upgrade() {
        revocations.is_feed_up.store(true, Ordering::Release);
        if let Err(error) = revocations.poll().await {
            tracing::warn!(target: "portcullis", ?error, "the revocations that the feed may have missed could not be read");
        }
    }
    loop {
        let revocation = subscription.next().await?;
        let Some(revocations) = revocations.upgrade() else { return Ok(()) };
        revocations.add_from_other_node(&revocation, revocations.clock.now());
    }
}
