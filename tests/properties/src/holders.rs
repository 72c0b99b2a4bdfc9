//! The tokens that clients have received: every token of every session, the newest last.

use portcullis::clock::Timestamp;

use crate::{
    model::Seen,
    schedule::{Edge, Pick},
    settings::Settings,
    token::{AccessToken, Pair, RefreshToken, Sid},
};

/// The tokens of one session that clients have received.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) sid: Sid,
    pub(crate) user: usize,
    /// The refresh tokens by generation. A later copy replaces the copy before.
    refresh: Vec<RefreshToken>,
    access: Vec<AccessToken>,
    first_at: Timestamp,
    rotated_at: Timestamp,
}

/// All sessions whose tokens clients have received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holders(Vec<Held>);

impl Holders {
    pub(crate) fn receive(&mut self, user: usize, seen: &Seen, now: Timestamp) {
        let Seen::Pair(Pair { refresh, access }) = seen else { return };
        let known = self.0.iter_mut().find(|held| held.sid == refresh.sid);
        let Some(held) = known else {
            self.0.push(Held {
                sid: refresh.sid.clone(),
                user,
                refresh: vec![refresh.clone()],
                access: vec![access.clone()],
                first_at: now,
                rotated_at: now,
            });
            return;
        };
        held.access.push(access.clone());
        if let Some(copy) = held.refresh.iter_mut().find(|copy| copy.generation == refresh.generation) {
            *copy = refresh.clone();
        } else {
            held.refresh.push(refresh.clone());
            held.refresh.sort_by_key(|token| token.generation);
            held.rotated_at = now;
        }
    }

    /// Returns a session by its number, modulo the number of sessions.
    pub(crate) fn session(&self, number: usize) -> Option<&Held> {
        self.0.get(number.checked_rem(self.0.len())?)
    }

    pub(crate) fn refresh(&self, pick: Pick) -> Option<RefreshToken> {
        self.session(pick.session).map(|held| from_the_end(&held.refresh, pick.age))
    }

    pub(crate) fn access(&self, pick: Pick) -> Option<AccessToken> {
        self.session(pick.session).map(|held| from_the_end(&held.access, pick.age))
    }

    pub(crate) fn owner(&self, sid: &str) -> usize {
        self.0.iter().find(|held| held.sid == sid).expect("a token that a client received").user
    }

    pub(crate) fn all(&self) -> &[Held] {
        &self.0
    }

    /// Returns the moment of an edge of a session's life.
    pub(crate) fn edge(&self, edge: Edge, session: usize, settings: &Settings) -> Option<Timestamp> {
        let held = self.session(session)?;
        Some(match edge {
            Edge::Grace => held.rotated_at.plus(settings.grace),
            Edge::Access => held.newest_access().expires,
            Edge::Idle => held.rotated_at.plus(settings.idle),
            Edge::Absolute => held.first_at.plus(settings.absolute),
        })
    }
}

impl Held {
    pub(crate) fn newest(&self) -> &RefreshToken {
        self.refresh.last().expect("whoever holds a session has received a token")
    }

    pub(crate) fn newest_access(&self) -> &AccessToken {
        self.access.last().expect("whoever holds a session has received a token")
    }

    pub(crate) fn access_tokens(&self) -> &[AccessToken] {
        &self.access
    }
}

fn from_the_end<T: Clone>(tokens: &[T], age: usize) -> T {
    tokens[(tokens.len() - 1).saturating_sub(age)].clone()
}
