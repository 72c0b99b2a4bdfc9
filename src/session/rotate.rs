//! [`decide`]: what happens to a session when a refresh token is presented.
//!
//! A store runs [`decide`], or a statement with the same effect, as **one atomic operation**:
//! nothing happens between reading, deciding and writing. If two operations both read before either
//! writes, two clients get a valid token each.

use std::time::Duration;

use super::session::{EndReason, Ended, Session, SessionId, TokenId};
use crate::{clock::Timestamp, user::UserId};

/// A refresh token whose signature is valid, presented at a moment.
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
    /// The user's token version, read immediately before.
    pub token_version: u64,
    /// The `jti` of the next token, if the session rotates.
    pub next_token_id: TokenId,
    /// The present moment, in milliseconds.
    pub now: Timestamp,
    /// How long after a rotation the token before it is still accepted. Zero turns the grace off.
    /// Default: 10 s, see [`refresh_grace`](crate::AuthBuilder::refresh_grace).
    pub grace: Duration,
    /// How long the session lives without a refresh. Default: 7 days, see
    /// [`refresh_lifetime`](crate::AuthBuilder::refresh_lifetime).
    pub idle: Duration,
    /// How long a store keeps the record if this call ends the session. Every access token of the
    /// session has expired by then.
    pub tombstone: Duration,
}

impl Rotation {
    /// Returns how the session ends, if this call finds a reuse.
    fn reuse(&self) -> Ended {
        Ended { at: self.now, reason: EndReason::Reuse, keep_until: self.now.plus(self.tombstone) }
    }
}

/// What a store answers to a [`Rotation`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotateOutcome {
    /// There is no such session of this user, or it has expired.
    Unknown,
    /// The session had ended, or this call ended it because the user's token version has been
    /// raised.
    Ended(EndReason),
    /// The token was current. Contains the record after it moved to the next generation.
    Rotated(Session),
    /// The token is the one before the current one, within the grace. Contains the record,
    /// unchanged.
    Replayed(Session),
    /// The token was used before. This call ended the session.
    Reused,
    /// The token was current until a password change within the grace. It is refused, and nothing
    /// changed. The client that changed the password has the next token.
    Superseded,
    /// The record never had the token's id. The token is refused, and nothing changed.
    Foreign,
    /// The record has a later token version than the caller read. Nothing changed, and the caller
    /// reads the user again.
    StaleUser,
}

