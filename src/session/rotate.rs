//! What happens when a refresh token is presented: one pure decision over one record.
//!
//! A store runs [`decide`] (or its own statement to the same effect) as **one atomic operation**: read, decide and write
//! with nothing in between. Two operations that both read before either writes would give two holders a live token.

use std::time::Duration;

use super::session::{EndReason, Ended, Session, SessionId, TokenId};
use crate::{clock::Timestamp, user::UserId};

/// A refresh token with a good signature, presented at a moment.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The token's `sub`.
    pub user_id: UserId,
    /// The token's `sid`.
    pub session_id: SessionId,
    /// The token's `gen`.
    pub generation: u64,
    /// The token's `jti`.
    pub token_id: TokenId,
    /// The user's token version, read just before.
    pub token_version: u64,
    /// What `jti` the next token has, if there is to be one.
    pub next_token_id: TokenId,
    /// The present moment, in milliseconds.
    pub now: Timestamp,
    /// How long after a rotation the token before it is still accepted. Zero turns it off. Default: 10 s, see
    /// [`refresh_grace`](crate::AuthBuilder::refresh_grace).
    pub grace: Duration,
    /// How long the session lives without a refresh. Default: 7 days, see
    /// [`refresh_lifetime`](crate::AuthBuilder::refresh_lifetime).
    pub idle: Duration,
    /// How long the record stays if this ends the session: until every access token of it has expired.
    pub tombstone: Duration,
}

impl Rotation {
    /// How this ends the session if it finds a reuse.
    fn reuse(&self) -> Ended {
        Ended { at: self.now, reason: EndReason::Reuse, keep_until: self.now.plus(self.tombstone) }
    }
}

/// What a store answers to a [`Rotation`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotateOutcome {
    /// There is no such session of this user, or it expired.
    Unknown,
    /// It was ended before, or just now because the user's token version has moved on.
    Ended(EndReason),
    /// The token was current: here is the record after it moved on by one generation.
    Rotated(Session),
    /// The token was current until a moment ago: here is the record, unchanged.
    Replayed(Session),
    /// The token was used before: the session has just been ended.
    Reused,
    /// The token was current until the password was changed a moment ago: refused, nothing changed. Whoever changed the
    /// password has the next one.
    Superseded,
    /// The token names an id that the record never gave: refused, nothing changed.
    Foreign,
    /// The record was made under a later token version than the caller knows: nothing changed, the user is to be read again.
    StaleUser,
}

/// What [`decide`] found: what to write, if anything, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The record to put in the old one's place; `None` leaves it as it is.
    pub write: Option<Session>,
    /// The answer.
    pub outcome: RotateOutcome,
}

impl Decision {
    fn keep(outcome: RotateOutcome) -> Self {
        Self { write: None, outcome }
    }

    fn end(record: &Session, rotation: &Rotation, reason: EndReason, outcome: RotateOutcome) -> Self {
        let mut record = record.clone();
        record.end(Ended { at: rotation.now, reason, keep_until: rotation.now.plus(rotation.tombstone) });
        Self { write: Some(record), outcome }
    }
}

/// Decides what a presented refresh token does to its session.
///
/// | presented against the record | outcome |
/// |---|---|
/// | no record of this user, or past an expiry | [`Unknown`](RotateOutcome::Unknown) |
/// | the record is ended | [`Ended`](RotateOutcome::Ended), with its reason |
/// | a lower token version than the user's | ended now: [`Ended`](RotateOutcome::Ended) |
/// | a higher token version than the user's | [`StaleUser`](RotateOutcome::StaleUser) |
/// | current generation and token id | [`Rotated`](RotateOutcome::Rotated) |
/// | the one before, within the grace | [`Replayed`](RotateOutcome::Replayed) |
/// | the one before a password change, within the grace | [`Superseded`](RotateOutcome::Superseded) |
/// | an older generation, or the one before after the grace | ended now: [`Reused`](RotateOutcome::Reused) |
/// | a token id that the record never gave, or a later generation | [`Foreign`](RotateOutcome::Foreign) |
///
/// The grace starts when the session rotated and a replay does not move it; it admits the direct predecessor only, so
/// that there is always one chain. Ending beats the grace.
///
/// A rotation that is asked again because its answer was lost finds its own `next_token_id` in the record and is
/// answered [`Rotated`](RotateOutcome::Rotated) once more, whatever the grace: nobody else can know that id. One that ended
/// the session for reuse finds its own ending, and is answered [`Reused`](RotateOutcome::Reused) once more.
pub fn decide(record: Option<&Session>, rotation: &Rotation) -> Decision {
    let Some(record) = record.filter(|record| record.id == rotation.session_id && record.user_id == rotation.user_id)
    else {
        return Decision::keep(RotateOutcome::Unknown);
    };
    // Before the expiry: a session ended for reuse says so for as long as its record is there.
    if let Some(ended) = record.ended {
        let is_this_one = ended == rotation.reuse();
        return Decision::keep(if is_this_one { RotateOutcome::Reused } else { RotateOutcome::Ended(ended.reason) });
    }
    if record.is_expired(rotation.now) {
        return Decision::keep(RotateOutcome::Unknown);
    }
    if record.token_version > rotation.token_version {
        return Decision::keep(RotateOutcome::StaleUser);
    }
    if record.token_version < rotation.token_version {
        let reason = EndReason::TokenVersion;
        return Decision::end(record, rotation, reason, RotateOutcome::Ended(reason));
    }
    if rotation.generation == record.generation {
        return if rotation.token_id == record.token_id {
            let rotated = advance(record, rotation);
            Decision { write: Some(rotated.clone()), outcome: RotateOutcome::Rotated(rotated) }
        } else {
            Decision::keep(RotateOutcome::Foreign)
        };
    }
    if rotation.generation > record.generation {
        return Decision::keep(RotateOutcome::Foreign);
    }
    if rotation.generation.checked_add(1) == Some(record.generation) {
        if record.token_id == rotation.next_token_id && record.previous_token_id == Some(rotation.token_id) {
            return Decision::keep(RotateOutcome::Rotated(record.clone()));
        }
        if record.previous_token_id != Some(rotation.token_id) {
            return Decision::keep(RotateOutcome::Foreign);
        }
        if !rotation.grace.is_zero() && rotation.now.since(record.rotated_at) <= rotation.grace {
            // A password change moved it to this generation. The grace is for a second tab, not for the
            // one against whom the password was changed.
            return Decision::keep(if record.restamped_generation == Some(record.generation) {
                RotateOutcome::Superseded
            } else {
                RotateOutcome::Replayed(record.clone())
            });
        }
    }
    Decision::end(record, rotation, EndReason::Reuse, RotateOutcome::Reused)
}

