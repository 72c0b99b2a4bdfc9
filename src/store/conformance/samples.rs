//! Records and moments for the checks.

use std::time::Duration;

use super::report::said;
use crate::{
    clock::Timestamp,
    session::{AuthLevel, AuthMethods, EndReason, Ended, RotateOutcome, Rotation, Session, SessionId, TokenId},
    store::{EndAll, Keep, NewSession, SessionLimit, SessionStore},
    user::UserId,
};

/// Has milliseconds, which a store must not lose.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);
pub(super) const GRACE: Duration = Duration::from_secs(10);
pub(super) const IDLE: Duration = Duration::from_secs(3600);
pub(super) const ABSOLUTE: Duration = Duration::from_secs(86_400);
pub(super) const TOMBSTONE: Duration = Duration::from_secs(960);
pub(super) const HUNDRED: SessionLimit = SessionLimit::EndLeastRecentlyUsed(100);

/// How many tasks race.
pub(super) const RACERS: u8 = 24;

/// Texts that some engine may take for more than a text: operators, quotes, separators,
/// terminators.
pub(super) const HOSTILE: [&str; 12] = [
    "{\"$ne\": null}",
    "$where",
    "a.b.c",
    "' OR '1'='1",
    "\"; DROP TABLE users; --",
    "100%_\\",
    "*",
    "a:b{c}d",
    "a b\tc",
    "ada\u{0}eve",
    "𝒜𝒹𝒶🦀",
    "ada\r\nSET x 1",
];

pub(super) fn at(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

pub(super) fn id(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

pub(super) fn token(n: u8) -> TokenId {
    TokenId::from_bytes([n; 16])
}

pub(super) fn ada() -> UserId {
    UserId::from("ada")
}

/// Returns a session of generation 0 with token 100, created at `now`.
pub(super) fn session(user: &UserId, n: u8, now: Timestamp) -> Session {
    Session {
        id: id(n),
        user_id: user.clone(),
        token_version: 0,
        generation: 0,
        token_id: token(100),
        previous_token_id: None,
        auth_time: now,
        amr: AuthMethods::PASSWORD,
        acr: AuthLevel::Aal1,
        restamped_generation: None,
        created_at: now,
        rotated_at: now,
        expires_at: now.plus(IDLE),
        absolute_expires_at: now.plus(ABSOLUTE),
        ended: None,
        user_agent: None,
        ip: None,
    }
}

pub(super) fn new(session: Session) -> NewSession {
    NewSession::new(session, HUNDRED, TOMBSTONE)
}

/// Presents the current token of a [`session`] at `now`.
pub(super) fn rotation(user: &UserId, n: u8, now: Timestamp) -> Rotation {
    Rotation {
        user_id: user.clone(),
        session_id: id(n),
        generation: 0,
        token_id: token(100),
        token_version: 0,
        next_token_id: token(101),
        now,
        grace: GRACE,
        idle: IDLE,
        tombstone: TOMBSTONE,
    }
}

pub(super) fn ended(reason: EndReason, now: Timestamp) -> Ended {
    Ended { at: now, reason, keep_until: now.plus(TOMBSTONE) }
}

pub(super) fn end_all(user: &UserId, min_version: u64, now: Timestamp) -> EndAll {
    EndAll::new(user.clone(), min_version, ended(EndReason::LogoutAll, now))
}

pub(super) fn keep(n: u8, now: Timestamp) -> Keep {
    Keep::new(id(n), token(200), IDLE, now)
}

pub(super) async fn add(store: &impl SessionStore, session: Session) -> Result<(), String> {
    store.create(new(session)).await.map(drop).map_err(said)
}

pub(super) async fn find(
    store: &impl SessionStore,
    user: &UserId,
    n: u8,
    secs: u64,
) -> Result<Option<Session>, String> {
    store.find(user, &id(n), at(secs)).await.map_err(said)
}

pub(super) async fn rotate(store: &impl SessionStore, rotation: &Rotation) -> Result<RotateOutcome, String> {
    store.rotate(rotation).await.map_err(said)
}

pub(super) async fn live(store: &impl SessionStore, user: &UserId, secs: u64) -> Result<Vec<SessionId>, String> {
    let mut ids: Vec<_> = store.list(user, at(secs)).await.map_err(said)?.iter().map(|session| session.id).collect();
    ids.sort();
    Ok(ids)
}
