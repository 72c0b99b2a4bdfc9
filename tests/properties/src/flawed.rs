//! Stores that are wrong on purpose, to test the properties. Each flaw must be found.
//!
//! Without a flaw, this is the simplest correct store: one vector behind one lock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use portcullis::{
    clock::Timestamp,
    session::{Decision, EndReason, Ended, Revocation, RotateOutcome, Rotation, Session, SessionId, decide},
    store::{Created, EndAll, NewSession, SessionLimit, SessionStore, StoreError, memory::MemoryStore},
    user::UserId,
};

use crate::{StoreFactory, Stores, faulty::Control};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Reads, lets other operations run, and then writes.
    RotatesInTwoSteps,
    /// Ends a session by writing what it read before other operations ran.
    EndsInTwoSteps,
    /// A replay extends the grace, so that two clients who alternate are never detected.
    GraceSlides,
    /// The grace never ends.
    GraceStaysOpen,
    /// The grace accepts every earlier generation, not only the direct predecessor.
    GraceAdmitsAll,
    /// Refuses a token that is used twice, but does not end the session.
    ForgetsToEndOnReuse,
    /// Ends the session when a call fails.
    LogsOutOnFailure,
    /// Deletes a session that ended at once, so that other nodes never learn of it.
    LeavesNoTombstones,
    /// Stores no raised token version, so that access tokens of a login at the same time are
    /// accepted.
    ForgetsRaisedVersions,
    /// A password change ends no other session.
    ForgetsTheOthers,
    /// A refresh moves the idle expiry past the absolute expiry.
    OutlivesTheAbsoluteExpiry,
    /// Finds a session by its id only, and after its expiry.
    ServesTheExpired,
    /// Does not compare the token version.
    IgnoresTheVersion,
    /// A login does not end the session that it replaces.
    KeepsTheReplaced,
    /// Applies a repeated rotation once more.
    RotatesOnRetry,
    /// Applies a repeated password change once more to the session that it keeps.
    RestampsOnRetry,
}

#[async_trait]
impl StoreFactory for Flaw {
    async fn open(&self, control: &Control) -> Stores {
        let store = MemoryStore::new();
        let sessions = Naive { flaw: *self, records: Mutex::default(), control: control.clone() };
        Stores { users: Arc::new(store.clone()), sessions: Arc::new(sessions), admin: Arc::new(store) }
    }

    fn outermost(&self, sessions: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        if *self == Self::LogsOutOnFailure { Arc::new(EndsOnFailure(sessions)) } else { sessions }
    }
}

struct Naive {
    flaw: Flaw,
    records: Mutex<Records>,
    control: Control,
}

#[derive(Default)]
struct Records {
    sessions: Vec<Session>,
    raised: BTreeMap<UserId, Revocation>,
}

impl Records {
    fn find(&mut self, user: &UserId, id: &SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == *id && session.user_id == *user)
    }

    fn end(&mut self, user: &UserId, id: &SessionId, ended: Ended) -> bool {
        let Some(session) = self.find(user, id) else { return false };
        // A repeated end is answered as the first time.
        let is_repeated = session.ended == Some(ended);
        let is_live = session.is_live(ended.at);
        if is_live {
            session.end(ended);
        }
        is_live || is_repeated
    }
}

impl Naive {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn present(&self, session: &Session, now: Timestamp) -> bool {
        now < session.delete_at() || self.has(Flaw::ServesTheExpired)
    }

    /// Returns the rotation as the flaw changes it before the decision.
    fn change_rotation(&self, rotation: &Rotation, record: Option<&Session>) -> Rotation {
        let mut bent = rotation.clone();
        let Some(record) = record else { return bent };
        let in_window = !bent.grace.is_zero() && bent.now.since(record.rotated_at) <= bent.grace;
        match self.flaw {
            Flaw::GraceStaysOpen if !bent.grace.is_zero() => bent.grace = Duration::MAX,
            Flaw::GraceAdmitsAll if in_window && bent.generation < record.generation => {
                bent.generation = record.generation - 1;
                bent.token_id = record.previous_token_id.unwrap_or(bent.token_id);
            }
            Flaw::IgnoresTheVersion => bent.token_version = record.token_version,
            Flaw::ServesTheExpired => bent.now = bent.now.min(record.rotated_at),
            Flaw::RotatesOnRetry if record.token_id == bent.next_token_id => {
                bent.generation = record.generation;
                bent.token_id = record.token_id;
            }
            _ => {}
        }
        bent
    }

    /// Returns the decision as the flaw changes it before the write.
    fn change_decision(&self, mut decision: Decision, rotation: &Rotation) -> Decision {
        match (&decision.outcome, self.flaw) {
            (RotateOutcome::Reused, Flaw::ForgetsToEndOnReuse) => decision.write = None,
            (RotateOutcome::Replayed(record), Flaw::GraceSlides) => {
                decision.write = Some(Session { rotated_at: rotation.now, ..record.clone() });
            }
            (RotateOutcome::Rotated(record), Flaw::OutlivesTheAbsoluteExpiry) => {
                let expires_at = rotation.now.plus(rotation.idle);
                let record = Session { expires_at, absolute_expires_at: expires_at, ..record.clone() };
                decision.write = Some(record.clone());
                decision.outcome = RotateOutcome::Rotated(record);
            }
            _ => {}
        }
        decision
    }
}

