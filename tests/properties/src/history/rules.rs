//! The rules. Each compares every two operations whose order is certain.

use std::collections::HashMap;

use portcullis::ErrorKind;

use super::{Event, History, What};
use crate::token::{Pair, RefreshToken};

impl History {
    /// Checks every rule.
    ///
    /// # Errors
    /// Returns the first rule that is broken, and the operation that breaks it.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.there_is_one_chain()?;
        self.superseded_tokens_yield_nothing()?;
        self.what_has_ended_stays_ended()?;
        self.nothing_ends_without_a_cause()?;
        self.lifetimes_are_kept()
    }

    /// Checks invariant 1 for refreshes with one token. With a grace, all get the same next token.
    /// Without a grace, exactly one gets it.
    ///
    /// # Errors
    /// Returns what else a client got.
    pub(crate) fn of_one_race(&self, generation: u64) -> Result<(), String> {
        let (won, lost): (Vec<_>, Vec<_>) = self.refreshes().partition(|(event, _)| event.pair().is_some());
        let all_are_next =
            won.iter().all(|(event, _)| event.pair().is_some_and(|pair| pair.refresh.generation == generation + 1));
        let all_are_reuse = lost.iter().all(|(event, _)| event.refusal() == Some(ErrorKind::RefreshReused));
        let is_right = if self.settings.grace.is_zero() { won.len() == 1 } else { lost.is_empty() };
        if is_right && all_are_next && all_are_reuse {
            return Ok(());
        }
        Err(format!("{} won and {} lost: {:?}", won.len(), lost.len(), self.events))
    }

    fn pairs(&self) -> impl Iterator<Item = (&Event, &Pair)> {
        self.events.iter().filter_map(|event| Some((event, event.pair()?)))
    }

    fn refreshes(&self) -> impl Iterator<Item = (&Event, &RefreshToken)> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Refresh { token } => Some((event, token)),
            _ => None,
        })
    }

    /// Returns the user of a session, and the login that made it.
    fn birth(&self, sid: &str) -> Option<(&Event, usize)> {
        self.pairs().find(|(_, pair)| pair.refresh.sid == sid).and_then(|(event, _)| match event.what {
            What::Login { user } | What::ChangePassword { user, .. } => Some((event, user)),
            _ => None,
        })
    }

    /// Checks invariant 1: a generation of a session has one token id, and a refresh leads from one
    /// generation to the next.
    fn there_is_one_chain(&self) -> Result<(), String> {
        let mut ids = HashMap::new();
        for (event, Pair { refresh, .. }) in self.pairs() {
            let id = ids.entry((&refresh.sid, refresh.generation)).or_insert(&refresh.jti);
            if *id != &refresh.jti {
                return Err(format!("two live tokens of generation {}: {event:?}", refresh.generation));
            }
            if let What::Refresh { token } = &event.what
                && (token.sid != refresh.sid || token.generation + 1 != refresh.generation)
            {
                return Err(format!("a refresh that does not lead to the next generation: {event:?}"));
            }
        }
        if self.settings.grace.is_zero() {
            let mut winners = HashMap::new();
            for (event, token) in self.refreshes().filter(|(event, _)| event.pair().is_some()) {
                if let Some(other) = winners.insert((&token.sid, token.generation), event) {
                    return Err(format!("two refreshes of one token without a grace: {other:?} and {event:?}"));
                }
            }
        }
        Ok(())
    }

    /// Checks invariant 2: a token that was superseded longer ago than the grace, or twice, never
    /// yields a token.
    fn superseded_tokens_yield_nothing(&self) -> Result<(), String> {
        for (event, token) in self.refreshes().filter(|(event, _)| event.pair().is_some()) {
            for (other, Pair { refresh, .. }) in self.pairs().filter(|(other, _)| other.before(event)) {
                let Some(ahead) = refresh.generation.checked_sub(token.generation + 1) else { continue };
                let too_late = event.at > other.until.plus(self.settings.grace);
                if refresh.sid == token.sid && (ahead > 0 || too_late || self.settings.grace.is_zero()) {
                    return Err(format!("{event:?} had a token that was superseded by {other:?}"));
                }
            }
        }
        Ok(())
    }

    /// Returns whether an event that is over has certainly ended a session.
    fn has_ended(&self, event: &Event, sid: &str) -> bool {
        let Some((birth, owner)) = self.birth(sid) else { return false };
        // A password change at the same time may come after it, and keeps its session.
        let is_kept = || {
            let keeps = |other: &Event| matches!(&other.what, What::ChangePassword { sid: kept, .. } if kept == sid);
            self.events.iter().any(|other| keeps(other) && !other.before(event) && other.may_affect(event))
        };
        match &event.what {
            What::Logout { sid: ended } => ended == sid && event.is_done(),
            What::LogoutAll { user } | What::ChangePassword { user, .. } => {
                *user == owner && event.is_done() && birth.before(event) && !is_kept()
            }
            What::Refresh { token } => token.sid == sid && event.refusal() == Some(ErrorKind::RefreshReused),
            What::Login { .. } | What::Use { .. } | What::Disable { .. } | What::Poll => false,
        }
    }

    /// Checks invariant 3: an ended session yields no token on any node. Its access tokens are
    /// refused on the node that ended it, and on each node that has polled since.
    fn what_has_ended_stays_ended(&self) -> Result<(), String> {
        for event in self.events.iter().filter(|event| event.is_done()) {
            let (sid, version) = match &event.what {
                What::Refresh { token } => (&token.sid, None),
                What::Use { sid, version, .. } => (sid, Some(*version)),
                _ => continue,
            };
            for end in self.events.iter().filter(|end| end.before(event)) {
                let knows = version.is_none() || self.knows(event, end);
                if knows && (self.has_ended(end, sid) || self.has_outdated(end, sid, version)) {
                    return Err(format!("{event:?} although {end:?}"));
                }
                if version.is_none()
                    && matches!(end.what, What::Disable { user } if end.is_done() && self.is_of(sid, user))
                {
                    return Err(format!("{event:?} although {end:?}"));
                }
            }
        }
        Ok(())
    }

    /// Returns whether a password change has made an access token invalid. This includes tokens of
    /// the session that it kept.
    fn has_outdated(&self, end: &Event, sid: &str, version: Option<u64>) -> bool {
        match (&end.what, end.pair(), version) {
            (What::ChangePassword { user, .. }, Some(new), Some(version)) => {
                self.is_of(sid, *user) && version < new.access.version
            }
            _ => false,
        }
    }

    fn is_of(&self, sid: &str, user: usize) -> bool {
        self.birth(sid).is_some_and(|(_, owner)| owner == user)
    }

    /// Returns whether the node of an event must know of an end: it ended the session itself, or
    /// has polled since.
    fn knows(&self, event: &Event, end: &Event) -> bool {
        let has_polled = |poll: &Event| matches!(poll.what, What::Poll) && poll.node == event.node && poll.is_done();
        event.node == end.node
            || self.events.iter().any(|poll| has_polled(poll) && end.before(poll) && poll.before(event))
    }

    /// Checks invariant 4: every refusal has a cause other than a failure of the store.
    fn nothing_ends_without_a_cause(&self) -> Result<(), String> {
        for event in &self.events {
            let Some(kind) = event.refusal() else { continue };
            let excused = match (&event.what, kind) {
                (_, ErrorKind::StoreUnavailable) => self.failures,
                (What::Refresh { token }, ErrorKind::RefreshExpired) => event.at >= token.expires,
                (What::Refresh { token }, ErrorKind::RefreshReused) => self.may_have_been_reused(&token.sid, event),
                (What::Refresh { token }, ErrorKind::RefreshInvalid) => self.may_have_ended(&token.sid, event),
                (What::Use { expires, .. }, ErrorKind::TokenExpired) => event.at >= *expires,
                (What::Use { sid, .. }, ErrorKind::TokenRevoked) => {
                    self.may_have_ended(sid, event) || self.may_have_been_reused(sid, event)
                }
                (
                    What::ChangePassword { user, .. },
                    ErrorKind::TokenRevoked | ErrorKind::WrongPassword | ErrorKind::InvalidCredentials,
                ) => self.may_have_raised(*user, event),
                (What::Login { user }, ErrorKind::InvalidCredentials) => self.events.iter().any(|other| {
                    other.may_affect(event) && matches!(other.what, What::Disable { user: who } if who == *user)
                }),
                _ => false,
            };
            if !excused {
                return Err(format!("refused without a cause: {event:?}"));
            }
        }
        Ok(())
    }

    fn may_have_ended(&self, sid: &str, event: &Event) -> bool {
        self.events.iter().filter(|other| other.may_affect(event)).any(|other| match &other.what {
            What::Logout { sid: ended } => ended == sid,
            What::LogoutAll { user } | What::ChangePassword { user, .. } | What::Disable { user } => {
                self.is_of(sid, *user)
            }
            _ => false,
        })
    }

    fn may_have_raised(&self, user: usize, event: &Event) -> bool {
        self.events.iter().filter(|other| other.may_affect(event)).any(|other| match other.what {
            What::LogoutAll { user: who } | What::Disable { user: who } => who == user,
            What::ChangePassword { user: who, .. } => who == user && other.begun != event.begun,
            _ => false,
        })
    }

    /// Returns whether a client may have presented, by then, a token that was superseded twice or
    /// longer ago than the grace.
    fn may_have_been_reused(&self, sid: &str, event: &Event) -> bool {
        let here = || self.refreshes().filter(|(other, token)| token.sid == sid && other.may_affect(event));
        here().any(|(presents, token)| {
            let earlier = |other: &Event| other.begun != presents.begun && other.begun < presents.landed;
            let too_late = |other: &Event| {
                self.settings.grace.is_zero() || presents.landed_at > other.acted.plus(self.settings.grace)
            };
            let superseded = here().any(|(other, used)| {
                let ahead = used.generation > token.generation;
                earlier(other) && (ahead || used.generation == token.generation && too_late(other))
            });
            // A password change moves the session that it keeps by one generation, whatever its
            // generation was.
            let by_password = self.events.iter().any(|other| {
                matches!(&other.what, What::ChangePassword { sid: kept, .. } if kept == sid) && earlier(other)
            });
            superseded || by_password
        })
    }

    /// Checks invariant 5: no token outlives its session.
    fn lifetimes_are_kept(&self) -> Result<(), String> {
        for (event, Pair { refresh, access }) in self.pairs() {
            let Some((birth, _)) = self.birth(&refresh.sid) else {
                return Err(format!("a session without a login: {event:?}"));
            };
            let end = birth.until.plus(self.settings.absolute);
            if refresh.expires > end || access.expires > end {
                return Err(format!("a token outlives its session: {event:?}"));
            }
        }
        Ok(())
    }
}
