//! [`MemorySessions`]: sessions in memory.

use std::{
    hash::RandomState,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{
    super::shards::{DEFAULT_CAPACITY, SHARDS, full, shard_of},
    shard::{RaisedVersion, Shard},
};
use crate::{
    clock::{Clock, Timestamp},
    session::{EndReason, Ended, Revocation, RotateOutcome, Rotation, Session, SessionId, decide},
    store::{Created, EndAll, NewSession, SessionLimit, SessionStore, SharedClock, StoreError},
    user::UserId,
};

/// Stores sessions in memory. Clones share them. See
/// [`MemoryStore`](crate::store::memory::MemoryStore) for the limits.
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
