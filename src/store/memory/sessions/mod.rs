//! [`MemorySessions`]: sessions in memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::RandomState,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::shards::{DEFAULT_CAPACITY, SHARDS, full, shard_of};
use crate::{
    clock::{Clock, Timestamp},
    session::{
        EndReason, Ended, MAX_ENDED_SESSIONS_OF_A_USER, Revocation, RotateOutcome, Rotation, Session, SessionId, decide,
    },
    store::{Created, EndAll, NewSession, SessionLimit, SessionStore, SharedClock, StoreError},
    user::UserId,
};

/// Stores sessions in memory. Clones share them. See [`MemoryStore`](super::MemoryStore) for the
/// limits.
///
/// All sessions of a user are in one shard under one lock, which makes every operation atomic. A
/// shard is cleared of expired records after as many writes as it had records after the last sweep.
/// The cost for each write is therefore constant.
///
/// The store keeps the last 16 ended sessions of a user as records. Of the older ones it keeps only
/// the id, until the last access token has expired. These ids do not count for the capacity, so
/// that one user cannot fill the store.
///
/// # Examples
/// ```
/// use portcullis::store::memory::MemorySessions;
///
/// let sessions = MemorySessions::with_capacity(10_000);
/// assert_eq!(sessions.len(), 0);
/// ```
#[derive(Clone)]
pub struct MemorySessions(Arc<Inner>);

struct Inner {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// Number of records in all shards. Ended records count until they are swept.
    len: AtomicUsize,
    capacity: usize,
    /// When all shards were last swept because the store was full.
    swept_at: AtomicI64,
    clocks: SharedClock,
    /// The earliest moment that the clock of an `Auth` showed when it began, in milliseconds.
    began: AtomicI64,
}

#[derive(Default)]
struct Shard {
    users: HashMap<UserId, Owned>,
    /// Users with tombstones or a raised version, so that a poll reads only these.
    ended: HashSet<UserId>,
    /// When the last of them ended. A poll for later moments skips the shard.
    last_ended_at: Option<Timestamp>,
    records: usize,
    /// Number of records after the last sweep. The next sweep is due after as many writes.
    swept_to: usize,
    writes: usize,
}

/// The sessions of one user, and what other nodes have to know.
#[derive(Default)]
struct Owned {
    // Most users have one or two sessions. A vector of them is searched faster than a map, and is
    // smaller.
    sessions: Vec<Session>,
    raised: Option<Box<RaisedVersion>>,
    /// Ended sessions without a record. Few users have any.
    gone: VecDeque<Gone>,
}

/// What other nodes have to know of an ended session.
#[derive(Clone, Copy)]
struct Gone {
    id: SessionId,
    at: Timestamp,
    keep_until: Timestamp,
}

#[derive(Clone, Copy)]
struct RaisedVersion {
    min_version: u64,
    at: Timestamp,
    keep_until: Timestamp,
}

/// Fewest writes between two sweeps of a shard. Without it, a shard with few records would be swept
/// all the time.
const MIN_WRITES_BETWEEN_SWEEPS: usize = 256;

/// Means that no `Auth` has begun.
const NEVER: i64 = i64::MAX;