/// What [`decide`] decided: the record to write, if any, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The record that replaces the old one. `None` leaves the old one as it is.
    pub write: Option<Session>,
    /// The answer to the caller.
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
/// | a token id that the record never had, or a later generation | [`Foreign`](RotateOutcome::Foreign) |
///
/// The grace starts when the session rotates. A replay does not extend it. The grace accepts only
/// the direct predecessor of the current token, so that a session never has two chains of tokens.
/// An ended session refuses every token, within the grace too.
///
/// A caller that lost the answer calls again with the same rotation. If the record has the
/// `next_token_id` of the rotation, the answer is [`Rotated`](RotateOutcome::Rotated) again, even
/// without a grace. This is safe, because no other caller knows that id. If an earlier attempt of
/// this same rotation ended the session for reuse (its `ended` has the `at` and the `keep_until`
/// that this rotation would write), the answer is [`Reused`](RotateOutcome::Reused) again.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// use portcullis::{
///     clock::Timestamp,
///     session::{RotateOutcome, Rotation, SessionId, TokenId, decide},
///     user::UserId,
/// };
///
/// let rotation = Rotation {
///     user_id: UserId::from("ada"),
///     session_id: SessionId::from_bytes([1; 16]),
///     generation: 0,
///     token_id: TokenId::from_bytes([2; 16]),
///     token_version: 0,
///     next_token_id: TokenId::from_bytes([3; 16]),
///     now: Timestamp::from_secs(1_800_000_000),
///     grace: Duration::from_secs(10),
///     idle: Duration::from_secs(7 * 86_400),
///     tombstone: Duration::from_secs(960),
/// };
/// // There is no such session.
/// let decision = decide(None, &rotation);
/// assert_eq!((decision.write, decision.outcome), (None, RotateOutcome::Unknown));
/// ```
pub fn decide(record: Option<&Session>, rotation: &Rotation) -> Decision {
    let Some(record) = record.filter(|record| record.id == rotation.session_id && record.user_id == rotation.user_id)
    else {
        return Decision::keep(RotateOutcome::Unknown);
    };
    // This comes before the expiry, so that a session that was ended for reuse reports it for as
    // long as its record exists.
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
            // A password change moved the record to this generation. The grace is for a second
            // browser tab. It must not accept a token that an attacker stole before the
            // password change.
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

    /// Returns a record of generation 5 with token 5, rotated at 0. Its previous token is 4.
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
    fn the_current_token_rotates_the_session_by_one_generation() {
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
    fn the_grace_accepts_the_previous_token_to_the_last_millisecond() {
        let last = at(10_000);
        assert_eq!(outcome(&presented(4, 4, last)), RotateOutcome::Replayed(record()));
        assert_eq!(decide(Some(&record()), &presented(4, 4, last)).write, None);
        assert_eq!(outcome(&presented(4, 4, at(10_001))), RotateOutcome::Reused);
        let off = Rotation { grace: Duration::ZERO, ..presented(4, 4, at(0)) };
        assert_eq!(outcome(&off), RotateOutcome::Reused);
    }

    #[test]
    fn a_token_two_generations_old_is_reuse_within_the_grace() {
        let decision = decide(Some(&record()), &presented(3, 3, at(1)));
        assert_eq!(decision.outcome, RotateOutcome::Reused);
        let ended = decision.write.unwrap().ended.unwrap();
        assert_eq!((ended.reason, ended.at), (EndReason::Reuse, at(1)));
    }

    #[test]
    fn an_unknown_token_id_changes_nothing() {
        for foreign in
            [presented(5, 99, at(1)), presented(4, 99, at(1)), presented(6, 6, at(1)), presented(u64::MAX, 5, at(1))]
        {
            let decision = decide(Some(&record()), &foreign);
            assert_eq!((decision.outcome, decision.write), (RotateOutcome::Foreign, None));
        }
    }

    #[test]
    fn an_ended_session_refuses_the_grace_and_keeps_its_reason() {
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
    fn the_grace_ends_at_a_password_change() {
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
    fn a_later_auth_time_alone_does_not_supersede_a_token() {
        let stepped_up = Session { created_at: at(0).minus(IDLE), acr: AuthLevel::Aal2, ..record() };
        assert_eq!(decide(Some(&stepped_up), &presented(4, 4, at(1))).outcome, RotateOutcome::Replayed(stepped_up));
    }

    #[test]
    fn a_raised_version_ends_the_session_and_a_stale_one_does_not() {
        let raised = decide(Some(&record()), &Rotation { token_version: 4, ..presented(5, 5, at(1)) });
        assert_eq!(raised.outcome, RotateOutcome::Ended(EndReason::TokenVersion));
        assert_eq!(raised.write.unwrap().ended.unwrap().reason, EndReason::TokenVersion);
        let stale = decide(Some(&record()), &Rotation { token_version: 2, ..presented(5, 5, at(1)) });
        assert_eq!((stale.outcome, stale.write), (RotateOutcome::StaleUser, None));
    }

    #[test]
    fn a_repeated_rotation_is_answered_again_without_a_grace() {
        let off = Rotation { grace: Duration::ZERO, ..presented(5, 5, at(1)) };
        let moved = decide(Some(&record()), &off).write.unwrap();
        let again = decide(Some(&moved), &off);
        assert_eq!((again.outcome, again.write), (RotateOutcome::Rotated(moved.clone()), None));
        let another = Rotation { next_token_id: token(7), ..off };
        assert_eq!(decide(Some(&moved), &another).outcome, RotateOutcome::Reused);
    }

    #[test]
    fn a_repeated_reuse_is_answered_again() {
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
    fn a_clock_set_back_counts_as_the_moment_of_rotation() {
        let before = at(0).minus(Duration::from_secs(3600));
        assert_eq!(outcome(&presented(4, 4, before)), RotateOutcome::Replayed(record()));
    }
}
