//! [`Report`]: how this node follows what ends, for health and metrics. It does no I/O.

use std::{sync::atomic::Ordering, time::Duration};

use super::revocations::Revocations;
use crate::metrics::RevocationState;

/// How many polls may be missed before a node counts as out of touch.
const MISSED_POLLS: u32 = 3;

/// What an operator has to know about a node's revocations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) is_loaded: bool,
    pub(crate) is_shutting_down: bool,
    /// Time since the last successful poll began.
    pub(crate) last_poll_age: Option<Duration>,
    /// The last successful poll is not longer ago than three of them take.
    pub(crate) is_in_touch: bool,
    /// Entries that the last successful poll has read.
    pub(crate) last_poll_entries: u64,
    pub(crate) revoked_sessions: usize,
    pub(crate) revoked_users: usize,
    /// Room for each of the two.
    pub(crate) capacity: usize,
    /// How long guards still have to ask the store, because an ending found no room.
    pub(crate) full_for: Option<Duration>,
    /// `None` without a feed.
    pub(crate) is_feed_up: Option<bool>,
    /// Endings that the store has not taken yet.
    pub(crate) unwritten_revocations: usize,
    /// Endings that the store never got, since the start.
    pub(crate) lost_revocations: u64,
    /// Questions about sessions that the store has been asked by guards that were unsure, since the
    /// start.
    pub(crate) store_questions: u64,
}

impl Report {
    pub(super) fn gauges(&self) -> RevocationState {
        RevocationState {
            sessions: self.revoked_sessions,
            users: self.revoked_users,
            capacity: self.capacity,
            is_full: self.full_for.is_some(),
            is_feed_up: self.is_feed_up.unwrap_or(false),
            unwritten_revocations: self.unwritten_revocations,
        }
    }
}

impl Revocations {
    /// Returns how this node follows what ends.
    pub(crate) fn report(&self) -> Report {
        let now = self.clock.now();
        let last_poll_age = self.poll_age(now);
        let allowed = self.settings.poll_interval.saturating_mul(MISSED_POLLS);
        Report {
            is_loaded: self.is_loaded(),
            is_shutting_down: self.is_shutting_down.load(Ordering::Acquire),
            last_poll_age,
            is_in_touch: last_poll_age.is_some_and(|age| age <= allowed),
            last_poll_entries: self.poll_entries.load(Ordering::Relaxed),
            revoked_sessions: self.set.sessions(),
            revoked_users: self.set.users(),
            capacity: self.settings.capacity,
            full_for: self.set.full_for(now),
            is_feed_up: self.settings.feed.is_some().then(|| self.is_feed_up.load(Ordering::Acquire)),
            unwritten_revocations: self.outbox().len(),
            lost_revocations: self.lost_revocations.load(Ordering::Relaxed),
            store_questions: self.live_answers.asked(),
        }
    }
}
