//! What has ended, in memory: how access tokens stop at once without I/O per request.
//!
//! Two sets, each split into shards with a lock of their own: ended sessions, and for whole users the least token version
//! that still counts (a floor). An entry is needed only until the last access token of its session has expired. Nothing is
//! evicted early: a set that is full says so, and the guard then asks the store.
//!
//! Who waits for an ending waits for a bell that few others share, and looks again when it rings: an ending wakes one in 1024
//! of those who wait, and costs one more atomic operation where nobody does.

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

/// What the set knows of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was ended that it belongs to.
    Good,
    /// Its session or token version was ended.
    Ended,
    /// The set was full at some time and may have missed an ending: ask the store.
    AskStore,
}

pub(crate) struct RevokedSet {
    sessions: Shards<SessionId, Timestamp>,
    users: Shards<UserId, Floor>,
    capacity: usize,
    /// Until when an ending that found no room counts.
    missed_until: AtomicI64,
    missed: Mutex<Missed>,
    /// Counts endings by their key, from the first [`epoch`](RevokedSet::epoch) on.
    counts: OnceLock<Box<[AtomicU32]>>,
}

/// Number of counts. Keys that share one only cause a question to the store.
const COUNTS: usize = 65_536;

/// Says whether an ending of a session or of its user has come meanwhile: two epochs are equal if none has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    session: u32,
    user: u32,
}

#[derive(Clone, Copy)]
struct Floor {
    min_version: u64,
    keep_until: Timestamp,
}

impl Expires for Floor {
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

    /// Returns the number of users with a floor that it holds.
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

    /// Whether an access token's session or version has ended.
    pub(crate) fn standing(&self, session: &SessionId, user: &UserId, version: u64, now: Timestamp) -> Standing {
        let ended = self.sessions.read(session, |until| now < *until).unwrap_or(false)
            || self.users.read(user, |floor| version < floor.min_version && now < floor.keep_until).unwrap_or(false);
        if ended {
            Standing::Ended
        } else if now.as_millis() < self.missed_until.load(Ordering::Acquire) {
            Standing::AskStore
        } else {
            Standing::Good
        }
    }

    /// Whether an ending that found no room lately was one of this session or version. Those that were too many to note are
    /// left out.
    pub(crate) fn may_have_missed(&self, session: &SessionId, user: &UserId, version: u64) -> bool {
        let (session, user) = (self.sessions.hash(session), self.users.hash(user));
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.floor(session).is_some() || missed.floor(user).is_some_and(|floor| version < floor)
    }

