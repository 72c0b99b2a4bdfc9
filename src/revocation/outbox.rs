//! [`Outbox`]: sessions that have ended on this node and not yet in the store.

use std::collections::{HashMap, VecDeque};

use crate::{
    event::{EndAllReason, FlowRun},
    session::{EndReason, Ended, SessionId},
    store::EndAll,
    user::UserId,
};

/// Maximum number of entries.
const MAX_ENTRIES: usize = 65_536;

/// Maximum number of entries of one user. A user has fewer sessions.
const MAX_OF_A_USER: usize = 128;

/// Maximum number of entries of one user when the outbox is half full, so that a user who ends many
/// sessions leaves room for others.
const MAX_OF_A_USER_WHEN_FULL: usize = 4;

/// Maximum number of entries whose session id no store has confirmed. A client may have invented
/// such an id.
const MAX_UNCHECKED: usize = MAX_ENTRIES / 4;

/// An end that this node knows of, and the store does not have yet.
#[derive(Clone, Debug)]
pub(super) enum PendingEnd {
    /// One session.
    Session(UserId, SessionId, Ended, FlowRun),
    /// All sessions of a user with lower versions, and the event to emit. The event is `None` if
    /// another end emits it.
    All(EndAll, Option<(EndAllReason, FlowRun)>),
}

impl PendingEnd {
    /// Stamps the end anew.
    pub(super) fn restamp(&mut self, ended: impl FnOnce(EndReason) -> Ended) {
        let stamp = match self {
            Self::Session(_, _, stamp, _) => stamp,
            Self::All(all, _) => &mut all.ended,
        };
        *stamp = ended(stamp.reason);
    }

    fn user(&self) -> &UserId {
        match self {
            Self::Session(user, ..) => user,
            Self::All(all, _) => &all.user_id,
        }
    }

    /// Returns whether both end the same sessions.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(user, id, ..), Self::Session(other_user, other_id, ..)) => {
                user == other_user && id == other_id
            }
            (Self::All(all, _), Self::All(other, _)) => {
                all.user_id == other.user_id && all.min_version == other.min_version
            }
            _ => false,
        }
    }

    /// Returns whether no store has confirmed yet that the user has such a session.
    fn is_unchecked(&self) -> bool {
        matches!(self, Self::Session(_, _, ended, _) if ended.reason == EndReason::EndedByUser)
    }

    /// Returns whether `all` ends at least the same sessions, and emits an event if this one has
    /// to.
    fn is_covered_by(&self, all: &EndAll, has_event: bool) -> bool {
        let Self::All(this, event) = self else { return false };
        this.user_id == all.user_id && this.min_version <= all.min_version && (has_event || event.is_none())
    }
}

/// Ends that the store does not have yet, by user. Users take turns, so that no user delays the
/// others.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    by_user: HashMap<UserId, Vec<PendingEnd>>,
    turns: VecDeque<UserId>,
    count: usize,
    unchecked: usize,
}

impl Outbox {
    /// Adds an end. Returns `false` if there is no room for it.
    pub(super) fn defer(&mut self, mut pending: PendingEnd) -> bool {
        if let PendingEnd::Session(.., flow) | PendingEnd::All(_, Some((_, flow))) = &mut pending {
            flow.leave_span();
        }
        if let PendingEnd::All(all, event) = &pending {
            self.forget_covered(all, event.is_some());
        }
        if self.contains(&pending) {
            return true;
        }
        let is_single = matches!(pending, PendingEnd::Session(..));
        let of_this_user = self.by_user.get(pending.user()).map_or(0, Vec::len);
        let most = if self.count < MAX_ENTRIES / 2 { MAX_OF_A_USER } else { MAX_OF_A_USER_WHEN_FULL };
        let unchecked = pending.is_unchecked();
        if self.count >= MAX_ENTRIES
            || (is_single && of_this_user >= most)
            || (unchecked && self.unchecked >= MAX_UNCHECKED)
        {
            return false;
        }
        let user = pending.user().clone();
        let ends = self.by_user.entry(user.clone()).or_default();
        if ends.is_empty() {
            self.turns.push_back(user);
        }
        ends.push(pending);
        self.count += 1;
        self.unchecked += usize::from(unchecked);
        true
    }

    /// Removes the ends that `all` covers.
    pub(super) fn forget_covered(&mut self, all: &EndAll, has_event: bool) {
        self.retain(&all.user_id, |left| !left.is_covered_by(all, has_event));
    }

    /// Returns whether an end of the same sessions is kept.
    pub(super) fn contains(&self, this: &PendingEnd) -> bool {
        self.by_user.get(this.user()).is_some_and(|ends| ends.iter().any(|left| left.is_same(this)))
    }

    /// Removes an end that the store has.
    pub(super) fn done(&mut self, this: &PendingEnd) {
        self.retain(this.user(), |left| !left.is_same(this));
    }

    /// Returns how many ends wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns the users, in the order of their turns.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.turns.iter().cloned().collect()
    }

    /// Returns the ends of a user. They stay in the outbox until they are [`done`](Self::done).
    pub(super) fn of(&self, user: &UserId) -> Vec<PendingEnd> {
        self.by_user.get(user).cloned().unwrap_or_default()
    }

    /// Moves an end, and its user, behind all others.
    pub(super) fn move_to_back(&mut self, this: &PendingEnd) {
        if let Some(ends) = self.by_user.get_mut(this.user())
            && let Some(at) = ends.iter().position(|left| left.is_same(this))
        {
            let left = ends.remove(at);
            ends.push(left);
        }
        if let Some(at) = self.turns.iter().position(|user| user == this.user())
            && let Some(user) = self.turns.remove(at)
        {
            self.turns.push_back(user);
        }
    }

    fn retain(&mut self, user: &UserId, keep: impl Fn(&PendingEnd) -> bool) {
        let Some(ends) = self.by_user.get_mut(user) else { return };
        let removed: Vec<_> = ends.extract_if(.., |left| !keep(left)).collect();
        self.count = self.count.saturating_sub(removed.len());
        self.unchecked = self.unchecked.saturating_sub(removed.iter().filter(|left| left.is_unchecked()).count());
        if ends.is_empty() {
            self.by_user.remove(user);
            self.turns.retain(|other| other != user);
        }
    }
}
