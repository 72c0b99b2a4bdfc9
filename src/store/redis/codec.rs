//! Records in Redis: texts whose parts have fixed places. The scripts read and write them too
//! (`lua/common.lua`).
//!
//! | places | what |
//! |---|---|
//! | 1 | the version of this form |
//! | 2–41 | token version, generation: 20 digits each |
//! | 42–85 | token id, previous token id or blanks: 22 each |
//! | 86–160 | `auth_time`, created, rotated, idle expiry, absolute expiry: 15 digits of milliseconds each |
//! | 161–190 | ended at, end of the tombstone: 15 digits each, or blanks |
//! | 191– | reason of the end, `\|`, IP address, `\|`, the addition, then `+` and the user agent, or nothing |
//!
//! The addition is `!`, the generation of the last password change (20 digits or blanks), the names
//! of the methods separated by blanks, `|`, the level, and `|`. Records of earlier releases have no
//! addition. A node of such a release reads a record with an addition as a record without a user
//! agent. Its scripts do not change the addition.

use std::str::FromStr;

use crate::{
    clock::Timestamp,
    session::{AuthLevel, AuthMethods, EndReason, Ended, Revocation, Session, SessionId, TokenId},
    store::StoreError,
    user::UserId,
};

/// The latest moment that 15 digits can hold, in the year 33658. A later moment is stored as this
/// one. A moment before 1970 is stored as 0.
const LAST_MOMENT: i64 = 999_999_999_999_999;

const FORM: u8 = b'1';

/// Marks the part that records of earlier releases do not have.
const ADDITION: char = '!';

pub(super) fn moment(moment: Timestamp) -> String {
    format!("{:015}", moment.as_millis().clamp(0, LAST_MOMENT))
}

pub(super) fn count(number: u64) -> String {
    format!("{number:020}")
}

/// Writes the record of a live session. Only the scripts end a session.
pub(super) fn live(session: &Session) -> Vec<u8> {
    let Session { token_version, generation, token_id, previous_token_id, .. } = session;
    let mut text = String::with_capacity(256);
    text.push(char::from(FORM));
    text.extend([count(*token_version), count(*generation), token_id.encode()]);
    text.push_str(&previous_token_id.map_or_else(|| " ".repeat(22), |id| id.encode()));
    let moments =
        [session.auth_time, session.created_at, session.rotated_at, session.expires_at, session.absolute_expires_at];
    text.extend(moments.map(moment));
    text.push_str(&" ".repeat(30));
    text.push('|');
    if let Some(ip) = session.ip {
        text.push_str(&ip.to_string());
    }
    text.push('|');
    text.push(ADDITION);
    text.push_str(&session.restamped_generation.map_or_else(|| " ".repeat(20), count));
    text.extend([session.amr.to_string().as_str(), "|", session.acr.as_str(), "|"]);
    if let Some(agent) = &session.user_agent {
        text.push('+');
        text.push_str(agent);
    }
    text.into_bytes()
}

pub(super) fn read(user: &UserId, id: SessionId, record: &[u8]) -> Result<Session, StoreError> {
    parse(user, id, record).ok_or_else(|| broken("a session's record"))
}

pub(super) fn session_id(text: &[u8]) -> Result<SessionId, StoreError> {
    let id = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| broken("a session's id"))
}

/// Reads the lowest valid token version from a record of the field `floor`.
pub(super) fn min_version(record: &[u8]) -> Result<u64, StoreError> {
    Places(record).parsed(20).ok_or_else(|| broken("a raised token version"))
}

/// Reads the reason from the record of an ended session.
pub(super) fn reason(record: &[u8]) -> Result<EndReason, StoreError> {
    let tail = record.get(190..).unwrap_or_default();
    let reason = tail.split(|byte| *byte == b'|').next().unwrap_or_default();
    let reason = std::str::from_utf8(reason).ok().and_then(|text| text.parse().ok());
    reason.ok_or_else(|| broken("the reason of an end"))
}

/// Writes a revocation, in the form in which it is stored and published.
pub(super) fn write_revocation(revocation: &Revocation) -> Vec<u8> {
    match revocation {
        Revocation::Session { id, keep_until } => format!("s{}{}", moment(*keep_until), id.encode()),
        Revocation::User { id, min_version, keep_until } => {
            format!("u{}{}{id}", moment(*keep_until), count(*min_version))
        }
    }
    .into_bytes()
}

