//! [`Outbox`]: endings that count on this node, and that the store could not take yet.

use std::collections::{HashMap, VecDeque};

use crate::{
    event::{EndAllReason, FlowRun},
    session::{EndReason, Ended, SessionId},
    store::EndAll,
    user::UserId,
};

/// How many endings this node keeps for a store that cannot be reached.
const MAX_ENDINGS: usize = 65_536;

/// How many of one user: more than a user has sessions.
const MAX_OF_A_USER: usize = 128;

/// The same once half of the room is taken, so that those who end many sessions leave room for everybody else.
const MAX_OF_A_USER_THEN: usize = 4;

/// How many of them may have session ids that no store has confirmed. A client may have invented
/// such an id.
const MAX_UNCHECKED: usize = MAX_ENDINGS / 4;

/// An ending that counts on this node and is not yet in the store.
#[derive(Clone, Debug)]
pub(super) enum Unfinished {
    Session(UserId, SessionId, Ended, FlowRun),
    /// All sessions of a user, and the event to emit, unless another ending has emitted it.
    All(EndAll, Option<(EndAllReason, FlowRun)>),
}

impl Unfinished {
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

    /// Whether both end the same.
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

    /// Whether nobody has seen yet that its user has such a session.
    fn is_unchecked(&self) -> bool {
        matches!(self, Self::Session(_, _, ended, _) if ended.reason == EndReason::EndedByUser)
    }

    /// Whether this ends nothing, and has nothing to tell, that an ending of all of the user's sessions does not.
    fn is_covered_by(&self, all: &EndAll, has_event: bool) -> bool {
        let Self::All(this, event) = self else { return false };
        this.user_id == all.user_id && this.min_version <= all.min_version && (has_event || event.is_none())
    }
}

/// The endings that are left, by user; users take turns.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    of: HashMap<UserId, Vec<Unfinished>>,
    turns: VecDeque<UserId>,
    count: usize,
    unchecked: usize,
}

impl Outbox {
    /// Keeps an ending; `false` where there is no room for it.
    pub(super) fn put_aside(&mut self, mut unfinished: Unfinished) -> bool {
        if let Unfinished::Session(.., flow) | Unfinished::All(_, Some((_, flow))) = &mut unfinished {
            flow.leave_span();
        }
        if let Unfinished::All(all, event) = &unfinished {
            self.forget_covered(all, event.is_some());
        }
        if self.contains(&unfinished) {
            return true;
        }
        let is_single = matches!(unfinished, Unfinished::Session(..));
        let of_this_user = self.of.get(unfinished.user()).map_or(0, Vec::len);
        let most = if self.count < MAX_ENDINGS / 2 { MAX_OF_A_USER } else { MAX_OF_A_USER_THEN };
        let unchecked = unfinished.is_unchecked();
        if self.count >= MAX_ENDINGS
            || (is_single && of_this_user >= most)
            || (unchecked && self.unchecked >= MAX_UNCHECKED)
        {
            return false;
        }
        let user = unfinished.user().clone();
        let of = self.of.entry(user.clone()).or_default();
        if of.is_empty() {
            self.turns.push_back(user);
        }
        of.push(unfinished);
        self.count += 1;
        self.unchecked += usize::from(unchecked);
        true
    }

    /// Forgets endings that this one has made up for.
    pub(super) fn forget_covered(&mut self, all: &EndAll, has_event: bool) {
        self.retain(&all.user_id, |left| !left.is_covered_by(all, has_event));
    }

    pub(super) fn contains(&self, this: &Unfinished) -> bool {
        self.of.get(this.user()).is_some_and(|of| of.iter().any(|left| left.is_same(this)))
    }

    pub(super) fn done(&mut self, this: &Unfinished) {
        self.retain(this.user(), |left| !left.is_same(this));
    }

    /// Returns how many endings are left.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whose turn it is, one after the other.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.turns.iter().cloned().collect()
    }

    /// What is left of a user; it keeps its place until it is done.
    pub(super) fn of(&self, user: &UserId) -> Vec<Unfinished> {
        self.of.get(user).cloned().unwrap_or_default()
    }

    /// Lets the others be first the next time.
    pub(super) fn step_back(&mut self, this: &Unfinished) {
        if let Some(of) = self.of.get_mut(this.user())
            && let Some(at) = of.iter().position(|left| left.is_same(this))
        {
            let left = of.remove(at);
            of.push(left);
        }
        if let Some(at) = self.turns.iter().position(|user| user == this.user())
            && let Some(user) = self.turns.remove(at)
        {
            self.turns.push_back(user);
        }
    }

    fn retain(&mut self, user: &UserId, keep: impl Fn(&Unfinished) -> bool) {
        let Some(of) = self.of.get_mut(user) else { return };
        let gone: Vec<_> = of.extract_if(.., |left| !keep(left)).collect();
        self.count = self.count.saturating_sub(gone.len());
        self.unchecked = self.unchecked.saturating_sub(gone.iter().filter(|left| left.is_unchecked()).count());
        if of.is_empty() {
            self.of.remove(user);
            self.turns.retain(|other| other != user);
        }
    }
}
