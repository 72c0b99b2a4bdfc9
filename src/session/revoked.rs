//! What has ended, in memory: how access tokens stop at once without I/O per request.
//!
//! Two sets, each split into shards with a lock of their own: ended sessions, and for whole users the least token version
//! that still counts (a floor). An entry is needed only until the last access token of its session has expired. Nothing is
//! evicted early: a set that is full says so, and the guard then asks the store.
//!
//! Who waits for an ending waits for a bell that few others share, and looks again when it rings: an ending wakes one in 1024
//! of those who wait, and costs one more atomic operation where nobody does.

use std::{
    collections::{HashMap, hash_map::RandomState},
    future::{Future, poll_fn},
    hash::{BuildHasher, Hash},
    pin::pin,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    task::Poll,
};

use tokio::sync::Notify;

use super::record::SessionId;
use crate::{clock::Timestamp, user::UserId};

/// Something that ended, as stores report it to every node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// One session.
    Session {
        /// Which.
        id: SessionId,
        /// When its last access token has expired.
        keep_until: Timestamp,
    },
    /// Every session of a user that was made under a lower token version.
    User {
        /// Whose.
        id: UserId,
        /// The least token version that still counts.
        min_version: u64,
        /// When the last access token of a lower version has expired.
        keep_until: Timestamp,
    },
}

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

pub(crate) struct Revocations {
    sessions: Shards<SessionId, Timestamp>,
    users: Shards<UserId, Floor>,
    capacity: usize,
    /// Until when an ending that found no room counts.
    missed_until: AtomicI64,
}

#[derive(Clone, Copy)]
struct Floor {
    min_version: u64,
    keep_until: Timestamp,
}

impl Revocations {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { sessions: Shards::new(), users: Shards::new(), capacity, missed_until: AtomicI64::new(i64::MIN) }
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

    /// Remembers an ending; remembering it again changes nothing.
    pub(crate) fn add(&self, ending: &Ending, now: Timestamp) {
        let (inserted, until) = match ending {
            Ending::Session { keep_until, .. } | Ending::User { keep_until, .. } if *keep_until <= now => {
                return;
            }
            Ending::Session { id, keep_until } => {
                let merge = |old: &mut Timestamp| {
                    let dead = *old <= now;
                    *old = (*old).max(*keep_until);
                    dead
                };
                (self.sessions.insert(id, *keep_until, merge, self.capacity, |until| now < *until), *keep_until)
            }
            Ending::User { id, min_version, keep_until } => {
                let floor = Floor { min_version: *min_version, keep_until: *keep_until };
                let merge = |old: &mut Floor| {
                    let news = old.min_version < floor.min_version || old.keep_until <= now;
                    old.min_version = old.min_version.max(floor.min_version);
                    old.keep_until = old.keep_until.max(floor.keep_until);
                    news
                };
                (self.users.insert(id, floor, merge, self.capacity, |floor| now < floor.keep_until), *keep_until)
            }
        };
        if inserted == Inserted::NoRoom {
            let before = self.missed_until.fetch_max(until.as_millis(), Ordering::AcqRel);
            if before <= now.as_millis() {
                tracing::warn!(
                    target: "portcullis",
                    capacity = self.capacity,
                    "the set of ended sessions is full: guards ask the store until it has room again"
                );
            }
        }
        // Polls bring again what they brought before: that is no news.
        if inserted != Inserted::Known {
            let bell = match ending {
                Ending::Session { id, .. } => self.sessions.bell(id),
                Ending::User { id, .. } => self.users.bell(id),
            };
            if let Some(bell) = bell {
                bell.notify_waiters();
            }
        }
    }
}

impl std::fmt::Debug for Revocations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Revocations")
            .field("sessions", &self.sessions.len())
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

/// Enough that cores seldom meet, few enough that an empty set is small.
const SHARDS: usize = 64;

/// Enough that an ending wakes few, few enough that they take some 40 kB.
const BELLS: usize = 1024;

/// A map in shards; `len` is read without a lock, so that an empty map costs one load.
struct Shards<K, V> {
    shards: Box<[RwLock<HashMap<K, V>>]>,
    /// They wake those who wait for an entry.
    bells: Box<[Notify]>,
    len: AtomicUsize,
    hasher: RandomState,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inserted {
    /// It says something that was not known.
    News,
    Known,
    NoRoom,
}

impl<K: Hash + Eq + Clone, V> Shards<K, V> {
    fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            bells: (0..BELLS).map(|_| Notify::new()).collect(),
            len: AtomicUsize::new(0),
            hasher: RandomState::new(),
        }
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// A number below `count` that is always the same for this key.
    fn place(&self, key: &K, count: usize) -> usize {
        usize::try_from(self.hasher.hash_one(key) % count as u64).unwrap_or(0)
    }

