//! The steps of refreshes, logouts and logins.

use portcullis::session::EndReason;

use crate::{
    Flaw, Protocol,
    operation::{EndStep, Holder, NodeId, Operation, RefreshStep, Work},
    record::{Answer, End, Presented, Record, Token},
    state::{Access, CLOCKS, Floor, LIFETIME, State, TIMEOUT},
};

impl Protocol {
    /// Takes the next step of an operation. Returns `None` where the step changes nothing.
    pub(crate) fn step(&self, state: &mut State, index: usize, is_lost: bool) -> Option<()> {
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
                // The node asks again for the same next token. One that was not given is as good as
                // new.
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

    /// Takes a step of a refresh. Returns the next one, and whether there is one: an answer is the
    /// last.
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
    fn look(&self, state: &mut State, operation: &Operation, token: Token, after: &Record, answer: Answer) {
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
            // It may end the session only if it was superseded when it was presented, for longer
            // than clocks and calls explain, or if it is two generations old. Its own rotation is
            // no reuse.
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

    /// The store refuses the next step of an operation: the client is answered 503 and keeps what
    /// it has.
    pub(crate) fn refuse(&self, state: &mut State, index: usize) -> Option<()> {
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
}
