//! [`RevokedSet`]: the revocations that this node remembers, so that access tokens are refused at
//! once without I/O.
//!
//! It has one map of ended sessions, and one of users with their lowest accepted token version.
//! Each map is split into shards with a lock each. An entry is needed only until the last access
//! token of its session has expired. No entry is removed earlier. A full set says so, and the guard
//! then asks the store.
//!
//! Waiting tasks are spread by key over 1024 [`Notify`]s. A revocation wakes the tasks of one of
//! them, and each checks whether the revocation concerns it. Where no task waits, a revocation
//! costs one more atomic operation.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    overflow::Missed,
    sharded_map::{Expires, Inserted, Shards},
};
use crate::{
    clock::Timestamp,
    session::{Revocation, SessionId},
    user::UserId,
};

/// What the set knows about an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Neither its session nor its token version is revoked.
    Valid,
    /// Its session or its token version is revoked.
    Ended,
    /// The set may have missed a revocation, because it was full at some time: ask the store.
    AskStore,
}

pub(crate) struct RevokedSet {
    sessions: Shards<SessionId, Timestamp>,
    users: Shards<UserId, MinVersion>,
    capacity: usize,
    /// Time until which a missed revocation counts, in milliseconds.
    missed_until: AtomicI64,
    missed: Mutex<Missed>,
    /// Counts endings by their key, from the first [`epoch`](RevokedSet::epoch) on.
    counts: OnceLock<Box<[AtomicU32]>>,
}

/// Number of counts. Keys that share one only cause a question to the store.
const COUNTS: usize = 65_536;

/// Says whether an ending of a session or of its user has come meanwhile: two epochs are equal if
/// none has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    session: u32,
    user: u32,
}

#[derive(Clone, Copy)]
struct MinVersion {
    min_version: u64,
    keep_until: Timestamp,
}

impl Expires for MinVersion {
    fn keep_until(&self) -> Timestamp {
        self.keep_until
    }
}

