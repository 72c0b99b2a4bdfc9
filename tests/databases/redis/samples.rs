//! Records, rotations, and an `Auth` over stores, for tests.

use std::time::Duration;

use portcullis::{
    AuthBuilder, User,
    clock::Timestamp,
    session::{AuthLevel, AuthMethods, EndReason, Ended, Rotation, Session, SessionId, TokenId},
    store::{NewSession, SessionLimit, SessionStore, UserStore},
    user::UserId,
};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);
pub(crate) const IDLE: Duration = Duration::from_secs(3600);
pub(crate) const TOMBSTONE: Duration = Duration::from_secs(960);
pub(crate) const GRACE: Duration = Duration::from_secs(10);

pub(crate) fn id(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

pub(crate) fn token(n: u8) -> TokenId {
    TokenId::from_bytes([n; 16])
}

pub(crate) fn at(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

/// Returns a session of generation 0 with token 100.
pub(crate) fn session(user: &UserId, id: SessionId, now: Timestamp) -> Session {
    Session {
        id,
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
        absolute_expires_at: now.plus(IDLE * 24),
        ended: None,
        user_agent: Some("Firefox | on a 🦀".into()),
        ip: Some([203, 0, 113, 7].into()),
    }
}

pub(crate) fn new(session: Session) -> NewSession {
    NewSession::new(session, SessionLimit::EndLeastRecentlyUsed(100), TOMBSTONE)
}

/// Returns the first rotation of a [`session`].
pub(crate) fn rotation(user: &UserId, id: SessionId, now: Timestamp) -> Rotation {
    Rotation {
        user_id: user.clone(),
        session_id: id,
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

pub(crate) fn ended(reason: EndReason, now: Timestamp) -> Ended {
    Ended { at: now, reason, keep_until: now.plus(TOMBSTONE) }
}

pub(crate) fn builder(users: impl UserStore<User = User>, sessions: impl SessionStore) -> AuthBuilder<User> {
    crate::auth::builder(users, sessions).no_throttle()
}