impl MemorySessions {
    /// Makes an empty store with room for this many sessions.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Arc::new(Inner {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            capacity,
            swept_at: AtomicI64::new(i64::MIN),
            clocks: SharedClock::default(),
            began: AtomicI64::new(NEVER),
        }))
    }

    /// Returns the number of records. Ended and expired ones count until they are swept.
    pub fn len(&self) -> usize {
        self.0.len.load(Ordering::Acquire)
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Deletes what has expired by `now`. Writes of sessions also do this from time to time.
    pub fn sweep(&self, now: Timestamp) {
        for shard in &self.0.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shard.records;
            shard.sweep(now);
            self.forget(before.saturating_sub(shard.records));
        }
    }

    fn forget(&self, records: usize) {
        self.0.len.fetch_sub(records, Ordering::AcqRel);
    }

    fn lock(&self, user: &UserId) -> Result<MutexGuard<'_, Shard>, StoreError> {
        let shard = self.0.shards.get(shard_of(&self.0.hasher, user.as_str()));
        let shard = shard.ok_or_else(|| StoreError::internal("no such shard"))?;
        Ok(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Locks the shard for a write. Sweeps it first, if a sweep is due.
    fn lock_to_write(&self, user: &UserId, now: Timestamp) -> Result<MutexGuard<'_, Shard>, StoreError> {
        let mut shard = self.lock(user)?;
        shard.writes = shard.writes.saturating_add(1);
        if shard.writes > shard.swept_to.max(MIN_WRITES_BETWEEN_SWEEPS) {
            let before = shard.records;
            shard.sweep(now);
            self.forget(before.saturating_sub(shard.records));
        }
        Ok(shard)
    }

    /// Returns whether all shards may be swept: at most once a second. A full store must not read
    /// all records for each login that it refuses.
    fn may_sweep_all(&self, now: Timestamp) -> bool {
        let last = self.0.swept_at.load(Ordering::Acquire);
        let is_due = now.since(Timestamp::from_millis(last)) >= Duration::from_secs(1);
        // A refused sweep does not delay the next one. Otherwise one login a second would keep a
        // full store full.
        is_due && self.0.swept_at.compare_exchange(last, now.as_millis(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn end_now(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        let mut shard = self.lock_to_write(user, ended.at)?;
        let ends = shard.end(user, id, ended);
        self.forget(shard.narrow(user, ended.at));
        Ok(ends)
    }

    fn reserve(&self, now: Timestamp) -> Result<(), StoreError> {
        for swept in [false, true] {
            if self.0.len.fetch_add(1, Ordering::AcqRel) < self.0.capacity {
                return Ok(());
            }
            self.forget(1);
            if swept || !self.may_sweep_all(now) {
                break;
            }
            self.sweep(now);
        }
        Err(full())
    }
}

impl Shard {
    fn sweep(&mut self, now: Timestamp) {
        let mut records = 0;
        self.users.retain(|_, owned| {
            owned.sessions.retain(|session| now < session.delete_at());
            owned.raised = owned.raised.take().filter(|raised| now < raised.keep_until);
            records += owned.sessions.len();
            owned.forget_gone(now);
            !(owned.sessions.is_empty() && owned.raised.is_none() && owned.gone.is_empty())
        });
        let users = &self.users;
        self.ended.retain(|user| {
            users.get(user).is_some_and(|owned| {
                owned.raised.is_some()
                    || !owned.gone.is_empty()
                    || owned.sessions.iter().any(|session| session.ended.is_some())
            })
        });
        self.records = records;
        self.swept_to = records;
        self.writes = 0;
    }

    fn session(&mut self, user: &UserId, id: &SessionId, now: Timestamp) -> Option<&mut Session> {
        let sessions = &mut self.users.get_mut(user)?.sessions;
        sessions.iter_mut().find(|session| session.id == *id).filter(|session| now < session.delete_at())
    }

    fn end(&mut self, user: &UserId, id: &SessionId, ended: Ended) -> bool {
        let Some(session) = self.session(user, id, ended.at) else { return false };
        if session.is_live(ended.at) {
            session.end(ended);
            self.note_ending(user, ended.at);
            return true;
        }
        // The caller lost the answer and asks again.
        session.ended == Some(ended)
    }

    fn note_ending(&mut self, user: &UserId, at: Timestamp) {
        self.ended.insert(user.clone());
        self.last_ended_at = self.last_ended_at.max(Some(at));
    }

    /// Ends the sessions that were used longest ago, until there is room for one more.
    fn make_room(&mut self, user: &UserId, limit: usize, ended: Ended) -> Vec<SessionId> {
        let Some(owned) = self.users.get_mut(user) else {
            return Vec::new();
        };
        let mut live: Vec<_> = owned.sessions.iter_mut().filter(|session| session.is_live(ended.at)).collect();
        let excess = (live.len() + 1).saturating_sub(limit.max(1));
        if excess == 0 {
            return Vec::new();
        }
        live.sort_by_key(|session| (session.rotated_at, session.created_at));
        self.ended.insert(user.clone());
        self.last_ended_at = self.last_ended_at.max(Some(ended.at));
        live.into_iter()
            .take(excess)
            .map(|session| {
                session.end(ended);
                session.id
            })
            .collect()
    }

    /// Keeps the records of the last ended sessions of a user. Of the older ones, keeps only what
    /// other nodes have to know. Returns the number of removed records.
    fn narrow(&mut self, user: &UserId, now: Timestamp) -> usize {
        let Some(owned) = self.users.get_mut(user) else { return 0 };
        owned.forget_gone(now);
        let ended = owned.sessions.iter().filter_map(|session| Some((session.ended?, session.id)));
        // Sessions that ended for reuse are removed last, because their records answer every later
        // refresh.
        let mut ended: Vec<_> = ended.map(|(end, id)| (end.reason == EndReason::Reuse, end.at, id, end)).collect();
        let excess = ended.len().saturating_sub(MAX_ENDED_SESSIONS_OF_A_USER);
        if excess == 0 {
            return 0;
        }
        ended.sort_by_key(|(is_reuse, at, id, _)| (*is_reuse, *at, *id));
        ended.truncate(excess);
        owned.sessions.retain(|session| !ended.iter().any(|(.., id, _)| *id == session.id));
        let needed = ended.into_iter().filter(|(.., end)| now < end.keep_until);
        let gone = needed.map(|(_, at, id, end)| Gone { id, at, keep_until: end.keep_until });
        owned.gone.extend(gone);
        owned.forget_gone(now);
        self.records = self.records.saturating_sub(excess);
        excess
    }

    /// Returns how many live sessions the user has beside a new one. The session `without`, which
    /// is about to end, does not count.
    fn live_count(&self, new: &Session, without: Option<SessionId>, now: Timestamp) -> usize {
        let stays = |session: &&Session| session.token_version >= new.token_version && Some(session.id) != without;
        let counts = |session: &&Session| session.is_live(now) && stays(session);
        self.users.get(&new.user_id).map_or(0, |owned| owned.sessions.iter().filter(counts).count())
    }

    /// Returns whether the session has a token version that was ended. Its login read the user
    /// before the version was raised.
    fn is_below_raised_version(&self, session: &Session, now: Timestamp) -> bool {
        let raised = self.users.get(&session.user_id).and_then(|owned| owned.raised.as_ref());
        raised.is_some_and(|raised| session.token_version < raised.min_version && now < raised.keep_until)
    }

    /// Ends the sessions of the user whose token version is lower than that of a new session. No
    /// call ended them when the version was raised.
    fn end_versions_below(&mut self, new: &Session, ended: Ended) -> Vec<SessionId> {
        let Some(owned) = self.users.get_mut(&new.user_id) else { return Vec::new() };
        let mut outdated = Vec::new();
        for session in &mut owned.sessions {
            if session.token_version < new.token_version && session.is_live(ended.at) {
                session.end(ended);
                outdated.push(session.id);
            }
        }
        if !outdated.is_empty() {
            self.note_ending(&new.user_id, ended.at);
        }
        outdated
    }

    fn insert(&mut self, session: Session) {
        let owned = self.users.entry(session.user_id.clone()).or_default();
        // Reserves room for one, because most users never have a second session. A vector would
        // reserve room for four.
        owned.sessions.reserve_exact(1);
        owned.sessions.push(session);
        self.records += 1;
    }
}

impl Owned {
    /// Removes the sessions whose access tokens have all expired. They are in the order in which
    /// they were added, which is nearly the order in which they ended.
    fn forget_gone(&mut self, now: Timestamp) {
        while self.gone.front().is_some_and(|gone| gone.keep_until <= now) {
            self.gone.pop_front();
        }
        if self.gone.is_empty() {
            self.gone = VecDeque::new();
        }
    }
}

impl Default for MemorySessions {
    fn default() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }
}

impl std::fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemorySessions").field("len", &self.len()).field("capacity", &self.0.capacity).finish()
    }
}

