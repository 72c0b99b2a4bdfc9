//! What other nodes have ended: read once before the first token is verified, then polled, and heard of at once where a
//! feed is configured.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, task::AbortHandle};

use super::{Auth, Inner};
use crate::{
    clock::Timestamp,
    error::Error,
    session::{Ending, SessionId, Standing},
    store::{RevocationFeed, Subscription},
    token::Claims,
    user::{AuthUser, UserId},
};

/// How far back a poll reads beyond the last one: clocks of nodes differ, and an ending is stamped before it is written.
const OVERLAP: Duration = Duration::from_secs(10);

/// How this node follows the others.
pub(crate) struct Nodes {
    poll_interval: Duration,
    /// How long polls may fail before the guard asks the store about every token.
    trust_without_poll: Option<Duration>,
    feed: Option<Arc<dyn RevocationFeed>>,
    loaded: AtomicBool,
    loading: tokio::sync::Mutex<()>,
    /// When the last successful poll began.
    polled_at: AtomicI64,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Nodes {
    pub(crate) fn new(
        poll_interval: Duration,
        trust_without_poll: Option<Duration>,
        feed: Option<Arc<dyn RevocationFeed>>,
    ) -> Self {
        Self {
            poll_interval,
            trust_without_poll,
            feed,
            loaded: AtomicBool::new(false),
            loading: tokio::sync::Mutex::new(()),
            polled_at: AtomicI64::new(i64::MIN),
            tasks: Mutex::default(),
        }
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    fn polled_at(&self) -> Timestamp {
        Timestamp::from_millis(self.polled_at.load(Ordering::Acquire))
    }

    fn is_out_of_touch(&self, now: Timestamp) -> bool {
        self.trust_without_poll.is_some_and(|limit| now.since(self.polled_at()) > limit)
    }

    /// Puts new tasks in the place of those of an earlier runtime.
    fn keep(&self, tasks: Vec<AbortHandle>) {
        let old = std::mem::replace(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner), tasks);
        old.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.keep(Vec::new());
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nodes")
            .field("poll_interval", &self.poll_interval)
            .field("feed", &self.feed.is_some())
            .field("loaded", &self.is_loaded())
            .finish_non_exhaustive()
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
        // A clock that was ahead for a while must not make the polls after it look too late.
        let last = nodes.polled_at().min(now.minus(nodes.poll_interval));
        let since = last.minus(OVERLAP).max(oldest);
        for ending in self.0.sessions.ended_since(since, now).await? {
            self.0.revocations.add(&ending, now);
        }
        nodes.polled_at.store(now.as_millis(), Ordering::Release);
        Ok(())
    }

    /// What this node knows of an access token.
    pub(super) fn standing(&self, claims: &Claims, now: Timestamp) -> Standing {
        let known = self.0.revocations.standing(&claims.session_id(), claims.subject(), claims.token_version(), now);
        if known == Standing::Good && self.0.nodes.is_out_of_touch(now) { Standing::AskStore } else { known }
    }

    /// Access tokens of the session stop counting on this node.
    pub(super) fn revoke_session(&self, id: SessionId, now: Timestamp) -> Ending {
        let ending = Ending::Session { id, keep_until: now.plus(self.0.lifetimes.tombstone) };
        self.0.revocations.add(&ending, now);
        ending
    }

    /// Access tokens of lower versions stop counting on this node.
    pub(super) fn revoke_versions(&self, user: &UserId, min_version: u64, now: Timestamp) -> Ending {
        let keep_until = now.plus(self.0.lifetimes.tombstone);
        let ending = Ending::User { id: user.clone(), min_version, keep_until };
        self.0.revocations.add(&ending, now);
        ending
    }

    /// Tells the other nodes, once the store has the ending.
    pub(super) async fn publish(&self, ending: &Ending) {
        let Some(feed) = &self.0.nodes.feed else { return };
        if let Err(error) = feed.publish(ending).await {
            tracing::warn!(target: "portcullis", ?error, "an ending could not be published: other nodes see it at their next poll");
        }
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
        // Listening begins before the poll, so that nothing falls between the two.
        let subscription = subscribe(nodes.feed.as_deref()).await;
        self.poll_revocations().await?;
        nodes.loaded.store(true, Ordering::Release);
        if let Ok(runtime) = Handle::try_current() {
            self.follow(&runtime, subscription);
        } else {
            tracing::warn!(
                target: "portcullis",
                "no Tokio runtime: what other nodes end is seen only when `Auth::poll_revocations` is called"
            );
        }
        Ok(())
    }

    fn follow(&self, runtime: &Handle, subscription: Option<Box<dyn Subscription>>) {
        let nodes = &self.0.nodes;
        let interval = nodes.poll_interval;
        let mut tasks = vec![runtime.spawn(Follower(Arc::downgrade(&self.0)).poll(interval)).abort_handle()];
        if let Some(feed) = nodes.feed.clone() {
            let listening = listen(Arc::downgrade(&self.0), feed, subscription, interval);
            tasks.push(runtime.spawn(listening).abort_handle());
        }
        nodes.keep(tasks);
    }
}

/// The polling task. When it ends with its runtime while the `Auth` lives on, the next request loads afresh and starts
/// another.
struct Follower<U: AuthUser>(Weak<Inner<U>>);

impl<U: AuthUser> Follower<U> {
    async fn poll(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let Some(inner) = self.0.upgrade() else { return };
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

/// The listening task; it subscribes anew after a failure, and polls for what it may have missed.
async fn listen<U: AuthUser>(
    auth: Weak<Inner<U>>,
    feed: Arc<dyn RevocationFeed>,
    mut subscription: Option<Box<dyn Subscription>>,
    retry: Duration,
) {
    loop {
        if let Some(endings) = &mut subscription {
            match endings.next().await {
                Ok(ending) => {
                    let Some(inner) = auth.upgrade() else { return };
                    inner.revocations.add(&ending, inner.clock.now());
                    continue;
                }
                Err(error) => {
                    tracing::warn!(target: "portcullis", ?error, "the feed of endings failed: subscribing anew");
                }
            }
        } else {
            tokio::time::sleep(retry).await;
        }
        subscription = subscribe(Some(&*feed)).await;
        let Some(inner) = auth.upgrade() else { return };
        if let Err(error) = Auth(inner).poll_revocations().await {
            tracing::warn!(target: "portcullis", ?error, "what the feed may have missed could not be read");
        }
    }
}

async fn subscribe(feed: Option<&dyn RevocationFeed>) -> Option<Box<dyn Subscription>> {
    match feed?.subscribe().await {
        Ok(subscription) => Some(subscription),
        Err(error) => {
            tracing::warn!(target: "portcullis", ?error, "the feed of endings cannot be heard: polling only");
            None
        }
    }
}
