//! The protocol as a model: what may happen next.

use stateright::{Model, Property};

use crate::{
    Bounds, Flaw,
    operation::{EndStep, Holder, NodeId, Operation, RefreshStep, Work},
    rules,
    state::{CLOCKS, HORIZON, LIFETIME, Poll, State, TIMEOUT},
};

/// The protocol, within bounds, and perhaps with a flaw.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// How far the checker looks.
    pub bounds: Bounds,
    /// The mistake that is put in.
    pub flaw: Option<Flaw>,
}

/// Something that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time moves on by a tick.
    Tick,
    /// The thief copies the client's refresh token.
    Steal,
    /// A holder presents its refresh token to a node.
    Refresh(Holder, NodeId),
    /// The user logs out, at a node.
    Logout(NodeId),
    /// The user logs out everywhere, at a node.
    LogoutAll(NodeId),
    /// The user logs in on another device, at a node.
    Login(NodeId),
    /// An operation takes its next step.
    Step(usize),
    /// An operation takes its next step, and its answer is lost.
    Lose(usize),
    /// The store refuses the next step of an operation.
    Refuse(usize),
    /// A node crashes and starts again. Its operations and what it remembers are gone.
    Crash(NodeId),
    /// A node that has started reads what has ended.
    Load(NodeId),
    /// A node begins a poll.
    BeginPoll(NodeId),
    /// The store answers a poll.
    ReadPoll(NodeId),
    /// The answer of a poll arrives.
    ApplyPoll(NodeId),
}

impl Protocol {
    /// The protocol as it is.
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds, flaw: None }
    }

    /// The protocol with a mistake.
    pub const fn with_flaw(bounds: Bounds, flaw: Flaw) -> Self {
        Self { bounds, flaw: Some(flaw) }
    }

    /// The clock of a node.
    pub fn clock(state: &State, node: NodeId) -> u8 {
        state.now + if node == 1 { CLOCKS } else { 0 }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    pub(crate) fn horizon(&self) -> u8 {
        if self.has(Flaw::HorizonWithoutClocks) { LIFETIME } else { HORIZON }
    }

    /// Whether an operation has waited for as long as a call may take.
    fn is_due(state: &State, operation: &Operation) -> bool {
        let began = match &operation.work {
            Work::Refresh { .. } => operation.began,
            Work::Logout { step: EndStep::Raise | EndStep::Write, .. }
            | Work::LogoutAll { step: EndStep::Raise | EndStep::Write, .. } => operation.began,
            // A password takes as long as it takes to verify, and what is written late is stamped
            // anew.
            _ => return false,
        };
        state.now >= began + TIMEOUT
    }

    fn begin(&self, state: &mut State, node: NodeId, work: Work) {
        let began = state.now;
        state.under_way.push(Operation { node, began, work });
    }

    fn refresh(&self, state: &mut State, by: Holder, node: NodeId) -> Option<()> {
        let (token, used, limit) = match by {
            Holder::Client => (state.client?, &mut state.used.client_refreshes, self.bounds.client_refreshes),
            Holder::Thief => (state.thief?, &mut state.used.thief_refreshes, self.bounds.thief_refreshes),
        };
        if *used == limit {
            return None;
        }
        *used += 1;
        // Where no user logs out, it matters neither when the user is read nor how long access
        // tokens live.
        let (issued_at, step) = if self.bounds.endings == 0 {
            (0, RefreshStep::Rotate { version: 0 })
        } else {
            (Self::clock(state, node), RefreshStep::ReadUser)
        };
        let work = Work::Refresh { by, token, issued_at, next: None, has_rotated: false, step };
        self.begin(state, node, work);
        Some(())
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Bounds { ticks, endings, under_way, crashes, lost_answers, refusals, .. } = self.bounds;
        if state.now < ticks && !state.under_way.iter().any(|operation| Self::is_due(state, operation)) {
            actions.push(Action::Tick);
        }
        if self.bounds.thief_refreshes > 0 && state.thief.is_none() {
            actions.push(Action::Steal);
        }
        let has_room = state.under_way.len() < under_way;
        for node in 0..2 {
            let place = &state.nodes[node];
            if !place.loaded {
                actions.push(Action::Load(node));
            }
            if has_room {
                actions.push(Action::Refresh(Holder::Client, node));
                actions.push(Action::Refresh(Holder::Thief, node));
                if state.used.endings < endings {
                    actions.extend([Action::Logout(node), Action::LogoutAll(node)]);
                }
                if state.used.logins < self.bounds.logins {
                    actions.push(Action::Login(node));
                }
            }
            if state.used.crashes < crashes {
                actions.push(Action::Crash(node));
            }
            match place.poll {
                _ if !place.loaded => {}
                None if state.used.polls < self.bounds.polls => actions.push(Action::BeginPoll(node)),
                None => {}
                Some(Poll { read: None, .. }) => actions.push(Action::ReadPoll(node)),
                Some(_) => actions.push(Action::ApplyPoll(node)),
            }
        }
        for index in 0..state.under_way.len() {
            actions.push(Action::Step(index));
            if state.used.lost_answers < lost_answers {
                actions.push(Action::Lose(index));
            }
            if state.used.refusals < refusals {
                actions.push(Action::Refuse(index));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Steal => state.thief = Some(state.client?),
            Action::Refresh(by, node) => self.refresh(&mut state, by, node)?,
            Action::Logout(node) => {
                state.used.endings += 1;
                state.seen.may_end = true;
                let at = Self::clock(&state, node);
                self.revoke(&mut state, node, None);
                let answers_first = self.has(Flaw::LogoutAnswersFirst);
                let step = if answers_first { EndStep::Answer } else { EndStep::Write };
                self.begin(&mut state, node, Work::Logout { at, step });
            }
            Action::LogoutAll(node) => {
                if state.store.version > 0 || state.under_way.iter().any(is_logout_all) {
                    return None;
                }
                state.used.endings += 1;
                state.seen.may_end = true;
                let at = Self::clock(&state, node);
                self.revoke(&mut state, node, Some(1));
                let is_raised_last = self.has(Flaw::VersionRaisedLast);
                let step = if is_raised_last { EndStep::Write } else { EndStep::Raise };
                self.begin(&mut state, node, Work::LogoutAll { at, step });
            }
            Action::Login(node) => {
                state.used.logins += 1;
                let version = state.store.version;
                self.begin(&mut state, node, Work::Login { version });
            }
            Action::Step(index) => self.step(&mut state, index, false)?,
            Action::Lose(index) => {
                state.used.lost_answers += 1;
                self.step(&mut state, index, true)?;
            }
            Action::Refuse(index) => {
                state.used.refusals += 1;
                self.refuse(&mut state, index)?;
            }
            Action::Crash(node) => {
                state.used.crashes += 1;
                self.crash(&mut state, node);
            }
            Action::Load(node) => self.load(&mut state, node),
            Action::BeginPoll(node) => {
                let (began, covers) = (Self::clock(&state, node), state.written());
                state.used.polls += 1;
                state.nodes[node].poll = Some(Poll { began, covers, read: None });
            }
            Action::ReadPoll(node) => self.read_poll(&mut state, node)?,
            Action::ApplyPoll(node) => self.apply_poll(&mut state, node)?,
        }
        // The order in which operations began means nothing.
        state.under_way.sort();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        rules::all(&self.bounds)
    }
}

fn is_logout_all(operation: &Operation) -> bool {
    matches!(operation.work, Work::LogoutAll { .. })
}
