//! Following the other nodes: what has ended is read before the first token is verified, then polled, and heard of at
//! once where a feed is configured. The outbox is brought to the store before each poll.

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

/// How far back a poll reads beyond the last one. Clocks of nodes differ by up to a minute, and an ending is stamped up
/// to a store's timeout (a minute at most) before it is written. An ending that is read twice costs nothing.
const OVERLAP: Duration = Duration::from_secs(180);

/// How long endings of other nodes are remembered at least, where no access lifetime is shorter than the default of 15
/// minutes.
const USUAL_MEMORY: Duration = Duration::from_secs(15 * 60);

impl Revocations {
    /// Writes what this node has ended while the store was out of reach, and reads what has ended on other nodes.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]. What was known before stays known.
    pub(crate) async fn poll(self: &Arc<Self>) -> Result<(), Error> {
        let run = FlowRun::begin(&self.events, Operation::Poll, None, None);
        let result = run.watch(pin!(self.read())).await;
        self.gauges.set(self.report().gauges());
        result
    }

    async fn read(self: &Arc<Self>) -> Result<(), Error> {
        self.follow_shared_clock().await;
        self.empty_outbox().await;
        let (now, ahead) = (self.clock.now(), self.shared.ahead());
        let oldest = now.minus(self.settings.tombstone);
        let last = self.polled_at();
        // A clock that was set back does not say when the last poll was.
        let since = if last > now { oldest } else { last.minus(OVERLAP).max(oldest) };
        let revocations = self.sessions.ended_since(since.moved(ahead), now.moved(ahead)).await?;
        metrics::polled(revocations.len());
        self.poll_entries.store(revocations.len() as u64, Ordering::Relaxed);
        let is_first = last == NEVER;
        for revocation in &revocations {
            if is_first {
                self.set.add(revocation, now);
            } else {
                self.hear(revocation, now);
            }
        }
        if !is_first && now.since(last) > USUAL_MEMORY && self.settings.remembered > USUAL_MEMORY {
            // A node with a shorter access lifetime may have published an ending and forgotten it
            // since the last poll.
            self.blind_before.fetch_max(now.minus(USUAL_MEMORY).as_millis(), Ordering::AcqRel);
        }
        self.set.polled();
        self.set_polled_at(now);
        Ok(())
    }

    /// Remembers what another node has ended, for as long as this one would have, because the other may have a shorter
    /// access lifetime.
    fn hear(&self, revocation: &Revocation, now: Timestamp) {
        self.set.hear(revocation, now, now.plus(self.settings.tombstone));
    }

    /// Brings the outbox to the store. It runs as a task, because the request that polls may be given up.
    pub(super) async fn empty_outbox(self: &Arc<Self>) {
        let users = self.outbox().users();
        if users.is_empty() {
            return;
        }
        let this = Arc::clone(self);
        let brought = self.events.tasks.to_the_end(async move {
            let Ok(_one_at_a_time) = this.finishing.try_lock() else { return Ok(()) };
            for user in users {
                let left = this.outbox().of(&user);
                for unfinished in left {
                    // Another poll may have brought it, or a later ending of all may have covered it.
                    if !this.outbox().contains(&unfinished) {
                        continue;
                    }
                    let Err(error) = this.bring_late(&unfinished).await else {
                        this.outbox().done(&unfinished);
                        continue;
                    };
                    tracing::warn!(target: "portcullis", ?error, "an ending still cannot be written");
                    this.outbox().step_back(&unfinished);
                    if error.is_unavailable() {
                        // The next one would fail too, and the caller of the poll waits for this.
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = brought.await {
            tracing::error!(target: "portcullis", ?error, "endings that were put aside could not be written");
        }
    }

    /// Starts a task that reads what has ended, unless it was read or a task is reading it. No caller waits for the task.
    pub(crate) fn start(self: &Arc<Self>) {
        if self.is_loaded() || self.starting.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.starting.swap(true, Ordering::AcqRel) {
            runtime.spawn(Starter(Arc::downgrade(self)).load(self.settings.poll_interval));
        }
    }

    /// Waits until the first poll has succeeded. A restart therefore forgets nothing, and a store that is out of reach is
    /// 503 and never a pass.
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
            // The load that this caller waited for has just failed. Another try would only make the others wait longer.
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
                "no Tokio runtime: what other nodes end is seen only when `Auth::poll_revocations` is called"
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

/// The task that reads for the first time what has ended, and tries again as often as polls do.
struct Starter(Weak<Revocations>);

impl Starter {
    async fn load(self, retry: Duration) {
        loop {
            let Some(revocations) = self.0.upgrade() else { return };
            let _ = revocations.shared_now().await;
            let Err(error) = revocations.load().await else { return };
            drop(revocations);
            tracing::warn!(target: "portcullis", ?error, "what has ended could not be read at the start: it is tried again");
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

/// The polling task. When it ends with its runtime, and the `Auth` lives on, the next request loads again and starts
/// another task.
struct Follower(Weak<Revocations>);

impl Follower {
    async fn poll(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let Some(revocations) = self.0.upgrade() else { return };
            if let Err(error) = revocations.poll().await {
                tracing::warn!(target: "portcullis", ?error, "what other nodes have ended could not be read");
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

/// The listening task. It polls once it has subscribed, for what was published in between. After a failure it waits as
/// long as a poll does, so that a feed that fails at once costs no more than polling.
async fn listen(revocations: Weak<Revocations>, feed: Arc<dyn RevocationFeed>, retry: Duration) {
    loop {
        let heard = hear(&revocations, &*feed).await;
        if let Some(revocations) = revocations.upgrade() {
            revocations.is_feed_up.store(false, Ordering::Release);
        }
        if let Err(error) = heard {
            tracing::warn!(target: "portcullis", ?error, "the revocation feed failed: polling until it is back");
        }
        if revocations.strong_count() == 0 {
            return;
        }
        tokio::time::sleep(retry).await;
    }
}

async fn hear(revocations: &Weak<Revocations>, feed: &dyn RevocationFeed) -> Result<(), StoreError> {
    let mut subscription = feed.subscribe().await?;
    if let Some(revocations) = revocations.upgrade() {
        revocations.is_feed_up.store(true, Ordering::Release);
        if let Err(error) = revocations.poll().await {
            tracing::warn!(target: "portcullis", ?error, "what the feed may have missed could not be read");
        }
    }
    loop {
        let revocation = subscription.next().await?;
        let Some(revocations) = revocations.upgrade() else { return Ok(()) };
        revocations.hear(&revocation, revocations.clock.now());
    }
}
