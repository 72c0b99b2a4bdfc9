//! [`Revocations`]: the state of this component, and the questions that a guard asks.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::AbortHandle;

use super::{
    clock_offset::ClockOffset,
    live_answers::LiveAnswers,
    outbox::{Outbox, PendingEnd},
    set::{RevokedSet, Standing},
};
use crate::{
    clock::{Clock, Timestamp},
    event::Events,
    metrics::{self, RevocationGauges},
    random,
    session::{EndReason, Ended, Revocation, SessionId},
    store::{RevocationFeed, SessionStore},
    token::Claims,
    user::UserId,
};

/// A time before all others.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

/// Number of calls within one millisecond that a store can distinguish.
const STAMPS: u64 = 16;

/// Settings: how this node follows the others, and how long it remembers what they end.
pub(crate) struct RevocationSettings {
    /// Maximum number of entries of the set, for sessions and for users each.
    pub(crate) capacity: usize,
    pub(crate) poll_interval: Duration,
    /// How long polls may fail before the guard asks the store about every token.
    pub(crate) max_poll_staleness: Option<Duration>,
    pub(crate) feed: Option<Arc<dyn RevocationFeed>>,
    /// Maximum age of an access token: its lifetime and the leeway.
    pub(crate) remembered: Duration,
    /// How long the end of a session is remembered: `remembered` and the clock skew.
    pub(crate) tombstone: Duration,
}

