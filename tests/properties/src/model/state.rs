//! One possible state: users, sessions, and what each node knows.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::clock::Timestamp;

use crate::{
    settings::{Limit, Settings},
    token::Sid,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) users: Vec<User>,
    pub(super) sessions: BTreeMap<Sid, Session>,
    pub(super) nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Active,
    Disabled,
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) standing: Standing,
    pub(super) version: u64,
    /// The lowest valid token version that the session store reports to nodes.
    pub(super) min_version: u64,
    pub(super) password: u32,
}

/// Why a session ended, as far as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Reuse,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) user: usize,
    pub(super) version: u64,
    /// The id of each refresh token that the session has had, by generation. `None` where its
    /// answer was lost.
    pub(super) chain: Vec<Option<String>>,
    pub(super) created_at: Timestamp,
    /// When the newest generation began and the one before was superseded.
    pub(super) rotated_at: Timestamp,
    pub(super) idle_until: Timestamp,
    pub(super) absolute_until: Timestamp,
    pub(super) ended: Option<Why>,
    /// When the session was ended, where it was ended alone.
    pub(super) ended_at: Option<Timestamp>,
    /// The node at which its user ended it alone.
    pub(super) ended_on: Option<usize>,
    /// When a password change last moved the session.
    pub(super) password_at: Option<Timestamp>,
    /// Whether this password change made the newest generation.
    pub(super) by_password: bool,
    /// Whether an answer showed that the store has deleted the record.
    pub(super) gone: bool,
}

/// What a node has ended itself, or has read by a poll. It must refuse the access tokens of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) sessions: BTreeSet<Sid>,
    pub(super) raised: BTreeMap<usize, u64>,
    /// What the node was asked to end when the store failed. It may refuse these access tokens
    /// already.
    pub(super) doubts: BTreeSet<Sid>,
    /// What the node will write to the store later.
    pub(super) left: Vec<Left>,
    /// When the node last started, where this is known.
    pub(super) started_at: Option<Timestamp>,
}

/// An end that a node could not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Session(Sid),
    /// The sessions of a user with a lower version than this.
    All(usize, u64),
}

impl Session {
    pub(super) fn newest(&self) -> u64 {
        self.chain.len() as u64 - 1
    }

    pub(super) fn expires(&self) -> Timestamp {
        self.idle_until.min(self.absolute_until)
    }

    /// Returns from when on the store may have deleted the record without a difference for clients.
    /// A session that ended for another reason than reuse is refused in the same words before and
    /// after.
    pub(super) fn may_be_gone_at(&self, latest: Timestamp) -> bool {
        self.ended != Some(Why::Other) && latest >= self.expires()
    }

    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        !self.gone && self.ended.is_none() && now < self.expires()
    }
}

/// How far apart the clocks of nodes may be.
pub(super) const SKEW: std::time::Duration = std::time::Duration::from_secs(60);

impl State {
    pub(super) fn new(people: usize, nodes: usize) -> Self {
        let user = User { standing: Standing::Active, version: 0, min_version: 0, password: 0 };
        Self { users: vec![user; people], sessions: BTreeMap::new(), nodes: vec![Node::default(); nodes] }
    }

    /// Ends a session, if it is live.
    pub(super) fn end(&mut self, sid: &str, why: Why, now: Timestamp) {
        if let Some(session) = self.sessions.get_mut(sid).filter(|session| session.is_live(now)) {
            session.ended = Some(why);
            session.ended_at = Some(now);
        }
    }

    /// Moves the session to the next generation, whose token id is unknown yet.
    pub(super) fn advance(&mut self, sid: &str, now: Timestamp, settings: &Settings) {
        let session = self.sessions.get_mut(sid).expect("a session that was just looked at");
        session.chain.push(None);
        session.rotated_at = now;
        session.idle_until = now.plus(settings.idle).min(session.absolute_until);
        session.by_password = false;
    }

    /// Moves the session to the next generation and to a new version, by a password change.
    pub(super) fn restamp(&mut self, sid: &str, version: u64, now: Timestamp, settings: &Settings) {
        self.advance(sid, now, settings);
        let session = self.sessions.get_mut(sid).expect("it has just moved on");
        session.version = version;
        session.password_at = Some(now);
        session.by_password = true;
    }

    pub(super) fn raise_version(&mut self, user: usize) {
        self.users[user].version += 1;
    }

    /// Ends every session of the user with a version below `min_version`, and reports this to the
    /// nodes.
    pub(super) fn announce(&mut self, user: usize, min_version: u64, now: Timestamp) {
        self.end_all(user, min_version, None, now);
        self.announce_min_version(user, min_version);
    }

    pub(super) fn announce_min_version(&mut self, user: usize, min_version: u64) {
        let user = &mut self.users[user];
        user.min_version = user.min_version.max(min_version);
    }

