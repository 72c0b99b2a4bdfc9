//! The steps of nodes: what they revoke, how they start, and how they poll.

use crate::{
    Flaw, Protocol,
    operation::NodeId,
    state::{Node, OVERLAP, Revoked, State},
};

impl Protocol {
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

    /// Revokes at a node what it has just ended, before it asks the store.
    pub(crate) fn revoke(&self, state: &mut State, node: NodeId, min_version: Option<u8>) {
        let until = Self::clock(state, node) + self.horizon();
        let revoked = &mut state.nodes[node].revoked;
        match min_version {
            None => revoked.session_until = Some(until),
            Some(version) => (revoked.min_version, revoked.version_until) = (version, until),
        }
    }

    /// Crashes a node: its operations and what it remembers are gone.
    pub(crate) fn crash(&self, state: &mut State, node: NodeId) {
        state.under_way.retain(|operation| operation.node != node);
        let must_know = state.written();
        state.nodes[node] = Node { must_know, ..Default::default() };
    }

    /// Reads all that the store remembers of endings.
    pub(crate) fn load(&self, state: &mut State, node: NodeId) {
        let clock = Self::clock(state, node);
        let read = self.ended_since(state, clock.saturating_sub(self.horizon()), clock);
        let place = &mut state.nodes[node];
        place.loaded = true;
        place.polled_at = clock;
        remember(&mut place.revoked, read);
    }

    /// Reads in the store what a poll asks for.
    pub(crate) fn read_poll(&self, state: &mut State, node: NodeId) -> Option<()> {
        let (clock, last) = (Self::clock(state, node), state.nodes[node].polled_at);
        let overlap = if self.has(Flaw::NoOverlap) { 0 } else { OVERLAP };
        let since = last.saturating_sub(overlap).max(clock.saturating_sub(self.horizon()));
        let read = self.ended_since(state, since, clock);
        let poll = state.nodes[node].poll.as_mut().filter(|poll| poll.read.is_none())?;
        poll.read = Some(read);
        Some(())
    }

    /// Applies the answer of a poll.
    pub(crate) fn apply_poll(&self, state: &mut State, node: NodeId) -> Option<()> {
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
