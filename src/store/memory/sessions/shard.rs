//! [`Shard`]: the sessions of some of the users, under one lock.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    clock::Timestamp,
    session::{EndReason, Ended, MAX_ENDED_SESSIONS_OF_A_USER, Session, SessionId},
    user::UserId,
};

#[derive(Default)]
pub(super) struct Shard {
    pub(super) users: HashMap<UserId, Owned>,
    /// Users with tombstones or a raised version, so that a poll reads only these.
    pub(super) ended: HashSet<UserId>,
    /// When the last of them ended. A poll for later moments skips the shard.
    pub(super) last_ended_at: Option<Timestamp>,
    pub(super) records: usize,
    /// Number of records after the last sweep. The next sweep is due after as many writes.
    pub(super) swept_to: usize,
    pub(super) writes: usize,
}

/// The sessions of one user, and what other nodes have to know.
#[derive(Default)]
pub(super) struct Owned {
    // Most users have one or two sessions. A vector of them is searched faster than a map, and is
    // smaller.
    pub(super) sessions: Vec<Session>,
    pub(super) raised: Option<Box<RaisedVersion>>,
    /// Ended sessions without a record. Few users have any.
    pub(super) gone: VecDeque<Gone>,
}

/// What other nodes have to know of an ended session.
#[derive(Clone, Copy)]
pub(super) struct Gone {
    pub(super) id: SessionId,
    pub(super) at: Timestamp,
    pub(super) keep_until: Timestamp,
}

#[derive(Clone, Copy)]
pub(super) struct RaisedVersion {
    pub(super) min_version: u64,
    pub(super) at: Timestamp,
    pub(super) keep_until: Timestamp,
}

impl Shard {
    pub(super) fn sweep(&mut self, now: Timestamp) {
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

    pub(super) fn session(&mut self, user: &UserId, id: &SessionId, now: Timestamp) -> Option<&mut Session> {
        let sessions = &mut self.users.get_mut(user)?.sessions;
        sessions.iter_mut().find(|session| session.id == *id).filter(|session| now < session.delete_at())
    }

    pub(super) fn end(&mut self, user: &UserId, id: &SessionId, ended: Ended) -> bool {
        let Some(session) = self.session(user, id, ended.at) else { return false };
        if session.is_live(ended.at) {
            session.end(ended);
            self.note_ending(user, ended.at);
            return true;
        }
        // The caller lost the answer and asks again.
        session.ended == Some(ended)
    }

    pub(super) fn note_ending(&mut self, user: &UserId, at: Timestamp) {
        self.ended.insert(user.clone());
        self.last_ended_at = self.last_ended_at.max(Some(at));
    }

    /// Ends the sessions that were used longest ago, until there is room for one more.
    pub(super) fn make_room(&mut self, user: &UserId, limit: usize, ended: Ended) -> Vec<SessionId> {
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
    pub(super) fn narrow(&mut self, user: &UserId, now: Timestamp) -> usize {
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
    pub(super) fn live_count(&self, new: &Session, without: Option<SessionId>, now: Timestamp) -> usize {
        let stays = |session: &&Session| session.token_version >= new.token_version && Some(session.id) != without;
        let counts = |session: &&Session| session.is_live(now) && stays(session);
        self.users.get(&new.user_id).map_or(0, |owned| owned.sessions.iter().filter(counts).count())
    }

    /// Returns whether the session has a token version that was ended. Its login read the user
    /// before the version was raised.
    pub(super) fn is_below_raised_version(&self, session: &Session, now: Timestamp) -> bool {
        let raised = self.users.get(&session.user_id).and_then(|owned| owned.raised.as_ref());
        raised.is_some_and(|raised| session.token_version < raised.min_version && now < raised.keep_until)
    }

    /// Ends the sessions of the user whose token version is lower than that of a new session. No
    /// call ended them when the version was raised.
    pub(super) fn end_versions_below(&mut self, new: &Session, ended: Ended) -> Vec<SessionId> {
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

    pub(super) fn insert(&mut self, session: Session) {
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
    pub(super) fn forget_gone(&mut self, now: Timestamp) {
        while self.gone.front().is_some_and(|gone| gone.keep_until <= now) {
            self.gone.pop_front();
        }
        if self.gone.is_empty() {
            self.gone = VecDeque::new();
        }
    }
}