    /// Ends every session of the user with a version below `min_version`, except the one to keep.
    pub(super) fn end_all(&mut self, user: usize, min_version: u64, keep: Option<&str>, now: Timestamp) {
        for (sid, session) in &mut self.sessions {
            if session.user == user && session.version < min_version && keep != Some(sid) && session.is_live(now) {
                session.ended = Some(Why::Other);
            }
        }
    }

    /// Adds a session under a name. Returns the sessions that ended, or `None` where the limit
    /// refuses.
    pub(super) fn add(&mut self, new: Addition<'_>, now: Timestamp, settings: &Settings) -> Option<Vec<Sid>> {
        let replaced = new.replaces.filter(|sid| self.sessions[*sid].is_live(now));
        let mut ended: Vec<Sid> = replaced.map(str::to_owned).into_iter().collect();
        // A session is ended at once, if its login read the user before the sessions of its version
        // were ended.
        let is_late = new.version < self.users[new.user].min_version;
        let absolute_until = now.plus(settings.absolute);
        let session = Session {
            user: new.user,
            version: new.version,
            chain: vec![None],
            created_at: now,
            rotated_at: now,
            idle_until: now.plus(settings.idle).min(absolute_until),
            absolute_until,
            ended: is_late.then_some(Why::Other),
            ended_at: None,
            ended_on: None,
            password_at: None,
            by_password: false,
            gone: false,
        };
        if !is_late {
            ended.extend(self.make_room(new, replaced, now, settings)?);
            // No call ended the sessions of lower versions. They no longer count.
            self.end_all(new.user, new.version, None, now);
        }
        // A replaced session of a lower version has ended with those already. Stores do not name
        // it.
        ended.retain(|sid| self.sessions[sid].is_live(now));
        for sid in &ended {
            self.end(sid, Why::Other, now);
        }
        self.sessions.insert(new.name.to_owned(), session);
        Some(ended)
    }

    fn make_room(
        &self,
        new: Addition<'_>,
        replaced: Option<&str>,
        now: Timestamp,
        settings: &Settings,
    ) -> Option<Vec<Sid>> {
        let counts =
            |session: &Session| session.user == new.user && session.version >= new.version && session.is_live(now);
        let mut others: Vec<_> =
            self.sessions.iter().filter(|(sid, session)| counts(session) && replaced != Some(sid)).collect();
        match settings.limit {
            Limit::Ample => Some(Vec::new()),
            // A refused login ends nothing.
            Limit::Refuse(limit) => (others.len() < limit).then(Vec::new),
            Limit::Oldest(limit) => {
                others.sort_by_key(|(_, session)| (session.rotated_at, session.created_at));
                let excess = (others.len() + 1).saturating_sub(limit);
                Some(others.into_iter().take(excess).map(|(sid, _)| sid.clone()).collect())
            }
        }
    }

    /// Returns the states after the node has written what it left. If the store fails, the node may
    /// have written any part of it.
    pub(super) fn bring(&self, node: usize, now: Timestamp, failed: bool) -> Vec<Self> {
        let mut ways = vec![self.clone()];
        for left in &self.nodes[node].left {
            let mut brought = ways.clone();
            for state in &mut brought {
                state.nodes[node].left.retain(|other| other != left);
                match left {
                    Left::Session(sid) => state.end(sid, Why::Other, now),
                    Left::All(user, min_version) => state.announce(*user, *min_version, now),
                }
            }
            if failed {
                ways.extend(brought);
            } else {
                ways = brought;
            }
        }
        ways
    }

    /// Returns the state without the node's new knowledge of what ended.
    pub(super) fn unheard_of(&self, before: &Self) -> Self {
        Self { nodes: before.nodes.clone(), ..self.clone() }
    }

    /// Returns the state in which the node will write an end later that it could not write.
    pub(super) fn leaving(&self, node: usize, left: &Left) -> Self {
        let mut state = self.clone();
        let node = &mut state.nodes[node];
        if let Left::Session(sid) = left {
            node.doubts.insert(sid.clone());
        }
        node.left.push(left.clone());
        state
    }

    /// The node reads every revocation.
    pub(super) fn poll(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.sessions.extend(self.sessions.iter().filter(|(_, s)| s.ended.is_some()).map(|(sid, _)| sid.clone()));
        for (number, user) in self.users.iter().enumerate() {
            node.raise(number, user.min_version);
        }
    }
}

impl Node {
    pub(super) fn raise(&mut self, user: usize, min_version: u64) {
        let known = self.raised.entry(user).or_default();
        *known = min_version.max(*known);
    }

    pub(super) fn has_ended(&self, sid: &str, user: usize, version: u64) -> bool {
        self.sessions.contains(sid) || self.raised.get(&user).is_some_and(|min_version| version < *min_version)
    }
}

/// A session to add.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addition<'a> {
    /// Its name until its id is known.
    pub(super) name: &'a str,
    pub(super) user: usize,
    pub(super) version: u64,
    pub(super) replaces: Option<&'a str>,
}