#[async_trait]
impl SessionStore for MemorySessions {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        let NewSession { mut session, replaces, limit, tombstone } = new;
        let now = session.created_at;
        let ended = |reason| Ended { at: now, reason, keep_until: now.plus(tombstone) };
        let mut created = Created::default();
        self.reserve(now)?;
        {
            let mut shard = self.lock_to_write(&session.user_id, now)?;
            let replaced = replaces.as_ref().filter(|(owner, _)| *owner == session.user_id).map(|(_, id)| *id);
            if shard.is_below_raised_version(&session, now) {
                session.end(ended(EndReason::TokenVersion));
                created.ended_at_once = true;
                shard.note_ending(&session.user_id, now);
            } else {
                if let SessionLimit::Refuse(limit) = limit
                    && shard.live_count(&session, replaced, now) >= limit
                {
                    drop(shard);
                    self.forget(1);
                    return Err(StoreError::too_many_sessions());
                }
                created.outdated = shard.end_versions_below(&session, ended(EndReason::TokenVersion));
            }
            if let Some(id) = replaced
                && shard.end(&session.user_id, &id, ended(EndReason::LoggedInAgain))
            {
                created.ended.push(id);
            }
            if let SessionLimit::EndLeastRecentlyUsed(limit) = limit
                && session.ended.is_none()
            {
                created.ended.extend(shard.make_room(&session.user_id, limit, ended(EndReason::Limit)));
            }
            shard.insert(session.clone());
            self.forget(shard.narrow(&session.user_id, now));
        }
        // The session of another user is in another shard. It is ended in a second step.
        if let Some((owner, id)) = replaces
            && owner != session.user_id
            && self.end_now(&owner, &id, ended(EndReason::LoggedInAgain))?
        {
            created.ended.push(id);
        }
        Ok(created)
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        Ok(self.lock(user)?.session(user, id, now).cloned())
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        let mut shard = self.lock_to_write(&rotation.user_id, rotation.now)?;
        let mut record = shard.session(&rotation.user_id, &rotation.session_id, rotation.now);
        let decision = decide(record.as_deref(), rotation);
        if let (Some(record), Some(new)) = (record.as_mut(), decision.write) {
            let ends = new.ended.is_some();
            **record = new;
            if ends {
                shard.note_ending(&rotation.user_id, rotation.now);
                self.forget(shard.narrow(&rotation.user_id, rotation.now));
            }
        }
        Ok(decision.outcome)
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        self.end_now(user, id, ended)
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        let EndAll { user_id, min_version, keep, ended } = all;
        let mut shard = self.lock_to_write(user_id, ended.at)?;
        shard.note_ending(user_id, ended.at);
        let owned = shard.users.entry(user_id.clone()).or_default();
        let mut kept = None;
        for session in &mut owned.sessions {
            match keep.as_ref().and_then(|keep| keep.restamp(session, *min_version)) {
                Some(restamped) => {
                    *session = restamped;
                    kept = Some(session.clone());
                }
                None if session.token_version < *min_version && !session.is_expired(ended.at) => {
                    session.end(*ended);
                }
                None => {}
            }
        }
        let raised = owned.raised.get_or_insert_with(|| {
            Box::new(RaisedVersion { min_version: *min_version, at: ended.at, keep_until: ended.keep_until })
        });
        raised.min_version = raised.min_version.max(*min_version);
        raised.at = raised.at.max(ended.at);
        raised.keep_until = raised.keep_until.max(ended.keep_until);
        self.forget(shard.narrow(user_id, ended.at));
        Ok(kept)
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let shard = self.lock(user)?;
        let Some(owned) = shard.users.get(user) else {
            return Ok(Vec::new());
        };
        let min_version = owned.raised.as_ref().map_or(0, |raised| raised.min_version);
        let live = |session: &&Session| session.is_live(now) && session.token_version >= min_version;
        Ok(owned.sessions.iter().filter(live).cloned().collect())
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        let mut revocations = Vec::new();
        for shard in &self.0.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if shard.last_ended_at.is_none_or(|last| last < since) {
                continue;
            }
            for (user, owned) in shard.ended.iter().filter_map(|user| shard.users.get_key_value(user)) {
                revocations.extend(owned.sessions.iter().filter_map(|session| {
                    let ended = session.ended.filter(|ended| ended.at >= since && now < ended.keep_until)?;
                    Some(Revocation::Session { id: session.id, keep_until: ended.keep_until })
                }));
                revocations.extend(owned.gone.iter().filter_map(|gone| {
                    let is_listed = gone.at >= since && now < gone.keep_until;
                    is_listed.then_some(Revocation::Session { id: gone.id, keep_until: gone.keep_until })
                }));
                revocations.extend(
                    owned.raised.as_ref().filter(|raised| raised.at >= since && now < raised.keep_until).map(
                        |raised| Revocation::User {
                            id: user.clone(),
                            min_version: raised.min_version,
                            keep_until: raised.keep_until,
                        },
                    ),
                );
            }
        }
        Ok(revocations)
    }

    fn begin(&self, clock: &Arc<dyn Clock>) {
        self.0.clocks.begin(clock);
        self.0.began.fetch_min(clock.now().as_millis(), Ordering::AcqRel);
    }

    fn began(&self) -> Option<Timestamp> {
        let began = self.0.began.load(Ordering::Acquire);
        (began != NEVER).then(|| Timestamp::from_millis(began))
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.0.clocks.without_server())
    }
}

#[cfg(test)]
mod tests;
