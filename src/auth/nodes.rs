//! What other nodes have ended: read once before the first token is verified, then polled, and heard of at once where a
//! feed is configured.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, task::AbortHandle};

use super::{
    Auth, ClientInfo, Inner,
    run::{FlowRun, of_a_write},
    shared_time::SharedTime,
    to_the_end,
    unfinished::{Left, Unfinished},
};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    event::{EndAllReason, EventKind, Operation},
    random,
    revocation::Standing,
    session::{Revocation, Session, SessionId},
    store::{EndAll, RevocationFeed, StoreError},
    token::Claims,
    user::{AuthUser, UserId},
};

/// A moment before all others.
const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

/// How many calls of one millisecond a store can tell from each other.
const STAMPS: u64 = 16;

/// How far back a poll reads beyond the last one: clocks of nodes differ by up to a minute, and an ending is stamped up to a
/// store's timeout (a minute at most) before it is written. Hearing of an ending again costs nothing.
const OVERLAP: Duration = Duration::from_secs(180);

/// How long endings of other nodes are remembered at least, where no access lifetime is shorter
/// than the default of 15 minutes.
const USUAL_MEMORY: Duration = Duration::from_secs(15 * 60);

/// How this node follows the others.
pub(crate) struct Nodes {
    poll_interval: Duration,
    /// How long polls may fail before the guard asks the store about every token.
    max_poll_staleness: Option<Duration>,
    feed: Option<Arc<dyn RevocationFeed>>,
    loaded: AtomicBool,
    loading: tokio::sync::Mutex<()>,
    /// How many loads have failed: who waited for one that did need not try it again.
    failed_loads: AtomicU64,
    /// A task is there that reads for the first time what has ended.
    starting: AtomicBool,
    left: Mutex<Left>,
    /// Held by who brings them to the store.
    finishing: tokio::sync::Mutex<()>,
    /// When the last successful poll began.
    polled_at: AtomicI64,
    /// Of tokens that were issued before this moment an ending may have been missed, in milliseconds.
    blind_before: AtomicI64,
    pub(super) time: SharedTime,
    stamps: AtomicU64,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Nodes {
    pub(crate) fn new(
        poll_interval: Duration,
        max_poll_staleness: Option<Duration>,
        feed: Option<Arc<dyn RevocationFeed>>,
    ) -> Self {
        Self {
            poll_interval,
            max_poll_staleness,
            feed,
            loaded: AtomicBool::new(false),
            loading: tokio::sync::Mutex::new(()),
            failed_loads: AtomicU64::new(0),
            starting: AtomicBool::new(false),
            left: Mutex::default(),
            finishing: tokio::sync::Mutex::new(()),
            polled_at: AtomicI64::new(NEVER.as_millis()),
            blind_before: AtomicI64::new(NEVER.as_millis()),
            time: SharedTime::new(),
            // Other nodes begin elsewhere.
            stamps: AtomicU64::new(random::bytes().map_or(0, |bytes| u64::from(u16::from_le_bytes(bytes)))),
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
        let last = self.polled_at();
        // A poll of the future was one of a clock that has been set back since.
        self.max_poll_staleness.is_some_and(|limit| now.since(last) > limit || last.since(now) > limit)
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_aside(&self, unfinished: Unfinished) {
        if !self.left().put_aside(unfinished) {
            tracing::error!(target: "portcullis", "an ending is lost: the store has been out of reach for too many of them");
        }
    }

    /// By how many milliseconds less than the last one an ending is remembered.
    pub(super) fn next_stamp(&self) -> Duration {
        Duration::from_millis(self.stamps.fetch_add(1, Ordering::Relaxed) % STAMPS)
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
    /// Writes what this node has ended while the store was out of reach, and reads what has ended on other nodes.
    ///
    /// That is since the last time or, the first time, since the oldest access token that may still be in use. One store round
    /// trip, and one for each ending that was left.
    ///
    /// It happens by itself, every 5 seconds unless configured otherwise; call it where something outside tells of an
    /// ending, or where no Tokio runtime serves the requests.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]: what was known before stays known.
    pub async fn poll_revocations(&self) -> Result<(), Error> {
        let flow = self.flow(Operation::Poll, &ClientInfo::unknown());
        self.watch(&flow, pin!(self.poll())).await
    }

    async fn poll(&self) -> Result<(), Error> {
        let nodes = &self.0.nodes;
        self.follow_shared_clock().await;
        self.finish_what_is_left().await;
        let (now, ahead) = (self.now(), nodes.time.ahead());
        let oldest = now.minus(self.0.lifetimes.tombstone);
        let last = nodes.polled_at();
        // A clock that was set back says nothing of when the last poll was.
        let since = if last > now { oldest } else { last.minus(OVERLAP).max(oldest) };
        let endings = self.0.sessions.ended_since(since.moved(ahead), now.moved(ahead)).await?;
        let is_first = last == NEVER;
        for ending in &endings {
            if is_first {
                self.0.revocations.add(ending, now);
            } else {
                self.hear(ending, now);
            }
        }
        if !is_first && now.since(last) > USUAL_MEMORY && self.0.lifetimes.remembered > USUAL_MEMORY {
            // A node with a shorter access lifetime may have published an ending and forgotten it
            // since the last poll.
            nodes.blind_before.fetch_max(now.minus(USUAL_MEMORY).as_millis(), Ordering::AcqRel);
        }
        self.0.revocations.polled();
        nodes.polled_at.store(now.as_millis(), Ordering::Release);
        Ok(())
    }

    /// Remembers what another node has ended, for as long as this one would have: the other may have a shorter access
    /// lifetime.
    fn hear(&self, ending: &Revocation, now: Timestamp) {
        self.0.revocations.hear(ending, now, now.plus(self.0.lifetimes.tombstone));
    }

    /// What this node knows of an access token.
    pub(super) fn standing(&self, claims: &Claims, now: Timestamp) -> Standing {
        let known = self.0.revocations.standing(&claims.session_id(), claims.subject(), claims.token_version(), now);
        let issued_at = claims.issued_at();
        let nodes = &self.0.nodes;
        let is_unsure = || {
            // One of an earlier setting, which outlives what is remembered.
            issued_at < now.minus(self.0.lifetimes.remembered)
                || issued_at.as_millis() < nodes.blind_before.load(Ordering::Acquire)
                || nodes.is_out_of_touch(now)
                // The token was issued before the store in memory began. The store knows neither its
                // session nor whether that session ended.
                || self.0.sessions.began().is_some_and(|began| issued_at.as_secs() < began.as_secs())
        };
        if known == Standing::Good && is_unsure() { Standing::AskStore } else { known }
    }

    /// Access tokens of the session stop counting on this node.
    pub(super) fn revoke_session(&self, id: SessionId, now: Timestamp) -> Revocation {
        let ending = Revocation::Session { id, keep_until: now.plus(self.0.lifetimes.tombstone) };
        self.0.revocations.add(&ending, now);
        ending
    }

    /// Access tokens of lower versions stop counting on this node.
    pub(super) fn revoke_versions(&self, user: &UserId, min_version: u64, now: Timestamp) -> Revocation {
        let keep_until = now.plus(self.0.lifetimes.tombstone);
        let ending = Revocation::User { id: user.clone(), min_version, keep_until };
        self.0.revocations.add(&ending, now);
        ending
    }

    /// Tells the other nodes, once the store has the ending. Nobody waits for it: a feed may hang.
    pub(super) fn publish(&self, ending: Revocation) {
        let Some(feed) = self.0.nodes.feed.clone() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = feed.publish(&ending).await {
                tracing::warn!(target: "portcullis", ?error, "an ending could not be published: other nodes see it at their next poll");
            }
        });
    }

    /// Brings an ending into the store, asking twice; one that the store cannot take now is brought by the polling task.
    /// Answers whether it ended anything.
    pub(super) async fn finish(&self, unfinished: Unfinished) -> Result<bool, Error> {
        let result = match self.bring(&unfinished).await {
            // A store recognises its own ending, and answers as it did the first time.
            Err(error) if error.is_unavailable() => self.bring(&unfinished).await,
            result => result,
        };
        if result.as_ref().is_err_and(StoreError::is_unavailable) {
            self.0.nodes.put_aside(unfinished);
        }
        result.map_err(of_a_write)
    }

    /// As [`finish`](Self::finish), for an ending that keeps a session. The retry later keeps none: its client has been told
    /// that the change failed.
    pub(super) async fn end_all(
        &self,
        all: EndAll,
        (reason, flow): (EndAllReason, &FlowRun),
    ) -> Result<Option<Session>, Error> {
        let result = match self.0.sessions.end_all(&all).await {
            Err(error) if error.is_unavailable() => self.0.sessions.end_all(&all).await,
            result => result,
        };
        if result.is_ok() {
            self.0.nodes.left().forget_covered(&all, true);
        } else if result.as_ref().is_err_and(StoreError::is_unavailable) {
            let EndAll { user_id, min_version, ended, .. } = all;
            let all = EndAll::new(user_id, min_version, ended);
            self.0.nodes.put_aside(Unfinished::All(all, Some((reason, flow.clone()))));
        }
        result.map_err(of_a_write)
    }

    /// Asks the store once, and tells of what it has ended.
    async fn bring(&self, unfinished: &Unfinished) -> Result<bool, StoreError> {
        match unfinished {
            Unfinished::Session(user, id, ended, flow) => {
                let live = self.0.sessions.end(user, id, *ended).await?;
                if live {
                    self.tell_of(flow, EventKind::SessionEnded { reason: ended.reason }, user, *id);
                }
                Ok(live)
            }
            Unfinished::All(all, told) => {
                self.0.sessions.end_all(all).await?;
                self.0.nodes.left().forget_covered(all, told.is_some());
                if let Some((reason, flow)) = told {
                    self.tell(flow, EventKind::SessionsEnded { reason: *reason, kept: None });
                }
                Ok(true)
            }
        }
    }

    /// Tries again what the store could not take; as a task, because the request that polls may be given up.
    async fn finish_what_is_left(&self) {
        let users = self.0.nodes.left().users();
        if users.is_empty() {
            return;
        }
        let auth = self.clone();
        let brought = to_the_end(async move {
            let nodes = &auth.0.nodes;
            let Ok(_one_at_a_time) = nodes.finishing.try_lock() else { return Ok(()) };
            for user in users {
                let left = nodes.left().of(&user);
                for unfinished in left {
                    // Another poll may have brought it, or a later ending of all have made up for it.
                    if !nodes.left().contains(&unfinished) {
                        continue;
                    }
                    let Err(error) = auth.bring_late(&unfinished).await else {
                        nodes.left().done(&unfinished);
                        continue;
                    };
                    tracing::warn!(target: "portcullis", ?error, "an ending still cannot be written");
                    nodes.left().step_back(&unfinished);
                    if error.is_unavailable() {
                        // Nor will the next one, and who polls waits for this.
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = brought.await {
            tracing::error!(target: "portcullis", ?error, "endings that were left could not be brought");
        }
    }

    /// Waits until this node has read what has ended, which it begins by itself when it is built in a Tokio runtime: for
    /// checks of readiness, and before a server listens. Guarded requests wait for it too.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]: guarded requests are answered the same until it succeeds.
    pub async fn ready(&self) -> Result<(), Error> {
        let _ = self.shared_now().await;
        self.load_revocations().await
    }

    /// As [`bring`](Self::bring), for an ending that was left. Other nodes ask for what ended lately, so it ends now.
    async fn bring_late(&self, unfinished: &Unfinished) -> Result<(), StoreError> {
        let mut late = unfinished.clone();
        let now = self.shared_now().await;
        late.restamp(|reason| self.ended(reason, now));
        self.bring(&late).await.map(drop)
    }

    /// Starts a task that reads what has ended, unless it was read or a task is reading it. No caller
    /// waits for the task.
    pub(crate) fn start(&self) {
        let nodes = &self.0.nodes;
        if nodes.is_loaded() || nodes.starting.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if !nodes.starting.swap(true, Ordering::AcqRel) {
            runtime.spawn(Starter(Arc::downgrade(&self.0)).load(nodes.poll_interval));
        }
    }

    /// Makes sure that the first poll has succeeded: a restart forgets nothing, and a store that cannot be reached is 503
    /// rather than a pass.
    pub(super) async fn load_revocations(&self) -> Result<(), Error> {
        let nodes = &self.0.nodes;
        if nodes.is_loaded() {
            return Ok(());
        }
        let failed_before = nodes.failed_loads.load(Ordering::Acquire);
        let _one_at_a_time = nodes.loading.lock().await;
        if nodes.is_loaded() {
            return Ok(());
        }
        if nodes.failed_loads.load(Ordering::Acquire) != failed_before {
            // The load that this one waited for has just failed; asking again would only queue the others up.
            return Err(ErrorKind::StoreUnavailable.into());
        }
        if let Err(error) = self.poll_revocations().await {
            nodes.failed_loads.fetch_add(1, Ordering::AcqRel);
            return Err(error);
        }
        nodes.loaded.store(true, Ordering::Release);
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

    fn follow(&self, runtime: &Handle) {
        let nodes = &self.0.nodes;
        let interval = nodes.poll_interval;
        let mut tasks = vec![runtime.spawn(Follower(Arc::downgrade(&self.0)).poll(interval)).abort_handle()];
        if let Some(feed) = nodes.feed.clone() {
            tasks.push(runtime.spawn(listen(Arc::downgrade(&self.0), feed, interval)).abort_handle());
        }
        nodes.keep(tasks);
    }
}

/// The task that reads for the first time what has ended, and tries again as often as polls do.
struct Starter<U: AuthUser>(Weak<Inner<U>>);

impl<U: AuthUser> Starter<U> {
    async fn load(self, retry: Duration) {
        loop {
            let Some(inner) = self.0.upgrade() else { return };
            let auth = Auth(inner);
            let _ = auth.shared_now().await;
            let Err(error) = auth.load_revocations().await else { return };
            drop(auth);
            tracing::warn!(target: "portcullis", ?error, "what has ended could not be read at the start: it is tried again");
            tokio::time::sleep(retry).await;
        }
    }
}

impl<U: AuthUser> Drop for Starter<U> {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.nodes.starting.store(false, Ordering::Release);
        }
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

/// The listening task. Having subscribed it polls, for what fell in between; after a failure it waits for as long as a poll
/// does, so that a feed that fails at once costs no more than polling.
async fn listen<U: AuthUser>(auth: Weak<Inner<U>>, feed: Arc<dyn RevocationFeed>, retry: Duration) {
    loop {
        if let Err(error) = hear(&auth, &*feed).await {
            tracing::warn!(target: "portcullis", ?error, "the feed of endings failed: polling until it is back");
        }
        if auth.strong_count() == 0 {
            return;
        }
        tokio::time::sleep(retry).await;
    }
}

async fn hear<U: AuthUser>(auth: &Weak<Inner<U>>, feed: &dyn RevocationFeed) -> Result<(), StoreError> {
    let mut subscription = feed.subscribe().await?;
    if let Some(inner) = auth.upgrade()
        && let Err(error) = Auth(inner).poll_revocations().await
    {
        tracing::warn!(target: "portcullis", ?error, "what the feed may have missed could not be read");
    }
    loop {
        let ending = subscription.next().await?;
        let Some(inner) = auth.upgrade() else { return Ok(()) };
        let auth = Auth(inner);
        auth.hear(&ending, auth.now());
    }
}