/// Ends sessions, on this node and on the others, and knows which access tokens are revoked.
pub(crate) struct Revocations {
    pub(super) settings: RevocationSettings,
    pub(super) sessions: Arc<dyn SessionStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: Arc<Events>,
    pub(super) set: RevokedSet,
    pub(super) live_answers: LiveAnswers,
    pub(super) loaded: AtomicBool,
    pub(super) loading: tokio::sync::Mutex<()>,
    /// Number of loads that have failed. A caller that waited for one of them does not repeat it.
    pub(super) failed_loads: AtomicU64,
    /// Whether a task is making the first read.
    pub(super) starting: AtomicBool,
    outbox: Mutex<Outbox>,
    /// Held by the task that writes the outbox to the store.
    pub(super) writing_outbox: tokio::sync::Mutex<()>,
    /// Start of the last successful poll, in milliseconds.
    polled_at: AtomicI64,
    /// Time in milliseconds. The end of a session may have been missed for tokens that were issued
    /// before it.
    pub(super) blind_before: AtomicI64,
    /// Entries that the last successful poll has read.
    pub(super) poll_entries: AtomicU64,
    /// The feed is subscribed.
    pub(super) is_feed_up: AtomicBool,
    pub(super) is_shutting_down: AtomicBool,
    pub(super) gauges: RevocationGauges,
    /// Endings for which the outbox had no room.
    pub(super) lost_revocations: AtomicU64,
    pub(super) shared: ClockOffset,
    stamps: AtomicU64,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Revocations {
    pub(crate) fn new(
        settings: RevocationSettings,
        sessions: Arc<dyn SessionStore>,
        clock: Arc<dyn Clock>,
        events: Arc<Events>,
    ) -> Self {
        Self {
            set: RevokedSet::new(settings.capacity),
            live_answers: LiveAnswers::default(),
            settings,
            sessions,
            clock,
            events,
            loaded: AtomicBool::new(false),
            loading: tokio::sync::Mutex::new(()),
            failed_loads: AtomicU64::new(0),
            starting: AtomicBool::new(false),
            outbox: Mutex::default(),
            writing_outbox: tokio::sync::Mutex::new(()),
            polled_at: AtomicI64::new(NEVER.as_millis()),
            blind_before: AtomicI64::new(NEVER.as_millis()),
            poll_entries: AtomicU64::new(0),
            is_feed_up: AtomicBool::new(false),
            is_shutting_down: AtomicBool::new(false),
            gauges: RevocationGauges::default(),
            lost_revocations: AtomicU64::new(0),
            shared: ClockOffset::new(),
            // Each node begins with another number.
            stamps: AtomicU64::new(random::bytes().map_or(0, |bytes| u64::from(u16::from_le_bytes(bytes)))),
            tasks: Mutex::default(),
        }
    }

    /// Returns whether this node has read which sessions have ended. Until then it may admit no
    /// token.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Returns what this node knows of an access token.
    pub(crate) fn standing(&self, claims: &Claims, now: Timestamp) -> Standing {
        let known = self.set.standing(&claims.session_id(), claims.subject(), claims.token_version(), now);
        let issued_at = claims.issued_at();
        let is_unsure = || {
            // A token from before a change of settings may live longer than this node remembers.
            issued_at < now.minus(self.settings.remembered)
                || issued_at.as_millis() < self.blind_before.load(Ordering::Acquire)
                || self.is_stale(now)
                // The token was issued before the store in memory began. The store knows neither
                // its session nor whether that session ended.
                || self.sessions.began().is_some_and(|began| issued_at.as_secs() < began.as_secs())
        };
        if known == Standing::Valid && is_unsure() { Standing::AskStore } else { known }
    }

    /// Waits for a revocation that may change the [`standing`](Self::standing) of this session or
    /// user. It misses none from this call on.
    pub(crate) fn revoked<'a>(
        &'a self,
        session: &SessionId,
        user: &UserId,
    ) -> impl Future<Output = ()> + Send + use<'a> {
        self.set.revoked(session, user)
    }

    /// Returns whether a revocation that found no room lately was one of this session or version.
    pub(crate) fn may_have_missed(&self, session: &SessionId, user: &UserId, version: u64) -> bool {
        self.set.may_have_missed(session, user, version)
    }

    /// Wakes all who wait for [`revoked`](Self::revoked), because the clock was moved.
    #[cfg(feature = "testing")]
    pub(crate) fn wake_all(&self) {
        self.set.wake_all();
    }

    /// Revokes the access tokens of a session on this node.
    pub(crate) fn revoke_session(&self, id: SessionId) -> Revocation {
        let now = self.clock.now();
        let revocation = Revocation::Session { id, keep_until: now.plus(self.settings.tombstone) };
        self.set.add(&revocation, now);
        self.set.touch_session(&id);
        revocation
    }

    /// Revokes the access tokens of lower versions on this node.
    pub(crate) fn revoke_versions(&self, user: &UserId, min_version: u64) -> Revocation {
        let now = self.clock.now();
        let keep_until = now.plus(self.settings.tombstone);
        let revocation = Revocation::User { id: user.clone(), min_version, keep_until };
        self.set.add(&revocation, now);
        self.set.touch_user(user);
        revocation
    }

    /// Makes the record of an end.
    pub(crate) fn ended(&self, reason: EndReason, at: Timestamp) -> Ended {
        Ended { at, reason, keep_until: at.plus(self.tombstone()) }
    }

    /// Returns how long a session that ends now is remembered. The result differs by a few
    /// milliseconds from call to call, so that a store can distinguish a repeated call from another
    /// call of the same millisecond.
    pub(crate) fn tombstone(&self) -> Duration {
        let stamp = self.stamps.fetch_add(1, Ordering::Relaxed) % STAMPS;
        self.settings.tombstone.saturating_sub(Duration::from_millis(stamp))
    }

    pub(super) fn polled_at(&self) -> Timestamp {
        Timestamp::from_millis(self.polled_at.load(Ordering::Acquire))
    }

    pub(super) fn set_polled_at(&self, at: Timestamp) {
        self.polled_at.store(at.as_millis(), Ordering::Release);
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        let age = self.poll_age(now);
        self.settings.max_poll_staleness.is_some_and(|limit| age.is_none_or(|age| age > limit))
    }

    /// Returns the time since the last successful poll, or `None` before the first. A poll in the
    /// future was made before the clock was set back, and is as far away.
    pub(super) fn poll_age(&self, now: Timestamp) -> Option<Duration> {
        let last = self.polled_at();
        (last != NEVER).then(|| now.since(last).max(last.since(now)))
    }

    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves an end in the outbox, for the polling task.
    pub(super) fn defer(&self, pending: PendingEnd) {
        if !self.outbox().defer(pending) {
            self.lost_revocations.fetch_add(1, Ordering::Relaxed);
            metrics::lost_revocation();
            tracing::error!(target: "portcullis", "the end of a session is lost: too many of them wait for a store that is out of reach");
        }
    }

    /// Keeps new tasks, and stops those of an earlier runtime.
    pub(super) fn keep(&self, tasks: Vec<AbortHandle>) {
        let old = std::mem::replace(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner), tasks);
        old.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Revocations {
    fn drop(&mut self) {
        self.keep(Vec::new());
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("poll_interval", &self.settings.poll_interval)
            .field("feed", &self.settings.feed.is_some())
            .field("loaded", &self.is_loaded())
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}