    fn shard(&self, key: &K) -> Option<&RwLock<HashMap<K, V>>> {
        self.shards.get(self.place(key, SHARDS))
    }

    fn bell(&self, key: &K) -> Option<&Notify> {
        self.bells.get(self.place(key, BELLS))
    }

    fn read<T>(&self, key: &K, f: impl FnOnce(&V) -> T) -> Option<T> {
        if self.len() == 0 {
            return None;
        }
        let shard = self.shard(key)?.read().unwrap_or_else(PoisonError::into_inner);
        shard.get(key).map(f)
    }

    /// `merge` answers whether that is news.
    fn insert(
        &self,
        key: &K,
        value: V,
        merge: impl FnOnce(&mut V) -> bool,
        capacity: usize,
        live: impl Fn(&V) -> bool,
    ) -> Inserted {
        let Some(shard) = self.shard(key) else {
            return Inserted::NoRoom;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = shard.get_mut(key) {
            return if merge(old) { Inserted::News } else { Inserted::Known };
        }
        // Room is made shard by shard: the dead entries of this one go when it is at its share.
        let share = capacity.div_ceil(SHARDS).max(1);
        if shard.len() >= share {
            let before = shard.len();
            shard.retain(|_, value| live(value));
            self.len.fetch_sub(before.saturating_sub(shard.len()), Ordering::AcqRel);
            if shard.len() >= share {
                return Inserted::NoRoom;
            }
        }
        shard.insert(key.clone(), value);
        self.len.fetch_add(1, Ordering::AcqRel);
        Inserted::News
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
        let set = Revocations::new(1000);
        let ada = UserId::from("ada");
        assert_eq!(set.standing(&session(1), &ada, 0, NOW), Standing::Good);
        set.add(&Ending::Session { id: session(1), keep_until: later(60) }, NOW);
        assert_eq!(set.standing(&session(1), &ada, 0, later(59)), Standing::Ended);
        assert_eq!(set.standing(&session(2), &ada, 0, NOW), Standing::Good);
        assert_eq!(set.standing(&session(1), &ada, 0, later(60)), Standing::Good);
    }

    #[test]
    fn a_floor_ends_lower_versions_and_never_falls() {
        let set = Revocations::new(1000);
        let ada = UserId::from("ada");
        for min_version in [5, 3] {
            set.add(&Ending::User { id: ada.clone(), min_version, keep_until: later(60) }, NOW);
        }
        assert_eq!(set.standing(&session(1), &ada, 4, NOW), Standing::Ended);
        assert_eq!(set.standing(&session(1), &ada, 5, NOW), Standing::Good);
        assert_eq!(set.standing(&session(1), &UserId::from("eve"), 0, NOW), Standing::Good);
    }

    #[test]
    fn a_full_set_asks_the_store_and_evicts_nothing_early() {
        let set = Revocations::new(SHARDS);
        let ada = UserId::from("ada");
        for n in 0..10_000 {
            set.add(&Ending::Session { id: session(n), keep_until: later(60) }, NOW);
        }
        let standings: Vec<_> = (0..10_000).map(|n| set.standing(&session(n), &ada, 0, NOW)).collect();
        assert!(standings.iter().all(|standing| *standing != Standing::Good));
        assert_eq!(standings.iter().filter(|standing| **standing == Standing::Ended).count(), SHARDS);
        assert_eq!(set.standing(&session(10_001), &ada, 0, later(60)), Standing::Good, "it recovers by itself");
    }

    #[test]
    fn dead_entries_make_room_for_new_ones() {
        let set = Revocations::new(SHARDS);
        for n in 0..10_000 {
            let now = later(u64::from(n) * 100);
            set.add(&Ending::Session { id: session(n), keep_until: now.plus(Duration::from_secs(60)) }, now);
            assert_eq!(set.standing(&session(n), &UserId::from("ada"), 0, now), Standing::Ended);
        }
        assert!(set.sessions.len() <= SHARDS);
    }
}
