//! The model: what each operation may answer. It follows the tables of the design, and knows
//! nothing of the implementation.
//!
//! The model is a set of states. A lost answer leaves several possible states. Every answer removes
//! the states that would have given another answer. When no state is left, an invariant is broken.

mod predict;
mod state;

use std::fmt;

use portcullis::{ErrorKind, clock::Timestamp, session::Session};

use self::state::{Standing, State};
use crate::{
    faulty::Interrupt,
    settings::Settings,
    token::{AccessToken, Forgery, Pair, RefreshToken, Sid},
};

/// Prefix for the names of sessions whose id is unknown. An id never contains a full stop.
const LOST: &str = "lost.";

/// An operation, with everything that it needs.
#[derive(Clone, Debug)]
pub enum Op<'a> {
    /// Logs in with a user that was read earlier.
    Login {
        user: usize,
        version: u64,
        disabled: bool,
        replaces: Option<&'a RefreshToken>,
    },
    LogIn {
        user: usize,
        password: u32,
    },
    Refresh {
        token: &'a RefreshToken,
        forgery: Option<Forgery>,
    },
    Use {
        token: &'a AccessToken,
    },
    Logout {
        refresh: Option<(&'a RefreshToken, Option<Forgery>)>,
        access: Option<&'a AccessToken>,
    },
    LogoutAll {
        user: usize,
    },
    EndSession {
        sid: &'a str,
    },
    ChangePassword {
        token: &'a AccessToken,
        current: u32,
        new: u32,
    },
    Disable {
        user: usize,
    },
    Enable {
        user: usize,
    },
    Delete {
        user: usize,
    },
    Poll,
    Restart,
    List {
        user: usize,
    },
    /// Asks whether the store has a record of the session.
    Find {
        sid: &'a str,
    },
}

/// The result of an operation.
#[derive(Clone)]
pub enum Seen {
    Pair(Pair),
    Done,
    Listed(Vec<Session>),
    Refused(ErrorKind),
    /// No answer, because the client disconnected or the node died.
    Nothing(Interrupt),
}

impl Op<'_> {
    /// Returns the name of the operation, for counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Login { .. } => "login",
            Self::LogIn { .. } => "sign in",
            Self::Refresh { .. } => "refresh",
            Self::Use { .. } => "use",
            Self::Logout { .. } => "logout",
            Self::LogoutAll { .. } => "logout all",
            Self::EndSession { .. } => "end session",
            Self::ChangePassword { .. } => "change password",
            Self::Disable { .. } => "disable",
            Self::Enable { .. } => "enable",
            Self::Delete { .. } => "delete",
            Self::Poll => "poll",
            Self::Restart => "restart",
            Self::List { .. } => "list",
            Self::Find { .. } => "find",
        }
    }
}

impl Seen {
    /// Returns the name of the answer, for counts.
    pub fn name(&self) -> String {
        match self {
            Self::Pair(_) => "a pair".to_owned(),
            Self::Done => "done".to_owned(),
            Self::Listed(_) => "a list".to_owned(),
            Self::Refused(kind) => kind.code().to_owned(),
            Self::Nothing(interrupt) => format!("{interrupt:?}"),
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(pair) => write!(f, "a pair of generation {} of {}", pair.refresh.generation, pair.refresh.sid),
            Self::Done => f.write_str("done"),
            Self::Listed(sessions) => f.debug_list().entries(sessions).finish(),
            Self::Refused(kind) => write!(f, "refused as {}", kind.code()),
            Self::Nothing(interrupt) => write!(f, "no answer, {interrupt:?}"),
        }
    }
}

/// When and where an operation happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) node: usize,
    pub(crate) now: Timestamp,
    /// The latest moment that the clock has shown. What expired by then may have been deleted.
    pub(crate) latest: Timestamp,
    /// Whether a store call of the operation failed.
    pub(crate) failed: bool,
}

/// What a state expects of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expect {
    /// The first pair of the session that has this name in the state.
    First {
        name: String,
    },
    /// The pair of the session's newest generation, which this operation made.
    Next {
        sid: Sid,
    },
    /// The pair of the session's newest generation, which existed before.
    Same {
        sid: Sid,
    },
    Done,
    /// The access token may be accepted or refused.
    Either,
    /// Exactly the first list, and perhaps some of the second.
    Listed {
        surely: Vec<Sid>,
        perhaps: Vec<Sid>,
    },
    Refused(ErrorKind),
}

/// One way in which an operation can lead from a state to another.
#[derive(Clone, Debug)]
struct Branch {
    expect: Expect,
    next: State,
    /// The states in which the operation may have stopped, if the store fails or the node dies.
    stops: Vec<State>,
}

/// Every state that is possible after the answers so far.
#[derive(Clone, Debug)]
pub struct Model {
    states: Vec<State>,
    settings: Settings,
    latest: Timestamp,
    /// Counts sessions whose first pair was lost, for their names.
    lost: usize,
}

impl Model {
    pub fn new(settings: Settings, people: usize, nodes: usize) -> Self {
        let latest = Timestamp::from_millis(i64::MIN);
        Self { states: vec![State::new(people, nodes)], settings, latest, lost: 0 }
    }

