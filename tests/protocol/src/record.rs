//! The record of the session, small enough to be part of a state, and the decision about it.

use std::time::Duration;

use portcullis::{
    clock::Timestamp,
    session::{AuthLevel, AuthMethods, EndReason, Ended, RotateOutcome, Rotation, Session, SessionId, TokenId, decide},
    user::UserId,
};

use crate::Flaw;

/// The refresh token of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The token's `gen`.
    pub generation: u8,
    /// The token's `jti`.
    pub id: u8,
}

/// When and why the session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// The stamp, by the clock of the node that ended it.
    pub at: u8,
    /// The reason.
    pub reason: EndReason,
}

/// The record of the session in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The current refresh token.
    pub token: Token,
    /// The id of the token before it.
    pub previous: Option<u8>,
    /// When the session last rotated, by the clock of the node that asked.
    pub rotated_at: u8,
    /// The user's token version when the session began.
    pub version: u8,
    /// The end, if it has ended.
    pub end: Option<End>,
}

/// What the store answers to a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The current refresh token, to be signed.
    Token(Token),
    /// The session was ended now, because the token was used before.
    Reused,
    /// Nothing is given.
    Refused,
}

/// A presented refresh token, as a node brings it to the store.
#[derive(Clone, Copy, Debug)]
pub struct Presented {
    /// The token.
    pub token: Token,
    /// The id that the next token gets.
    pub next: u8,
    /// The user's token version that the node has read.
    pub version: u8,
    /// The node's clock.
    pub now: u8,
    /// How long after a rotation the token before it is still answered.
    pub grace: u8,
}

impl Record {
    /// Decides as the stores do, and returns the new record beside the answer.
    pub fn present(&self, presented: &Presented, flaw: Option<Flaw>) -> (Self, Answer) {
        if let Some(answer) = self.flawed(presented, flaw) {
            return answer;
        }
        let decision = decide(Some(&self.session()), &presented.rotation());
        let written = decision.write.map_or_else(|| self.clone(), |session| Self::of(&session));
        let (mut written, answer) = match decision.outcome {
            RotateOutcome::Rotated(session) | RotateOutcome::Replayed(session) => {
                let record = Self::of(&session);
                (written, Answer::Token(record.token))
            }
            RotateOutcome::Reused if flaw == Some(Flaw::ReuseEndsNothing) => (self.clone(), Answer::Refused),
            RotateOutcome::Reused => (written, Answer::Reused),
            _ => (written, Answer::Refused),
        };
        let replayed = answer == Answer::Token(self.token);
        if replayed && flaw == Some(Flaw::GraceSlides) {
            written.rotated_at = presented.now;
        }
        if replayed && flaw == Some(Flaw::ReplayForks) {
            return (written, Answer::Token(Token { id: presented.next, ..self.token }));
        }
        (written, answer)
    }

    /// What a flaw answers where it differs.
    fn flawed(&self, presented: &Presented, flaw: Option<Flaw>) -> Option<(Self, Answer)> {
        let is_recent = presented.now.saturating_sub(self.rotated_at) <= presented.grace;
        let is_earlier = presented.token.generation < self.token.generation;
        let is_replayed = match flaw? {
            Flaw::GraceAdmitsAll => is_earlier && is_recent && self.end.is_none(),
            Flaw::GraceBeatsEnding => self.previous == Some(presented.token.id) && is_recent,
            _ => false,
        };
        is_replayed.then(|| (self.clone(), Answer::Token(self.token)))
    }

    /// Ends the session, unless it has ended.
    pub fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    fn session(&self) -> Session {
        Session {
            id: SESSION,
            user_id: user(),
            token_version: u64::from(self.version),
            generation: u64::from(self.token.generation),
            token_id: id(self.token.id),
            previous_token_id: self.previous.map(id),
            auth_time: at(0),
            amr: AuthMethods::PASSWORD,
            acr: AuthLevel::Aal1,
            restamped_generation: None,
            created_at: at(0),
            rotated_at: at(self.rotated_at),
            expires_at: FOREVER,
            absolute_expires_at: FOREVER,
            ended: self.end.map(|end| Ended { at: at(end.at), reason: end.reason, keep_until: FOREVER }),
            user_agent: None,
            ip: None,
        }
    }

    fn of(session: &Session) -> Self {
        Self {
            token: Token { generation: small(session.generation), id: id_of(session.token_id) },
            previous: session.previous_token_id.map(id_of),
            rotated_at: tick_of(session.rotated_at),
            version: small(session.token_version),
            end: session.ended.map(|ended| End { at: tick_of(ended.at), reason: ended.reason }),
        }
    }
}

impl Presented {
    fn rotation(&self) -> Rotation {
        Rotation {
            user_id: user(),
            session_id: SESSION,
            generation: u64::from(self.token.generation),
            token_id: id(self.token.id),
            token_version: u64::from(self.version),
            next_token_id: id(self.next),
            now: at(self.now),
            grace: Duration::from_secs(self.grace.into()),
            idle: Duration::from_secs(1_000_000),
            tombstone: Duration::from_secs(1_000_000),
        }
    }
}

const SESSION: SessionId = SessionId::from_bytes([1; 16]);

const START: i64 = 1_000_000_000_000;

const FOREVER: Timestamp = Timestamp::from_millis(2 * START);

fn user() -> UserId {
    UserId::from("ada")
}

fn id(number: u8) -> TokenId {
    TokenId::from_bytes([number; 16])
}

fn id_of(id: TokenId) -> u8 {
    id.as_bytes()[0]
}

fn at(tick: u8) -> Timestamp {
    Timestamp::from_millis(START + 1000 * i64::from(tick))
}

fn tick_of(time: Timestamp) -> u8 {
    u8::try_from((time.as_millis() - START) / 1000).expect("a tick of the model")
}

fn small(number: u64) -> u8 {
    u8::try_from(number).expect("a number of the model")
}