pub(super) fn read_revocation(member: &[u8]) -> Result<Revocation, StoreError> {
    let parse = || {
        let (kind, rest) = member.split_first()?;
        let mut places = Places(rest);
        let keep_until = places.moment()?;
        match kind {
            b's' => Some(Revocation::Session { id: places.rest().parse().ok()?, keep_until }),
            b'u' => {
                let min_version = places.parsed(20)?;
                Some(Revocation::User { id: UserId::from(places.rest()), min_version, keep_until })
            }
            _ => None,
        }
    };
    // The last part is the user's id, which is a text.
    std::str::from_utf8(member).ok().and_then(|_| parse()).ok_or_else(|| broken("a revocation"))
}

fn broken(what: &str) -> StoreError {
    StoreError::internal(format!("{what} in Redis is not of this crate's form"))
}

fn parse(user: &UserId, id: SessionId, record: &[u8]) -> Option<Session> {
    let (form, rest) = record.split_first()?;
    if *form != FORM {
        return None;
    }
    let mut places = Places(rest);
    let (token_version, generation) = (places.parsed(20)?, places.parsed(20)?);
    let (token_id, previous): (TokenId, _) = (places.parsed(22)?, places.take(22)?);
    let [auth_time, created_at, rotated_at, expires_at, absolute_expires_at] =
        [places.moment()?, places.moment()?, places.moment()?, places.moment()?, places.moment()?];
    let (ended_at, keep_until) = (places.take(15)?, places.take(15)?);
    let mut tail = places.rest().splitn(3, '|');
    let (why, ip, rest) = (tail.next()?, tail.next()?, tail.next()?);
    let Addition { restamped_generation, amr, acr, agent } = addition(rest)?;
    let ended = match ended_at.trim() {
        "" => None,
        at => Some(Ended { at: milliseconds(at)?, reason: why.parse().ok()?, keep_until: milliseconds(keep_until)? }),
    };
    Some(Session {
        id,
        user_id: user.clone(),
        token_version,
        generation,
        token_id,
        previous_token_id: if previous.trim().is_empty() { None } else { Some(previous.parse().ok()?) },
        auth_time,
        amr,
        acr,
        restamped_generation,
        created_at,
        rotated_at,
        expires_at,
        absolute_expires_at,
        ended,
        user_agent: agent.strip_prefix('+').map(Into::into),
        ip: if ip.is_empty() { None } else { Some(ip.parse().ok()?) },
    })
}

/// The part of a record after the IP address.
struct Addition<'a> {
    restamped_generation: Option<u64>,
    amr: AuthMethods,
    acr: AuthLevel,
    agent: &'a str,
}

fn addition(text: &str) -> Option<Addition<'_>> {
    let Some(rest) = text.strip_prefix(ADDITION) else {
        let (amr, acr) = (AuthMethods::PASSWORD, AuthLevel::Aal1);
        return Some(Addition { restamped_generation: None, amr, acr, agent: text });
    };
    let (generation, rest) = rest.split_at_checked(20)?;
    let mut parts = rest.splitn(3, '|');
    let (amr, acr, agent) = (parts.next()?, parts.next()?, parts.next()?);
    let restamped_generation = if generation.trim().is_empty() { None } else { Some(generation.parse().ok()?) };
    // A level that only a later release knows is read as the lowest one.
    let (amr, acr) = (AuthMethods::from_names(amr.split(' ')), acr.parse().unwrap_or_default());
    Some(Addition { restamped_generation, amr, acr, agent })
}

fn milliseconds(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_millis)
}

/// The part of a record that has not been read yet.
struct Places<'a>(&'a [u8]);

impl<'a> Places<'a> {
    fn take(&mut self, len: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(taken).ok()
    }

    fn parsed<T: FromStr>(&mut self, len: usize) -> Option<T> {
        self.take(len)?.parse().ok()
    }

    fn moment(&mut self) -> Option<Timestamp> {
        self.take(15).and_then(milliseconds)
    }

    fn rest(&self) -> &'a str {
        std::str::from_utf8(self.0).unwrap_or_default()
    }
}