fn advance(record: &Session, rotation: &Rotation) -> Session {
    Session {
        generation: record.generation.saturating_add(1),
        token_id: rotation.next_token_id,
        previous_token_id: Some(record.token_id),
        rotated_at: rotation.now,
        expires_at: rotation.now.plus(rotation.idle).min(record.absolute_expires_at),
        ..record.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{AuthLevel, AuthMethods};

    const GRACE: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(3600);

    fn token(n: u8) -> TokenId {
        TokenId::from_bytes([n; 16])
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000).plus(Duration::from_millis(millis.unsigned_abs()))
    }

    /// Generation 5 with token 5, rotated at 0, previous token 4.
    fn record() -> Session {
        Session {
            id: SessionId::from_bytes([1; 16]),
            user_id: UserId::from("ada"),
            token_version: 3,
            generation: 5,
            token_id: token(5),
            previous_token_id: Some(token(4)),
            auth_time: at(0),
            amr: AuthMethods::PASSWORD,
            acr: AuthLevel::Aal1,
            restamped_generation: None,
            created_at: at(0),
            rotated_at: at(0),
            expires_at: at(0).plus(IDLE),
            absolute_expires_at: at(0).plus(IDLE * 3 / 2),
            ended: None,
            user_agent: None,
            ip: None,
        }
    }

    fn presented(generation: u64, id: u8, now: Timestamp) -> Rotation {
        Rotation {
            user_id: UserId::from("ada"),
            session_id: SessionId::from_bytes([1; 16]),
            generation,
            token_id: token(id),
            token_version: 3,
            next_token_id: token(6),
            now,
            grace: GRACE,
            idle: IDLE,
            tombstone: Duration::from_secs(900),
        }
    }

    fn outcome(rotation: &Rotation) -> RotateOutcome {
        decide(Some(&record()), rotation).outcome
    }

    #[test]
    fn the_current_token_moves_the_session_on_by_one() {
        let decision = decide(Some(&record()), &presented(5, 5, at(1)));
        let next = decision.write.unwrap();
        assert_eq!(decision.outcome, RotateOutcome::Rotated(next.clone()));
        assert_eq!((next.generation, next.token_id, next.previous_token_id), (6, token(6), Some(token(5))));
        assert_eq!((next.rotated_at, next.expires_at), (at(1), at(1).plus(IDLE)));
    }

    #[test]
    fn the_idle_expiry_never_passes_the_absolute_one() {
        let late = at(0).plus(IDLE).minus(Duration::from_millis(1));
        let next = decide(Some(&record()), &presented(5, 5, late)).write.unwrap();
        assert_eq!(next.expires_at, record().absolute_expires_at);
    }

    #[test]
    fn the_grace_admits_the_direct_predecessor_to_its_last_millisecond() {
        let last = at(10_000);
        assert_eq!(outcome(&presented(4, 4, last)), RotateOutcome::Replayed(record()));
        assert_eq!(decide(Some(&record()), &presented(4, 4, last)).write, None);
        assert_eq!(outcome(&presented(4, 4, at(10_001))), RotateOutcome::Reused);
        let off = Rotation { grace: Duration::ZERO, ..presented(4, 4, at(0)) };
        assert_eq!(outcome(&off), RotateOutcome::Reused);
    }

    #[test]
    fn two_generations_old_is_reuse_inside_the_window_too() {
        let decision = decide(Some(&record()), &presented(3, 3, at(1)));
        assert_eq!(decision.outcome, RotateOutcome::Reused);
        let ended = decision.write.unwrap().ended.unwrap();
        assert_eq!((ended.reason, ended.at), (EndReason::Reuse, at(1)));
    }

    #[test]
    fn an_id_that_was_never_given_changes_nothing() {
        for foreign in
            [presented(5, 99, at(1)), presented(4, 99, at(1)), presented(6, 6, at(1)), presented(u64::MAX, 5, at(1))]
        {
            let decision = decide(Some(&record()), &foreign);
            assert_eq!((decision.outcome, decision.write), (RotateOutcome::Foreign, None));
        }
    }

    #[test]
    fn ending_beats_the_grace_and_keeps_its_reason() {
        for reason in [EndReason::Logout, EndReason::Reuse] {
            let mut ended = record();
            ended.end(Ended { at: at(0), reason, keep_until: at(900_000) });
            for rotation in [presented(5, 5, at(1)), presented(4, 4, at(1)), presented(3, 3, at(1))] {
                let decision = decide(Some(&ended), &rotation);
                assert_eq!((decision.outcome, decision.write), (RotateOutcome::Ended(reason), None));
            }
        }
    }

    #[test]
    fn the_grace_does_not_reach_back_over_a_password_change() {
        let changed = Session { restamped_generation: Some(5), ..record() };
        let decision = decide(Some(&changed), &presented(4, 4, at(1)));
        assert_eq!((decision.outcome, decision.write), (RotateOutcome::Superseded, None));
        assert_eq!(decide(Some(&changed), &presented(4, 4, at(10_001))).outcome, RotateOutcome::Reused);
        let RotateOutcome::Rotated(next) = decide(Some(&changed), &presented(5, 5, at(1))).outcome else { panic!() };
        // The next generation has the grace again.
        let again = Rotation { generation: 5, token_id: token(5), next_token_id: token(7), ..presented(5, 5, at(2)) };
        assert_eq!(decide(Some(&next), &again).outcome, RotateOutcome::Replayed(next));
    }

    #[test]
    fn a_later_auth_time_alone_supersedes_no_token() {
        let stepped_up = Session { created_at: at(0).minus(IDLE), acr: AuthLevel::Aal2, ..record() };
        assert_eq!(decide(Some(&stepped_up), &presented(4, 4, at(1))).outcome, RotateOutcome::Replayed(stepped_up));
    }

    #[test]
    fn a_raised_token_version_ends_the_session_and_a_stale_reader_does_not() {
        let raised = decide(Some(&record()), &Rotation { token_version: 4, ..presented(5, 5, at(1)) });
        assert_eq!(raised.outcome, RotateOutcome::Ended(EndReason::TokenVersion));
        assert_eq!(raised.write.unwrap().ended.unwrap().reason, EndReason::TokenVersion);
        let stale = decide(Some(&record()), &Rotation { token_version: 2, ..presented(5, 5, at(1)) });
        assert_eq!((stale.outcome, stale.write), (RotateOutcome::StaleUser, None));
    }

    #[test]
    fn a_rotation_that_is_asked_again_is_answered_again_without_a_grace() {
        let off = Rotation { grace: Duration::ZERO, ..presented(5, 5, at(1)) };
        let moved = decide(Some(&record()), &off).write.unwrap();
        let again = decide(Some(&moved), &off);
        assert_eq!((again.outcome, again.write), (RotateOutcome::Rotated(moved.clone()), None));
        let another = Rotation { next_token_id: token(7), ..off };
        assert_eq!(decide(Some(&moved), &another).outcome, RotateOutcome::Reused);
    }

    #[test]
    fn a_reuse_that_is_asked_again_is_answered_again() {
        let late = presented(3, 3, at(100));
        let ended = decide(Some(&record()), &late).write.unwrap();
        assert_eq!(decide(Some(&ended), &late).outcome, RotateOutcome::Reused);
        // Another call has other moments.
        for other in [Rotation { now: at(101), ..late.clone() }, Rotation { tombstone: Duration::from_secs(1), ..late }]
        {
            assert_eq!(decide(Some(&ended), &other).outcome, RotateOutcome::Ended(EndReason::Reuse));
        }
    }

    #[test]
    fn an_expired_or_foreign_record_is_unknown() {
        assert_eq!(outcome(&presented(5, 5, at(0).plus(IDLE))), RotateOutcome::Unknown);
        assert_eq!(
            outcome(&Rotation { user_id: UserId::from("eve"), ..presented(5, 5, at(1)) }),
            RotateOutcome::Unknown
        );
        assert_eq!(decide(None, &presented(5, 5, at(1))).outcome, RotateOutcome::Unknown);
    }

    #[test]
    fn a_clock_that_stepped_back_counts_as_the_moment_of_rotation() {
        let before = at(0).minus(Duration::from_secs(3600));
        assert_eq!(outcome(&presented(4, 4, before)), RotateOutcome::Replayed(record()));
    }
}