    /// Notes the moment that the clock shows.
    pub fn look_at_the_clock(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now);
    }

    /// Notes the result of an operation. `failed` says whether a store call failed by the plan.
    ///
    /// # Errors
    /// Returns what was expected instead.
    pub fn step(&mut self, op: &Op<'_>, node: usize, now: Timestamp, seen: &Seen, failed: bool) -> Result<(), String> {
        self.look_at_the_clock(now);
        self.lost += 1;
        let context = Context { settings: &self.settings, node, now, latest: self.latest, failed };
        let name = format!("{LOST}{}", self.lost);
        let unknown = failed && matches!(seen, Seen::Refused(ErrorKind::StoreUnavailable) | Seen::Nothing(_));
        let (mut next, mut expected) = (Vec::new(), Vec::new());
        for state in &self.states {
            for branch in predict::branches(state, op, &context, &name) {
                expected.push(branch.expect.clone());
                if unknown {
                    next.extend(branch.unknown(state, seen));
                } else if let Some(state) = branch.met_by(seen, &context) {
                    next.push(state);
                }
            }
        }
        let mut distinct: Vec<State> = Vec::new();
        for state in next {
            if !distinct.contains(&state) {
                distinct.push(state);
            }
        }
        if distinct.is_empty() {
            expected.dedup();
            return Err(format!("{op:?} on node {node} at {now}: got {seen:?}, expected {expected:?}"));
        }
        self.states = distinct;
        Ok(())
    }

    /// Returns how many states are possible.
    pub fn doubt(&self) -> usize {
        self.states.len()
    }

    /// Returns whether the user is deleted in every state. A test must not use such a user.
    pub fn is_deleted(&self, user: usize) -> bool {
        self.states.iter().all(|state| state.users[user].standing == Standing::Deleted)
    }
}

impl Branch {
    /// Makes a branch that happens as a whole or not at all.
    fn new(before: &State, expect: Expect, next: State) -> Self {
        let stops = vec![before.clone(), next.unheard_of(before)];
        Self { expect, next, stops }
    }

    /// Returns the states that are possible where it is unknown how far the operation came.
    fn unknown(self, before: &State, seen: &Seen) -> Vec<State> {
        match seen {
            // The node lives, so the operation happened as a whole or not at all.
            Seen::Nothing(Interrupt::HungUp) => vec![before.clone(), self.next],
            _ => self.stops,
        }
    }

    fn met_by(&self, seen: &Seen, context: &Context<'_>) -> Option<State> {
        let mut next = self.next.clone();
        let met = match (&self.expect, seen) {
            (Expect::First { name }, Seen::Pair(pair)) => {
                let session = next.sessions.remove(name)?;
                let is_new = next.sessions.insert(pair.refresh.sid.clone(), session).is_none();
                is_new && next.learns(pair, context)
            }
            (Expect::Next { sid }, Seen::Pair(pair)) => {
                // A token id that was used before would make one token of two.
                let is_new = !next.sessions[sid].chain.contains(&Some(pair.refresh.jti.clone()));
                is_new && pair.refresh.sid == *sid && next.learns(pair, context)
            }
            (Expect::Same { sid }, Seen::Pair(pair)) => pair.refresh.sid == *sid && next.learns(pair, context),
            (Expect::Done | Expect::Either, Seen::Done) | (Expect::Either, Seen::Refused(ErrorKind::TokenRevoked)) => {
                true
            }
            (Expect::Refused(expected), Seen::Refused(kind)) => expected == kind,
            (Expect::Listed { surely, perhaps }, Seen::Listed(listed)) => {
                let names: Vec<_> = listed.iter().map(|session| session.id.encode()).collect();
                surely.iter().all(|sid| names.contains(sid))
                    && names.iter().all(|sid| {
                        // A session whose first pair was lost has an id that the model does not
                        // know.
                        let stranger = !next.sessions.contains_key(sid) && next.has_lost_one();
                        surely.contains(sid) || perhaps.contains(sid) || stranger
                    })
                    && listed.iter().all(|session| next.has(session))
            }
            _ => false,
        };
        met.then_some(next)
    }
}

impl State {
    /// Returns whether a pair is the session's newest and within its expiries. Stores the token id,
    /// if it was unknown.
    fn learns(&mut self, pair: &Pair, context: &Context<'_>) -> bool {
        let Some(session) = self.sessions.get_mut(&pair.refresh.sid) else { return false };
        let newest = session.newest();
        let known = session.chain.last_mut().expect("a session has a token");
        let id_fits = *known.get_or_insert_with(|| pair.refresh.jti.clone()) == pair.refresh.jti;
        // Dates in tokens are whole seconds, rounded down. A lifetime below a second counts as a
        // second.
        let until = session.idle_until.as_secs().max(pair.refresh.issued.as_secs() + 1);
        let access = pair.access.expires;
        id_fits
            && pair.refresh.generation == newest
            && pair.access.version == session.version
            && session.idle_until <= session.absolute_until
            && pair.refresh.expires.as_secs() == until
            && access <= session.absolute_until
            && access.since(pair.access.issued) <= context.settings.access
            && pair.access.issued == Timestamp::from_secs(context.now.as_secs())
    }

    fn has_lost_one(&self) -> bool {
        self.sessions.keys().any(|name| name.starts_with(LOST))
    }

    /// Returns whether a record agrees with the session of the state.
    fn has(&self, record: &Session) -> bool {
        let Some(session) = self.sessions.get(&record.id.encode()) else {
            return self.has_lost_one();
        };
        let token_id = session.chain.last().cloned().flatten();
        record.generation == session.newest()
            && token_id.is_none_or(|id| id == record.token_id.encode())
            && record.rotated_at == session.rotated_at
            && record.expires_at == session.idle_until
            && record.absolute_expires_at == session.absolute_until
            && record.expires_at <= record.absolute_expires_at
            && record.ended.is_none()
    }
}
