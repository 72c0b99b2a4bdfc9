//! What must hold in every state, and what the model must be able to reach.

use portcullis::session::EndReason;
use stateright::Property;

use crate::{Bounds, Flaw, Protocol, State};

/// At most one refresh token of each generation is ever signed: there is one chain.
pub const ONE_CHAIN: &str = "one chain";
/// A token that was superseded longer ago than the grace never yields a token.
pub const NO_LATE_TOKEN: &str = "no token for a token that was superseded too long ago";
/// Presenting such a token ends the session.
pub const REUSE_ENDS: &str = "a reuse ends the session";
/// After its end, a session yields no token.
pub const ENDED_IS_ENDED: &str = "no token after the end";
/// Only a logout or a real reuse ends a session: no outage, crash or lost answer does.
pub const OUTAGES_END_NOTHING: &str = "no outage ends a session";
/// A guard admits no access token whose end the node must know: it ended it, or a poll or load that
/// began after the end was written has come through.
pub const GUARDS_KNOW: &str = "no guard admits what it must know to be revoked";
/// When a client receives the answer that a session has ended, the store has written it.
pub const ANSWERED_IS_WRITTEN: &str = "what is answered is in the store";
/// After a logout everywhere, a login that had read the user before it makes no session that lives.
pub const NO_LOGIN_SLIPS_THROUGH: &str = "no login slips through a logout everywhere";

/// The rules, and what must be reachable for them to mean anything.
pub(crate) fn all(bounds: &Bounds) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::always(ONE_CHAIN, |_, state: &State| !state.seen.forked),
        Property::always(NO_LATE_TOKEN, |_, state: &State| !state.seen.late_token),
        Property::always(REUSE_ENDS, |_, state: &State| !state.seen.unnoticed_reuse),
        Property::always(ENDED_IS_ENDED, |_, state: &State| !state.seen.token_after_end),
        Property::always(OUTAGES_END_NOTHING, |_, state: &State| {
            state.store.record.end.is_none() || state.seen.may_end
        }),
        Property::always(GUARDS_KNOW, guards_know),
        Property::always(ANSWERED_IS_WRITTEN, |_, state: &State| {
            let seen = &state.seen;
            !(seen.answered_logout || seen.answered_logout_all) || state.store.record.end.is_some()
        }),
        Property::always(NO_LOGIN_SLIPS_THROUGH, |_, state: &State| {
            let is_alive = state.store.second == Some(0) && state.store.version == 0;
            !(state.seen.answered_logout_all && is_alive)
        }),
    ];
    if bounds.thief_refreshes > 0 {
        properties.push(Property::sometimes("a token is replayed", |_, state: &State| state.seen.replayed));
        properties.push(Property::sometimes("a reuse is found", |_, state: &State| {
            state.store.record.end.is_some_and(|end| end.reason == EndReason::Reuse)
        }));
        properties.push(Property::sometimes("the session rotates twice", |_, state: &State| {
            state.store.record.token.generation == 2
        }));
    }
    if bounds.polls > 0 {
        properties.push(Property::sometimes("a poll hears of an end", |_, state: &State| {
            state.used.endings == 1 && state.used.crashes == 0 && state.nodes.iter().all(|node| node.must_know.session)
        }));
        properties.push(Property::sometimes("a logout is answered", |_, state: &State| state.seen.answered_logout));
        properties.push(Property::sometimes("a logout everywhere is answered", |_, state: &State| {
            state.seen.answered_logout_all
        }));
    }
    if bounds.logins > 0 {
        properties.push(Property::sometimes("a login meets a logout everywhere", |_, state: &State| {
            state.store.second == Some(0) && state.store.version == 1
        }));
    }
    properties
}

fn guards_know(protocol: &Protocol, state: &State) -> bool {
    let serves_unloaded = protocol.has(Flaw::ServesBeforeLoad);
    (0..2).all(|id| {
        let known = state.nodes[id].must_know;
        let is_revoked = known.session || state.access.version < known.min_version;
        !(is_revoked && state.admits(id, Protocol::clock(state, id), serves_unloaded))
    })
}