    /// All is added that a poll has brought: what polls no longer bring need not be told from news.
    pub(crate) fn polled(&self) {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).polled();
    }

    /// Notes an ending that found no room, and answers whether it is news.
    fn miss(&self, ending: &Revocation, now: Timestamp) -> bool {
        let (key, floor, until) = match ending {
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
        let is_news = self.missed.lock().unwrap_or_else(PoisonError::into_inner).note(key, floor);
        if is_news {
            self.touch(key);
        }
        is_news
    }

    /// Waits for an ending that may change the [`standing`](Self::standing) of this session or user: every one from this
    /// call on, before the first poll too.
    pub(crate) fn news<'a>(&'a self, session: &SessionId, user: &UserId) -> impl Future<Output = ()> + Send + use<'a> {
        // Made here: who asks for the standing after this call misses nothing.
        let session = self.sessions.bell(session).map(Notify::notified);
        let user = self.users.bell(user).map(Notify::notified);
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

    /// Wakes everybody who waits for [`news`](Self::news), though there are none: the clock was moved.
    #[cfg(feature = "testing")]
    pub(crate) fn ring_all(&self) {
        self.sessions.ring_all();
    }

    /// Remembers an ending that another node tells of: until `at_least`, unless it was known before.
    pub(crate) fn hear(&self, ending: &Revocation, now: Timestamp, at_least: Timestamp) {
        let is_known = match ending {
            Revocation::Session { id, .. } => self.sessions.read(id, |until| now < *until),
            Revocation::User { id, min_version, .. } => {
                self.users.read(id, |floor| *min_version <= floor.min_version && now < floor.keep_until)
            }
        };
        let mut ending = ending.clone();
        if is_known != Some(true) {
            let (Revocation::Session { keep_until, .. } | Revocation::User { keep_until, .. }) = &mut ending;
            // One that is past is news to nobody.
            if now < *keep_until {
                *keep_until = at_least.max(*keep_until);
            }
        }
        self.add(&ending, now);
    }

    /// Remembers an ending; remembering it again changes nothing.
    pub(crate) fn add(&self, ending: &Revocation, now: Timestamp) {
        let inserted = match ending {
            Revocation::Session { keep_until, .. } | Revocation::User { keep_until, .. } if *keep_until <= now => {
                return;
            }
            Revocation::Session { id, keep_until } => {
                let merge = |old: &mut Timestamp| {
                    let dead = *old <= now;
                    *old = (*old).max(*keep_until);
                    dead
                };
                self.sessions.insert(id, *keep_until, merge, self.capacity, now)
            }
            Revocation::User { id, min_version, keep_until } => {
                let floor = Floor { min_version: *min_version, keep_until: *keep_until };
                let merge = |old: &mut Floor| {
                    let news = old.min_version < floor.min_version || old.keep_until <= now;
                    old.min_version = old.min_version.max(floor.min_version);
                    old.keep_until = old.keep_until.max(floor.keep_until);
                    news
                };
                self.users.insert(id, floor, merge, self.capacity, now)
            }
        };
        // Polls bring again what they brought before: that is no news.
        let news = match inserted {
            Inserted::News => true,
            Inserted::Known => false,
            Inserted::NoRoom => self.miss(ending, now),
        };
        if news {
            let bell = match ending {
                Revocation::Session { id, .. } => self.sessions.bell(id),
                Revocation::User { id, .. } => self.users.bell(id),
            };
            if let Some(bell) = bell {
                bell.notify_waiters();
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
    fn an_ended_session_is_known_until_its_tombstone_is_no_longer_needed() {
        let set = RevokedSet::new(1000);
        let ada = UserId::from("ada");
        assert_eq!(set.standing(&session(1), &ada, 0, NOW), Standing::Good);
        set.add(&Revocation::Session { id: session(1), keep_until: later(60) }, NOW);
        assert_eq!(set.standing(&session(1), &ada, 0, later(59)), Standing::Ended);
        assert_eq!(set.standing(&session(2), &ada, 0, NOW), Standing::Good);
        assert_eq!(set.standing(&session(1), &ada, 0, later(60)), Standing::Good);
    }

    #[test]
    fn a_floor_ends_lower_versions_and_never_falls() {
        let set = RevokedSet::new(1000);
        let ada = UserId::from("ada");
        for min_version in [5, 3] {
            set.add(&Revocation::User { id: ada.clone(), min_version, keep_until: later(60) }, NOW);
        }
        assert_eq!(set.standing(&session(1), &ada, 4, NOW), Standing::Ended);
        assert_eq!(set.standing(&session(1), &ada, 5, NOW), Standing::Good);
        assert_eq!(set.standing(&session(1), &UserId::from("eve"), 0, NOW), Standing::Good);
    }

    #[test]
    fn a_full_set_asks_the_store_and_evicts_nothing_early() {
        let set = RevokedSet::new(SHARDS);
        let ada = UserId::from("ada");
        for n in 0..10_000 {
            set.add(&Revocation::Session { id: session(n), keep_until: later(60) }, NOW);
        }
        let standings: Vec<_> = (0..10_000).map(|n| set.standing(&session(n), &ada, 0, NOW)).collect();
        assert!(standings.iter().all(|standing| *standing != Standing::Good));
        assert_eq!(standings.iter().filter(|standing| **standing == Standing::Ended).count(), SHARDS);
        assert_eq!(set.standing(&session(10_001), &ada, 0, later(60)), Standing::Good, "it recovers by itself");
    }

    #[test]
    fn dead_entries_make_room_for_new_ones() {
        let set = RevokedSet::new(SHARDS);
        for n in 0..10_000 {
            let now = later(u64::from(n) * 100);
            set.add(&Revocation::Session { id: session(n), keep_until: now.plus(Duration::from_secs(60)) }, now);
            assert_eq!(set.standing(&session(n), &UserId::from("ada"), 0, now), Standing::Ended);
        }
        assert!(set.sessions.len() <= SHARDS);
    }

    /// Whether it has rung.
    fn rang(news: &mut std::pin::Pin<Box<impl Future<Output = ()>>>) -> bool {
        news.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn an_ending_without_room_rings_once_however_often_polls_bring_it() {
        let (set, now) = (RevokedSet::new(SHARDS), NOW);
        let (ada, eve) = (UserId::from("ada"), UserId::from("eve"));
        for n in 0..10_000 {
            set.add(&Revocation::Session { id: session(n), keep_until: later(60) }, now);
            set.add(&Revocation::User { id: n.to_string().into(), min_version: 1, keep_until: later(60) }, now);
        }
        let missed = session(10_001);
        let ending = Revocation::Session { id: missed, keep_until: later(60) };
        let floor = |min_version| Revocation::User { id: ada.clone(), min_version, keep_until: later(60) };
        assert!(!set.may_have_missed(&missed, &ada, 0));
        for (ending, rung) in [
            // Ended here, then brought by each poll.
            (&ending, [true, false, false, false]),
            (&floor(1), [true, false, false, false]),
            (&floor(2), [true, false, false, false]),
        ] {
            for rings in rung {
                let mut news = Box::pin(set.news(&missed, &ada));
                set.add(ending, now);
                assert_eq!(rang(&mut news), rings, "{ending:?}");
                set.polled();
            }
        }
        set.add(&ending, now);
        assert!(set.may_have_missed(&missed, &eve, 9));
        assert!(set.may_have_missed(&session(10_002), &ada, 1), "below the floor");
        assert!(!set.may_have_missed(&session(10_002), &ada, 2));
        for _ in 0..2 {
            set.polled();
        }
        assert!(!set.may_have_missed(&missed, &ada, 0), "polls no longer bring it");
    }
}
