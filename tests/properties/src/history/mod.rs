//! The history of operations that overlap, and the rules that hold in every order.

mod rules;

use std::sync::{Arc, Mutex, PoisonError};

use portcullis::{ErrorKind, clock::Timestamp};

use crate::{
    settings::Settings,
    token::{Pair, RefreshToken, Sid},
};

/// An operation of a history.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Login {
        user: usize,
    },
    Refresh {
        token: RefreshToken,
    },
    Use {
        sid: Sid,
        version: u64,
        expires: Timestamp,
    },
    Logout {
        sid: Sid,
    },
    LogoutAll {
        user: usize,
    },
    /// Changes the password, and keeps the session.
    ChangePassword {
        user: usize,
        sid: Sid,
    },
    Disable {
        user: usize,
    },
    /// A node has read every revocation. A node that starts does this before it serves.
    Poll,
}

/// The result of an operation.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Pair(Pair),
    Done,
    Refused(ErrorKind),
    /// Unknown, because the operation was cut short or has not ended.
    Lost,
}

/// One operation from beginning to end.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) node: usize,
    pub(crate) what: What,
    pub(crate) outcome: Outcome,
    /// When it began, by a count of beginnings and ends. An operation that was cut short may take
    /// effect at any time.
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    /// When it began, by the clock.
    pub(crate) at: Timestamp,
    /// When it made its second store call. A refresh reads the user by its first call, and rotates
    /// by its second.
    pub(crate) acted: Timestamp,
    calls: usize,
    pub(crate) until: Timestamp,
    /// When its last store call took effect, by the count. The operation may have stopped waiting
    /// for it.
    landed: u64,
    landed_at: Timestamp,
}

impl Event {
    /// Returns whether it ended before the other began.
    fn before(&self, other: &Self) -> bool {
        self.ended < other.begun
    }

    /// Returns whether it can have affected the other.
    fn may_affect(&self, other: &Self) -> bool {
        self.begun < other.ended
    }

    fn pair(&self) -> Option<&Pair> {
        match &self.outcome {
            Outcome::Pair(pair) => Some(pair),
            _ => None,
        }
    }

    fn refusal(&self) -> Option<ErrorKind> {
        match self.outcome {
            Outcome::Refused(kind) => Some(kind),
            _ => None,
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::Pair(_))
    }
}

/// Records a history. Clones record the same history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    events: Vec<Event>,
    count: u64,
    /// How many events have been read by [`received`](Recorder::received).
    received: usize,
}

impl Recorder {
    /// Records that an operation begins. Returns its number for [`end`](Self::end).
    pub(crate) fn begin(&self, node: usize, what: What, at: Timestamp) -> usize {
        self.with(|log| {
            log.count += 1;
            let (begun, ended, until) = (log.count, u64::MAX, Timestamp::from_millis(i64::MAX));
            log.events.push(Event {
                node,
                what,
                outcome: Outcome::Lost,
                begun,
                ended,
                at,
                acted: at,
                calls: 0,
                until,
                landed: ended,
                landed_at: until,
            });
            log.events.len() - 1
        })
    }

    /// Records that an operation makes a store call.
    pub(crate) fn act(&self, number: usize, now: Timestamp) {
        self.with(|log| {
            let event = &mut log.events[number];
            event.calls += 1;
            if event.calls <= 2 {
                event.acted = now;
            }
        });
    }

    /// Records that an operation ends.
    pub(crate) fn end(&self, number: usize, outcome: Outcome, until: Timestamp) {
        self.with(|log| {
            log.count += 1;
            let event = &mut log.events[number];
            event.outcome = outcome;
            (event.ended, event.landed) = (log.count, log.count);
            (event.until, event.landed_at) = (until, until);
        });
    }

    /// Records that calls of operations since `first` took effect now, after their callers stopped
    /// waiting. It is unknown which calls these are.
    ///
    /// A refresh that takes effect after the session has rotated twice counts as reuse, and ends
    /// the session. Nothing in it shows that its token was presented earlier.
    pub(crate) fn land(&self, first: usize, now: Timestamp) {
        self.with(|log| {
            log.count += 1;
            let landed = log.count;
            for event in &mut log.events[first..] {
                (event.landed, event.landed_at) = (event.landed.max(landed), now);
            }
        });
    }

    /// Returns how many operations have begun.
    pub(crate) fn len(&self) -> usize {
        self.with(|log| log.events.len())
    }

    /// Returns the token pairs that clients received since the last call. For a new session it also
    /// returns the user.
    pub(crate) fn received(&self) -> Vec<(Option<usize>, Pair)> {
        self.with(|log| {
            let mut new: Vec<_> = log.events[log.received..].iter().filter(|event| event.pair().is_some()).collect();
            new.sort_by_key(|event| event.ended);
            let received = new.iter().filter_map(|event| match event.what {
                What::Login { user } | What::ChangePassword { user, .. } => Some((Some(user), event.pair()?.clone())),
                _ => Some((None, event.pair()?.clone())),
            });
            let received = received.collect();
            log.received = log.events.len();
            received
        })
    }

    pub(crate) fn history(&self, settings: Settings, failures: bool) -> History {
        History { events: self.with(|log| log.events.clone()), settings, failures }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Log) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A complete history.
#[derive(Clone, Debug)]
pub(crate) struct History {
    events: Vec<Event>,
    settings: Settings,
    /// Whether store calls were made to fail.
    failures: bool,
}
