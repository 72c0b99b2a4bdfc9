//! The steps: what may happen next, and what it does.

use portcullis::session::EndReason;
use stateright::{Model, Property};

use crate::{
    Bounds, Flaw,
    operation::{EndStep, Holder, NodeId, Operation, RefreshStep, Work},
    record::{Answer, End, Presented, Token},
    rules,
    state::{Access, CLOCKS, Floor, HORIZON, LIFETIME, OVERLAP, Poll, Revoked, State, TIMEOUT},
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

    fn horizon(&self) -> u8 {
        if self.has(Flaw::HorizonWithoutClocks) { LIFETIME } else { HORIZON }
    }

    /// What the store answers to a node that asks for what was stamped since a moment.
    fn ended_since(&self, state: &State, since: u8, clock: u8) -> Revoked {
        let until = clock + self.horizon();
        let is_read = |at: u8| at >= since && at + self.horizon() >= clock;
        let session = state.store.record.end.filter(|end| is_read(end.at));
        let floor = state.store.floor.filter(|floor| is_read(floor.at));
        Revoked {
            session_until: session.map(|_| until),
            min_version: floor.map_or(0, |floor| floor.min_version),
            version_until: floor.map_or(0, |_| until),
        }
    }

    /// Whether an operation has waited for as long as a call may take.
    fn is_due(state: &State, operation: &Operation) -> bool {
        let began = match &operation.work {
            Work::Refresh { .. } => operation.began,
            Work::Logout { step: EndStep::Raise | EndStep::Write, .. }
            | Work::LogoutAll { step: EndStep::Raise | EndStep::Write, .. } => operation.began,
            // A password takes as long as it takes to verify, and what is written late is stamped anew.
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
        // Where nobody logs out, it matters neither when the user is read nor how long access tokens live.
        let (issued_at, step) = if self.bounds.endings == 0 {
            (0, RefreshStep::Rotate { version: 0 })
        } else {
            (Self::clock(state, node), RefreshStep::ReadUser)
        };
        let work = Work::Refresh { by, token, issued_at, next: None, has_rotated: false, step };
        self.begin(state, node, work);
        Some(())
    }

    /// Revokes at a node what it has just ended, before it asks the store.
    fn revoke(&self, state: &mut State, node: NodeId, min_version: Option<u8>) {
        let until = Self::clock(state, node) + self.horizon();
        let revoked = &mut state.nodes[node].revoked;
        match min_version {
            None => revoked.session_until = Some(until),
            Some(version) => (revoked.min_version, revoked.version_until) = (version, until),
        }
    }

    fn step(&self, state: &mut State, index: usize, is_lost: bool) -> Option<()> {
        let operation = state.under_way.remove(index);
        let Operation { node, began, work } = operation.clone();
        match work {
            Work::Refresh { by, token, issued_at, next, has_rotated, step } => {
                let asked = next.unwrap_or(state.used.ids);
                let step = self.refresh_step(state, &operation, token, asked, step, is_lost)?;
                if let (RefreshStep::Answer(Answer::Token(given)), None) = (step.0, step.1) {
                    self.give(state, by, given, is_lost);
                    return Some(());
                }
                if step.1.is_none() {
                    if by == Holder::Client && !is_lost {
                        state.client = None;
                    }
                    return Some(());
                }
                // The node asks again for the same next token. One that was not given is as good as new.
                let was_given = is_lost && state.store.record.token.id == asked;
                let next = (was_given && !self.has(Flaw::RetryAsksForAnother)).then_some(asked);
                let has_rotated = has_rotated || was_given;
                let work = Work::Refresh { by, token, issued_at, next, has_rotated, step: step.0 };
                state.under_way.push(Operation { node, began, work });
            }
            Work::Logout { at, step } => {
                if let Some(step) = self.end_step(state, node, at, step, false, is_lost)? {
                    state.under_way.push(Operation { node, began, work: Work::Logout { at, step } });
                }
            }
            Work::LogoutAll { at, step } => {
                if let Some(step) = self.end_step(state, node, at, step, true, is_lost)? {
                    state.under_way.push(Operation { node, began, work: Work::LogoutAll { at, step } });
                }
            }
            Work::Login { version } => {
                if is_lost {
                    return None;
                }
                state.store.second = Some(version);
            }
        }
        Some(())
    }

    /// Takes a step of a refresh. Returns the next one, and whether there is one: an answer is the last.
    fn refresh_step(
        &self,
        state: &mut State,
        operation: &Operation,
        token: Token,
        next: u8,
        step: RefreshStep,
        is_lost: bool,
    ) -> Option<(RefreshStep, Option<()>)> {
        let node = operation.node;
        Some(match step {
            // A user who was not read is read again: nothing to lose.
            RefreshStep::ReadUser if is_lost => return None,
            RefreshStep::ReadUser => (RefreshStep::Rotate { version: state.store.version }, Some(())),
            RefreshStep::Rotate { version } => {
                let presented =
                    Presented { token, next, version, now: Self::clock(state, node), grace: self.bounds.grace };
                let (record, answer) = state.store.record.present(&presented, self.flaw);
                if self.has(Flaw::RotateReadsThenWrites) && record.token != state.store.record.token {
                    state.used.ids = state.used.ids.max(next + 1);
                    return (!is_lost).then_some((RefreshStep::Write { token: record.token }, Some(())));
                }
                self.look(state, operation, token, &record, answer);
                if record.token != state.store.record.token {
                    state.used.ids = state.used.ids.max(next + 1);
                    state.seen.superseded_at.push(state.now);
                }
                state.store.record = record;
                self.sign(state, operation, answer);
                // The node asks once more with the same token and the same next id.
                (if is_lost { step } else { RefreshStep::Answer(answer) }, Some(()))
            }
            RefreshStep::Write { token: written } => {
                if is_lost {
                    return None;
                }
                let record = &mut state.store.record;
                record.previous = Some(record.token.id);
                record.token = written;
                record.rotated_at = state.now;
                if state.seen.superseded_at.len() < usize::from(written.generation) {
                    state.seen.superseded_at.push(state.now);
                }
                let answer = Answer::Token(written);
                self.sign(state, operation, answer);
                (RefreshStep::Answer(answer), Some(()))
            }
            RefreshStep::Answer(answer) => (RefreshStep::Answer(answer), None),
        })
    }

    /// Notes what the rules want to know of a decision of the store.
    fn look(
        &self,
        state: &mut State,
        operation: &Operation,
        token: Token,
        after: &crate::record::Record,
        answer: Answer,
    ) {
        let before = state.store.record.clone();
        let superseded = state.seen.superseded_at.get(usize::from(token.generation)).copied();
        let is_too_late = superseded.is_some_and(|at| state.now > at + self.bounds.grace + CLOCKS);
        let seen = &mut state.seen;
        if let Answer::Token(_) = answer {
            seen.late_token |= is_too_late;
            seen.token_after_end |= before.end.is_some();
            seen.replayed |= superseded.is_some();
        }
        seen.unnoticed_reuse |= is_too_late && after.end.is_none();
        if answer == Answer::Reused && before.end.is_none() {
            // It may end the session only if it was superseded when it was presented, for longer than
            // clocks and calls explain, or if it is two generations old. Its own rotation is no reuse.
            let elapsed = superseded.map_or(0, |at| operation.began.saturating_sub(at));
            let is_late = self.bounds.grace == 0 || elapsed > self.bounds.grace - CLOCKS - TIMEOUT;
            let is_own = matches!(operation.work, Work::Refresh { has_rotated: true, .. });
            let is_older = token.generation + 1 < before.token.generation;
            seen.may_end |= is_older || (is_late && !is_own);
        }
    }

    /// Signs tokens for an answer: from now on they may be anywhere.
    fn sign(&self, state: &mut State, operation: &Operation, answer: Answer) {
        let (Answer::Token(given), Work::Refresh { issued_at, .. }) = (answer, &operation.work) else { return };
        let place = usize::from(given.generation);
        let seen = &mut state.seen;
        if seen.signed.len() <= place {
            seen.signed.resize(place + 1, None);
        }
        let signed = &mut seen.signed[place];
        seen.forked |= signed.replace(given.id).is_some_and(|id| id != given.id);
        let access = Access { expires_at: issued_at + LIFETIME, version: state.store.record.version };
        if self.bounds.endings > 0 && access.expires_at > state.access.expires_at {
            state.access = access;
        }
    }

    fn give(&self, state: &mut State, by: Holder, token: Token, is_lost: bool) {
        if is_lost {
            return;
        }
        let place = match by {
            Holder::Client => &mut state.client,
            Holder::Thief => &mut state.thief,
        };
        // An answer that was overtaken by a later one changes nothing.
        if place.is_some_and(|held| held.generation < token.generation) {
            *place = Some(token);
        }
    }

    /// Takes a step of an ending. Returns the next one, if there is one.
    fn end_step(
        &self,
        state: &mut State,
        node: NodeId,
        at: u8,
        step: EndStep,
        is_all: bool,
        is_lost: bool,
    ) -> Option<Option<EndStep>> {
        let seen_by_client = |state: &mut State| {
            let known = &mut state.nodes[node].must_know;
            if is_all {
                state.seen.answered_logout_all = true;
                known.min_version = 1;
            } else {
                state.seen.answered_logout = true;
            }
            known.session = true;
        };
        let next = match step {
            EndStep::Raise | EndStep::RaiseLate => {
                if is_lost {
                    return None;
                }
                // Asked again after a crash or a lost answer, the version only rises further.
                state.store.version = 1;
                (step == EndStep::Raise).then_some(EndStep::Write)
            }
            EndStep::Write | EndStep::WriteLate | EndStep::WriteAnswered => {
                let is_restamped = step == EndStep::WriteLate && !self.has(Flaw::LateWithoutRestamp);
                let at = if is_restamped { Self::clock(state, node) } else { at };
                let reason = if is_all { EndReason::LogoutAll } else { EndReason::Logout };
                state.store.record.end(End { at, reason });
                if is_all {
                    state.store.floor.get_or_insert(Floor { at, min_version: 1 });
                    // A session that was made meanwhile, with an older version.
                    state.store.second = state.store.second.filter(|version| *version >= state.store.version);
                }
                match step {
                    EndStep::Write if is_lost => Some(EndStep::Write),
                    EndStep::Write => Some(EndStep::Answer),
                    _ if is_lost => return None,
                    _ => None,
                }
            }
            EndStep::Answer => {
                if !is_lost {
                    seen_by_client(state);
                }
                match (is_all, self.flaw) {
                    (true, Some(Flaw::VersionRaisedLast)) => Some(EndStep::RaiseLate),
                    (false, Some(Flaw::LogoutAnswersFirst)) => Some(EndStep::WriteAnswered),
                    _ => None,
                }
            }
        };
        Some(next)
    }

    /// The store refuses the next step of an operation: the client is answered 503 and keeps what it has.
    fn refuse(&self, state: &mut State, index: usize) -> Option<()> {
        let Operation { node, began, work } = state.under_way.remove(index);
        let late = |work| Operation { node, began, work };
        match work {
            Work::Refresh { step: RefreshStep::ReadUser | RefreshStep::Rotate { .. }, .. } => {
                if self.has(Flaw::OutageEndsSession) {
                    let at = Self::clock(state, node);
                    state.store.record.end(End { at, reason: EndReason::TokenVersion });
                }
            }
            Work::Logout { at, step: EndStep::Write } => {
                state.under_way.push(late(Work::Logout { at, step: EndStep::WriteLate }));
            }
            Work::LogoutAll { at, step: EndStep::Write } => {
                state.under_way.push(late(Work::LogoutAll { at, step: EndStep::WriteLate }));
            }
            Work::LogoutAll { step: EndStep::Raise, .. } | Work::Login { .. } => {}
            _ => return None,
        }
        Some(())
    }

    fn crash(&self, state: &mut State, node: NodeId) {
        state.under_way.retain(|operation| operation.node != node);
        let must_know = state.written();
        state.nodes[node] = crate::state::Node { must_know, ..Default::default() };
    }

    fn load(&self, state: &mut State, node: NodeId) {
        let clock = Self::clock(state, node);
        let read = self.ended_since(state, clock.saturating_sub(self.horizon()), clock);
        let place = &mut state.nodes[node];
        place.loaded = true;
        place.polled_at = clock;
        remember(&mut place.revoked, read);
    }

    fn read_poll(&self, state: &mut State, node: NodeId) -> Option<()> {
        let (clock, last) = (Self::clock(state, node), state.nodes[node].polled_at);
        let overlap = if self.has(Flaw::NoOverlap) { 0 } else { OVERLAP };
        let since = last.saturating_sub(overlap).max(clock.saturating_sub(self.horizon()));
        let read = self.ended_since(state, since, clock);
        let poll = state.nodes[node].poll.as_mut().filter(|poll| poll.read.is_none())?;
        poll.read = Some(read);
        Some(())
    }

    fn apply_poll(&self, state: &mut State, node: NodeId) -> Option<()> {
        let clock = Self::clock(state, node);
        let place = &mut state.nodes[node];
        let poll = place.poll.take()?;
        let read = poll.read?;
        place.polled_at = if self.has(Flaw::PollCountsFromItsAnswer) { clock } else { poll.began };
        remember(&mut place.revoked, read);
        place.must_know.session |= poll.covers.session;
        place.must_know.min_version = place.must_know.min_version.max(poll.covers.min_version);
        Some(())
    }
}

fn remember(known: &mut Revoked, read: Revoked) {
    known.session_until = known.session_until.max(read.session_until);
    if read.min_version > 0 {
        known.min_version = known.min_version.max(read.min_version);
        known.version_until = known.version_until.max(read.version_until);
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
