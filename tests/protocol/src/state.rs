//! A state of the whole: the store, the nodes, the holders, and what is under way.

use crate::{
    operation::{NodeId, Operation},
    record::{Record, Token},
};

/// How long an access token lives, in ticks.
pub const LIFETIME: u8 = 3;

/// How far the clocks of two nodes differ at most.
pub const CLOCKS: u8 = 1;

/// How long after its stamp the store takes an ending at most: the timeout of a call.
pub const TIMEOUT: u8 = 1;

/// How long an ending is remembered after its stamp.
pub const HORIZON: u8 = LIFETIME + CLOCKS + TIMEOUT;

/// How far a poll reads back beyond the last one.
pub const OVERLAP: u8 = CLOCKS + TIMEOUT;

/// What has ended, as a node reads and remembers it. Each is kept until a moment of the node's
/// clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Revoked {
    /// The session's access tokens are revoked.
    pub session_until: Option<u8>,
    /// Access tokens of versions below this one are revoked.
    pub min_version: u8,
    /// How long the version is remembered.
    pub version_until: u8,
}

/// What must be known, if the rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Known {
    /// The session has ended.
    pub session: bool,
    /// The least version that counts.
    pub min_version: u8,
}

/// A poll that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Poll {
    /// When it began, by the node's clock.
    pub began: u8,
    /// What the store had when it began.
    pub covers: Known,
    /// What it has read, once it has.
    pub read: Option<Revoked>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// It has read what has ended.
    pub loaded: bool,
    /// What it remembers.
    pub revoked: Revoked,
    /// When the last poll began that succeeded.
    pub polled_at: u8,
    /// The poll that is under way.
    pub poll: Option<Poll>,
    /// What it must know.
    pub must_know: Known,
}

/// What a logout everywhere leaves behind: the least version that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Floor {
    /// The stamp.
    pub at: u8,
    /// The version.
    pub min_version: u8,
}

/// What the store has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The user's token version.
    pub version: u8,
    /// The session.
    pub record: Record,
    /// The version of a second session, by a login that was under way.
    pub second: Option<u8>,
    /// The end of all sessions.
    pub floor: Option<Floor>,
}

/// An access token: the one of the session that lives longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// Its `exp`.
    pub expires_at: u8,
    /// Its `ver`.
    pub version: u8,
}

/// How often each thing has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Used {
    pub client_refreshes: u8,
    pub thief_refreshes: u8,
    pub endings: u8,
    pub logins: u8,
    pub polls: u8,
    pub crashes: u8,
    pub lost_answers: u8,
    pub refusals: u8,
    pub ids: u8,
}

/// What the rules look at, beside the state: what has happened on the way here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// When the token of each generation was superseded, in global time.
    pub superseded_at: Vec<u8>,
    /// The id of each generation that was signed.
    pub signed: Vec<Option<u8>>,
    /// Two tokens of one generation were signed.
    pub forked: bool,
    /// A token was given for one that was superseded too long ago.
    pub late_token: bool,
    /// A token that was superseded too long ago was presented, and the session lives.
    pub unnoticed_reuse: bool,
    /// A token was given after the end.
    pub token_after_end: bool,
    /// Something that may end the session has happened.
    pub may_end: bool,
    /// A client received the answer that the session has ended.
    pub answered_logout: bool,
    /// A client received the answer that all sessions have ended.
    pub answered_logout_all: bool,
    /// A token was given again for the one before it.
    pub replayed: bool,
}

/// A state of the whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Global time, in ticks.
    pub now: u8,
    pub store: Store,
    pub nodes: [Node; 2],
    pub under_way: Vec<Operation>,
    /// The client's refresh token, until it is refused.
    pub client: Option<Token>,
    /// The thief's.
    pub thief: Option<Token>,
    pub access: Access,
    pub used: Used,
    pub seen: Seen,
}

impl State {
    /// The state after a login on the second node, whose clock is ahead.
    pub fn first() -> Self {
        let token = Token { generation: 0, id: 0 };
        let node = Node { loaded: true, ..Node::default() };
        Self {
            now: 0,
            store: Store {
                version: 0,
                record: Record { token, previous: None, rotated_at: 0, version: 0, end: None },
                second: None,
                floor: None,
            },
            nodes: [node.clone(), node],
            under_way: Vec::new(),
            client: Some(token),
            thief: None,
            access: Access { expires_at: LIFETIME + CLOCKS, version: 0 },
            used: Used { ids: 1, ..Used::default() },
            seen: Seen { signed: vec![Some(0)], ..Seen::default() },
        }
    }

    /// What the store has of what has ended.
    pub fn written(&self) -> Known {
        Known {
            session: self.store.record.end.is_some(),
            min_version: self.store.floor.map_or(0, |floor| floor.min_version),
        }
    }

    /// Whether a guard of this node admits the session's access token, by the node's clock.
    pub fn admits(&self, node: NodeId, clock: u8, serves_unloaded: bool) -> bool {
        let node = &self.nodes[node];
        let known = &node.revoked;
        (node.loaded || serves_unloaded)
            && clock < self.access.expires_at
            && known.session_until.is_none_or(|until| clock > until)
            && (self.access.version >= known.min_version || clock > known.version_until)
    }
}