impl RevokedSet {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            sessions: Shards::new(),
            users: Shards::new(),
            capacity,
            missed_until: AtomicI64::new(i64::MIN),
            missed: Mutex::default(),
            counts: OnceLock::new(),
        }
    }

    /// Returns the number of ended sessions that it holds.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Returns the number of users that have a minimum version here.
    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// Returns how long an ending that found no room still counts.
    pub(super) fn full_for(&self, now: Timestamp) -> Option<Duration> {
        let until = self.missed_until.load(Ordering::Acquire);
        (now.as_millis() < until).then(|| Timestamp::from_millis(until).since(now))
    }

    /// Returns the epoch of a session and its user.
    pub(super) fn epoch(&self, session: &SessionId, user: &UserId) -> Epoch {
        let counts = self.counts.get_or_init(|| (0..COUNTS).map(|_| AtomicU32::new(0)).collect());
        let read = |hash| count(counts, hash).map_or(0, |count| count.load(Ordering::Acquire));
        Epoch { session: read(self.sessions.hash(session)), user: read(self.users.hash(user)) }
    }

    /// Begins a new epoch for a session that has ended or is ending.
    pub(super) fn touch_session(&self, session: &SessionId) {
        self.touch(self.sessions.hash(session));
    }

    /// Begins a new epoch for the sessions of a user.
    pub(super) fn touch_user(&self, user: &UserId) {
        self.touch(self.users.hash(user));
    }

    fn touch(&self, hash: u64) {
        if let Some(count) = self.counts.get().and_then(|counts| count(counts, hash)) {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns whether the session or the version of an access token is revoked.
    pub(crate) fn standing(&self, session: &SessionId, user: &UserId, version: u64, now: Timestamp) -> Standing {
        let ended = self.sessions.read(session, |until| now < *until).unwrap_or(false)
            || self.users.read(user, |least| version < least.min_version && now < least.keep_until).unwrap_or(false);
        if ended {
            Standing::Ended
        } else if now.as_millis() < self.missed_until.load(Ordering::Acquire) {
            Standing::AskStore
        } else {
            Standing::Valid
        }
    }

    /// Returns whether a missed revocation was one of this session or version. It does not know of
    /// those that were too many to remember.
    pub(crate) fn may_have_missed(&self, session: &SessionId, user: &UserId, version: u64) -> bool {
        let (session, user) = (self.sessions.hash(session), self.users.hash(user));
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.min_version(session).is_some() || missed.min_version(user).is_some_and(|least| version < least)
    }

    /// Called after all revocations of a poll were added.
    pub(crate) fn polled(&self) {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).polled();
    }

    /// Remembers that a revocation found no room. Returns whether it is new.
    fn set_missed(&self, revocation: &Revocation, now: Timestamp) -> bool {
        let (key, min_version, until) = match revocation {
            Revocation::Session { id, keep_until } => (self.sessions.hash(id), u64::MAX, *keep_until),
            Revocation::User { id, min_version, keep_until } => (self.users.hash(id), *min_version, *keep_until),
        };
        let before = self.missed_until.fetch_max(until.as_millis(), Ordering::AcqRel);
        if before <= now.as_millis() {
            tracing::warn!(
                target: "portcullis",
                capacity = self.capacity,
                "the set of ended sessions is full: guards ask the store until it has room again"
            );
        }
        let is_news = self.missed.lock().unwrap_or_else(PoisonError::into_inner).add(key, min_version);
        if is_news {
            self.touch(key);
        }
        is_news
    }

    /// Waits for a revocation that may change the [`standing`](Self::standing) of this session or
    /// user. It misses none from this call on, also before the first poll.
    pub(crate) fn revoked<'a>(
        &'a self,
        session: &SessionId,
        user: &UserId,
    ) -> impl Future<Output = ()> + Send + use<'a> {
        // They are registered here, and not at the first poll of the future.
        let session = self.sessions.notifier(session).map(Notify::notified);
        let user = self.users.notifier(user).map(Notify::notified);
        async move {
            let (Some(session), Some(user)) = (session, user) else { return };
            let (mut session, mut user) = (pin!(session), pin!(user));
            poll_fn(|cx| match session.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => user.as_mut().poll(cx),
            })
            .await;
        }
    }

    /// Wakes all who wait for [`revoked`](Self::revoked), because the clock was moved.
    #[cfg(feature = "testing")]
    pub(crate) fn wake_all(&self) {
        self.sessions.wake_all();
    }

    /// Adds a revocation of another node. It is remembered at least until `at_least`, unless it was
    /// known before.
    pub(crate) fn add_from_other_node(&self, revocation: &Revocation, now: Timestamp, at_least: Timestamp) {
        let is_known = match revocation {
            Revocation::Session { id, .. } => self.sessions.read(id, |until| now < *until),
            Revocation::User { id, min_version, .. } => {
                self.users.read(id, |known| *min_version <= known.min_version && now < known.keep_until)
            }
        };
        let mut revocation = revocation.clone();
        if is_known != Some(true) {
            let (Revocation::Session { keep_until, .. } | Revocation::User { keep_until, .. }) = &mut revocation;
            // An expired one stays expired.
            if now < *keep_until {
                *keep_until = at_least.max(*keep_until);
            }
        }
        self.add(&revocation, now);
    }

    /// Adds a revocation. A second call with the same one changes nothing.
    pub(crate) fn add(&self, revocation: &Revocation, now: Timestamp) {
        let inserted = match revocation {
            Revocation::Session { keep_until, .. } | Revocation::User { keep_until, .. } if *keep_until <= now => {
                return;
            }
            Revocation::Session { id, keep_until } => {
                let merge = |old: &mut Timestamp| {
                    let was_expired = *old <= now;
                    *old = (*old).max(*keep_until);
                    was_expired
                };
                self.sessions.insert(id, *keep_until, merge, self.capacity, now)
            }
            Revocation::User { id, min_version, keep_until } => {
                let least = MinVersion { min_version: *min_version, keep_until: *keep_until };
                let merge = |old: &mut MinVersion| {
                    let is_new = old.min_version < least.min_version || old.keep_until <= now;
                    old.min_version = old.min_version.max(least.min_version);
                    old.keep_until = old.keep_until.max(least.keep_until);
                    is_new
                };
                self.users.insert(id, least, merge, self.capacity, now)
            }
        };
        // Polls read again what they read before. That wakes no task.
        let is_new = match inserted {
            Inserted::New => true,
            Inserted::Known => false,
            Inserted::NoRoom => self.set_missed(revocation, now),
        };
        if is_new {
            let notifier = match revocation {
                Revocation::Session { id, .. } => self.sessions.notifier(id),
                Revocation::User { id, .. } => self.users.notifier(id),
            };
            if let Some(notifier) = notifier {
                notifier.notify_waiters();
            }
        }
    }
}

fn count(counts: &[AtomicU32], hash: u64) -> Option<&AtomicU32> {
    counts.get(usize::try_from(hash % COUNTS as u64).unwrap_or(0))
}