#[async_trait]
impl SessionStore for Naive {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        let NewSession { mut session, replaces, limit, tombstone, .. } = new;
        let now = session.created_at;
        let ended = |reason| Ended { at: now, reason, keep_until: now.plus(tombstone) };
        let mut records = self.records();
        let replaced = replaces.filter(|(user, id)| {
            !self.has(Flaw::KeepsTheReplaced) && records.find(user, id).is_some_and(|session| session.is_live(now))
        });
        let replaced = replaced.map(|(_, id)| id);
        let mut gone = Vec::new();
        let raised = records.raised.get(&session.user_id);
        if raised.is_some_and(
            |raised| matches!(raised, Revocation::User { min_version, .. } if session.token_version < *min_version),
        ) {
            session.end(ended(EndReason::TokenVersion));
        } else {
            let (mut others, outdated): (Vec<_>, Vec<_>) = records
                .sessions
                .iter_mut()
                .filter(|other| other.user_id == session.user_id && other.is_live(now) && Some(other.id) != replaced)
                .partition(|other| other.token_version >= session.token_version);
            match limit {
                SessionLimit::Refuse(limit) if others.len() >= limit => return Err(StoreError::too_many_sessions()),
                SessionLimit::EndLeastRecentlyUsed(limit) => {
                    others.sort_by_key(|other| (other.rotated_at, other.created_at));
                    let excess = (others.len() + 1).saturating_sub(limit);
                    gone.extend(others.iter_mut().take(excess).map(|other| {
                        other.end(ended(EndReason::Limit));
                        other.id
                    }));
                }
                _ => {}
            }
            for other in outdated {
                other.end(ended(EndReason::TokenVersion));
            }
        }
        for other in records.sessions.iter_mut().filter(|other| Some(other.id) == replaced) {
            other.end(ended(EndReason::LoggedInAgain));
            gone.push(other.id);
        }
        records.sessions.push(session);
        Ok(Created::new(gone))
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        Ok(self.records().find(user, id).cloned().filter(|session| self.present(session, now)))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        let (user, id, now) = (&rotation.user_id, &rotation.session_id, rotation.now);
        let mut record = self.find(user, id, now).await?;
        if self.has(Flaw::RotatesInTwoSteps) {
            self.control.pause().await;
        }
        let mut records = self.records();
        if !self.has(Flaw::RotatesInTwoSteps) {
            record = records.find(user, id).cloned().filter(|session| self.present(session, now));
        }
        let decision = decide(record.as_ref(), &self.change_rotation(rotation, record.as_ref()));
        let decision = self.change_decision(decision, rotation);
        if let (Some(new), Some(record)) = (decision.write, records.find(user, id)) {
            *record = new;
        }
        Ok(decision.outcome)
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        if self.has(Flaw::EndsInTwoSteps) {
            let Some(mut session) = self.find(user, id, ended.at).await?.filter(|s| s.is_live(ended.at)) else {
                return Ok(false);
            };
            self.control.pause().await;
            let mut records = self.records();
            let Some(record) = records.find(user, id).filter(|record| record.generation == session.generation) else {
                // Another operation was faster, so the condition does not hold, and the flawed
                // store does not check again.
                return Ok(true);
            };
            session.end(ended);
            *record = session;
            return Ok(true);
        }
        Ok(self.records().end(user, id, ended))
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        let EndAll { user_id, min_version, keep, ended, .. } = all;
        let mut records = self.records();
        let mut kept = None;
        for session in records.sessions.iter_mut().filter(|session| session.user_id == *user_id) {
            if let Some(mut restamped) = keep.as_ref().and_then(|keep| keep.restamp(session, *min_version)) {
                if self.has(Flaw::RestampsOnRetry) && restamped == *session {
                    restamped.generation += 1;
                }
                *session = restamped;
                kept = Some(session.clone());
            } else if session.token_version < *min_version && !session.is_expired(ended.at) {
                if keep.is_none() || !self.has(Flaw::ForgetsTheOthers) {
                    session.end(*ended);
                } else {
                    session.token_version = *min_version;
                }
            }
        }
        if !self.has(Flaw::ForgetsRaisedVersions) {
            // Versions only rise, and a deleted user has a higher minimum version than every token.
            let (id, min_version, keep_until) = (user_id.clone(), *min_version, ended.keep_until);
            records.raised.insert(user_id.clone(), Revocation::User { id, min_version, keep_until });
        }
        Ok(kept)
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let records = self.records();
        let live = |session: &&Session| session.user_id == *user && session.is_live(now);
        Ok(records.sessions.iter().filter(live).cloned().collect())
    }

    async fn ended_since(&self, _since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        let records = self.records();
        let mut endings: Vec<_> = records.raised.values().cloned().collect();
        if !self.has(Flaw::LeavesNoTombstones) {
            let tombstone = |session: &Session| {
                let keep_until = session.ended.map(|ended| ended.keep_until).filter(|until| now < *until)?;
                Some(Revocation::Session { id: session.id, keep_until })
            };
            endings.extend(records.sessions.iter().filter_map(tombstone));
        }
        Ok(endings)
    }
}

/// Ends the session of the client when a call of the store fails.
struct EndsOnFailure(Arc<dyn SessionStore>);

#[async_trait]
impl SessionStore for EndsOnFailure {
    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        let answer = self.0.rotate(rotation).await;
        if answer.is_err() {
            let reason = EndReason::EndedByUser;
            let ended = Ended { at: rotation.now, reason, keep_until: rotation.now.plus(rotation.tombstone) };
            self.0.end(&rotation.user_id, &rotation.session_id, ended).await?;
        }
        answer
    }

    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        self.0.create(new).await
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.0.find(user, id, now).await
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        self.0.end(user, id, ended).await
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        self.0.end_all(all).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.0.list(user, now).await
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        self.0.ended_since(since, now).await
    }
}
