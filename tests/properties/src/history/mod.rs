//! What happened when, of operations that overlap, and the rules that hold in every order.

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
    /// Keeps the session.
    ChangePassword {
        user: usize,
        sid: Sid,
    },
    Disable {
        user: usize,
    },
    /// A node was told of everything that had ended; a node that starts is, before it serves.
    Poll,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Pair(Pair),
    Done,
    Refused(ErrorKind),
    /// Nobody knows: it was cut short, or is not over.
    Lost,
}

/// One operation from beginning to end.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) node: usize,
    pub(crate) what: What,
    pub(crate) outcome: Outcome,
    /// When, by a count of beginnings and ends; one that was cut short may take effect at any time.
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    /// The same by the clock.
    pub(crate) at: Timestamp,
    /// When it made its second store call: a refresh reads the user first, and rotates then.
    pub(crate) acted: Timestamp,
    calls: usize,
    pub(crate) until: Timestamp,
    /// The same of the last of its store calls, which may be one that it gave up.
    landed: u64,
    landed_at: Timestamp,
}

impl Event {
    /// Whether it was over when the other began.
    fn before(&self, other: &Self) -> bool {
        self.ended < other.begun
    }

    /// Whether it can have had an effect on the other.
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

/// Writes down a history; clones write the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    events: Vec<Event>,
    count: u64,
    /// How many events have been looked through for what clients got.
    received: usize,
}

impl Recorder {
    /// An operation begins; its number is for [`end`](Self::end).
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

    /// An operation makes a store call.
    pub(crate) fn act(&self, number: usize, now: Timestamp) {
        self.with(|log| {
            let event = &mut log.events[number];
            event.calls += 1;
            if event.calls <= 2 {
                event.acted = now;
            }
        });
    }

    /// An operation ends.
    pub(crate) fn end(&self, number: usize, outcome: Outcome, until: Timestamp) {
        self.with(|log| {
            log.count += 1;
            let event = &mut log.events[number];
            event.outcome = outcome;
            (event.ended, event.landed) = (log.count, log.count);
            (event.until, event.landed_at) = (until, until);
        });
    }

    /// Calls that were given up have landed now, nobody knows of which of the operations since `first`.
    ///
    /// A refresh that lands when the session has moved on twice is taken for reuse, and ends it: nothing in it tells that
    /// it was presented before.
    pub(crate) fn land(&self, first: usize, now: Timestamp) {
        self.with(|log| {
            log.count += 1;
            let landed = log.count;
            for event in &mut log.events[first..] {
                (event.landed, event.landed_at) = (event.landed.max(landed), now);
            }
        });
    }

    /// How many operations have begun.
    pub(crate) fn len(&self) -> usize {
        self.with(|log| log.events.len())
    }

    /// The pairs that clients got since they were last asked for, and to whom those of new sessions belong.
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

/// Everything that happened.
#[derive(Clone, Debug)]
pub(crate) struct History {
    events: Vec<Event>,
    settings: Settings,
    /// Whether store calls were made to fail.
    failures: bool,
}