impl std::fmt::Debug for RevokedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RevokedSet")
            .field("sessions", &self.sessions.len())
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sharded_map::SHARDS, *};

    fn session(n: u32) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn later(secs: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(secs))
    }

    #[test]
    fn an_ended_session_is_known_until_its_tombstone_expires() {
        let set = RevokedSet::new(1000);
        let ada = UserId::from("ada");
        assert_eq!(set.standing(&session(1), &ada, 0, NOW), Standing::Valid);
        set.add(&Revocation::Session { id: session(1), keep_until: later(60) }, NOW);
        assert_eq!(set.standing(&session(1), &ada, 0, later(59)), Standing::Ended);
        assert_eq!(set.standing(&session(2), &ada, 0, NOW), Standing::Valid);
        assert_eq!(set.standing(&session(1), &ada, 0, later(60)), Standing::Valid);
    }

    #[test]
    fn a_minimum_version_revokes_lower_ones_and_never_falls() {
        let set = RevokedSet::new(1000);
        let ada = UserId::from("ada");
        for min_version in [5, 3] {
            set.add(&Revocation::User { id: ada.clone(), min_version, keep_until: later(60) }, NOW);
        }
        assert_eq!(set.standing(&session(1), &ada, 4, NOW), Standing::Ended);
        assert_eq!(set.standing(&session(1), &ada, 5, NOW), Standing::Valid);
        assert_eq!(set.standing(&session(1), &UserId::from("eve"), 0, NOW), Standing::Valid);
    }

    #[test]
    fn a_full_set_asks_the_store_and_evicts_nothing_early() {
        let set = RevokedSet::new(SHARDS);
        let ada = UserId::from("ada");
        for n in 0..10_000 {
            set.add(&Revocation::Session { id: session(n), keep_until: later(60) }, NOW);
        }
        let standings: Vec<_> = (0..10_000).map(|n| set.standing(&session(n), &ada, 0, NOW)).collect();
        assert!(standings.iter().all(|standing| *standing != Standing::Valid));
        assert_eq!(standings.iter().filter(|standing| **standing == Standing::Ended).count(), SHARDS);
        assert_eq!(set.standing(&session(10_001), &ada, 0, later(60)), Standing::Valid, "it recovers by itself");
    }

    #[test]
    fn expired_entries_make_room_for_new_ones() {
        let set = RevokedSet::new(SHARDS);
        for n in 0..10_000 {
            let now = later(u64::from(n) * 100);
            set.add(&Revocation::Session { id: session(n), keep_until: now.plus(Duration::from_secs(60)) }, now);
            assert_eq!(set.standing(&session(n), &UserId::from("ada"), 0, now), Standing::Ended);
        }
        assert!(set.sessions.len() <= SHARDS);
    }

    /// Returns whether the future is ready.
    fn is_ready(revoked: &mut std::pin::Pin<Box<impl Future<Output = ()>>>) -> bool {
        revoked.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn a_revocation_without_room_wakes_once_for_all_polls() {
        let (set, now) = (RevokedSet::new(SHARDS), NOW);
        let (ada, eve) = (UserId::from("ada"), UserId::from("eve"));
        for n in 0..10_000 {
            set.add(&Revocation::Session { id: session(n), keep_until: later(60) }, now);
            set.add(&Revocation::User { id: n.to_string().into(), min_version: 1, keep_until: later(60) }, now);
        }
        let missed = session(10_001);
        let revocation = Revocation::Session { id: missed, keep_until: later(60) };
        let of_versions_below = |min_version| Revocation::User { id: ada.clone(), min_version, keep_until: later(60) };
        assert!(!set.may_have_missed(&missed, &ada, 0));
        for (revocation, woken) in [
            // Ended on this node, then read by each poll.
            (&revocation, [true, false, false, false]),
            (&of_versions_below(1), [true, false, false, false]),
            (&of_versions_below(2), [true, false, false, false]),
        ] {
            for wakes in woken {
                let mut revoked = Box::pin(set.revoked(&missed, &ada));
                set.add(revocation, now);
                assert_eq!(is_ready(&mut revoked), wakes, "{revocation:?}");
                set.polled();
            }
        }
        set.add(&revocation, now);
        assert!(set.may_have_missed(&missed, &eve, 9));
        assert!(set.may_have_missed(&session(10_002), &ada, 1), "a lower version");
        assert!(!set.may_have_missed(&session(10_002), &ada, 2));
        for _ in 0..2 {
            set.polled();
        }
        assert!(!set.may_have_missed(&missed, &ada, 0), "polls no longer read it");
    }
}
