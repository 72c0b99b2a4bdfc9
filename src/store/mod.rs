//! Where users and sessions are kept: two small traits, and the ready [`MemoryStore`](memory::MemoryStore).
//!
//! An app implements [`UserStore`] over the users table it has, and takes a ready [`SessionStore`] for the sessions.
//! The two need not live in the same engine.

mod clocks;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod feed;
pub mod memory;
#[cfg(feature = "mongodb_3")]
pub mod mongodb;
#[cfg(feature = "redis_1")]
pub mod redis;
#[cfg(any(feature = "sqlx_0_9_sqlite", feature = "sqlx_0_9_postgres"))]
pub mod sql;
#[cfg(feature = "metrics")]
mod timed;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

pub(crate) use self::clocks::SharedClock;
#[cfg(feature = "metrics")]
pub(crate) use self::timed::Timed;
pub use self::{
    error::{StoreError, UniqueField},
    feed::{RevocationFeed, Subscription},
};
use crate::{
    clock::{Clock, Timestamp},
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId, TokenId},
    user::{AuthUser, Login, NewUser, PasswordHash, UserId},
};

/// An app's users.
///
/// Six methods, each one statement over one table. None has a default, because security rests on each.
/// An id or login that the store cannot parse belongs to nobody: answer `None`, not an error.
///
/// # Errors
/// Every method may answer [`StoreError::unavailable`] where the store cannot be reached (503, nothing is decided and
/// nobody is logged out) and [`StoreError::internal`] for anything that is a bug (500).
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// The app's user.
    type User: AuthUser;

    /// Finds a user by id.
    ///
    /// # Errors
    /// As the trait says.
    async fn find_by_id(&self, id: &UserId) -> Result<Option<Self::User>, StoreError>;

    /// Finds a user by what they typed to sign in; the text in `login` is a [`LoginKey`](crate::user::LoginKey).
    ///
    /// # Errors
    /// As the trait says.
    async fn find_by_login(&self, login: &Login) -> Result<Option<Self::User>, StoreError>;

    /// Adds a user, unless another has the same [`Email::key`](crate::user::Email::key) or
    /// [`Username::key`](crate::user::Username::key): a unique index decides that, not a look before.
    ///
    /// # Errors
    /// [`StoreError::duplicate`] with the field; else as the trait says.
    async fn create(&self, user: NewUser<<Self::User as AuthUser>::Registration>) -> Result<Self::User, StoreError>;

    /// Puts `new` in the place of `expected` and leaves the token version alone; `false` where the user is gone or the
    /// stored hash is another. For hashes that are renewed at a login: a password change in between wins.
    ///
    /// # Errors
    /// As the trait says.
    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError>;

    /// Puts `new` in the place of `expected` **and** raises the token version, in one write. Answers the new version, or
    /// `None` where the user is gone or the stored hash is another.
    ///
    /// # Errors
    /// As the trait says.
    async fn set_password(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<Option<u64>, StoreError>;

    /// Raises the token version by one and answers the new one; `None` where the user is gone.
    ///
    /// # Errors
    /// As the trait says.
    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError>;
}

/// Sessions, one record each.
///
/// Every method is **one atomic operation**: no other operation on the same user's sessions happens in between.
/// Each gets the user's id beside the session's, so that a store can keep a user's sessions together.
/// A record past [`Session::delete_at`] counts as absent, whether it has been deleted or not.
///
/// A store whose calls can hang puts a timeout on them, below the refresh grace: a client that was told 503 then comes
/// back in time to be answered.
///
/// # Errors
/// Every method may answer [`StoreError::unavailable`] (503) and [`StoreError::internal`] (500).
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Adds a session, ends the one that it replaces, and keeps the user within the limit.
    ///
    /// A session under a token version below the user's floor (see [`end_all`](Self::end_all)) is added as ended: its login
    /// read the user before the version was raised. Live sessions of lower versions than the new one's end. Neither kind
    /// counts for the limit, and a login that is refused changes nothing. [`Created`] tells of all of it.
    ///
    /// # Errors
    /// [`StoreError::too_many_sessions`] where the limit refuses; else as the trait says.
    async fn create(&self, new: NewSession) -> Result<Created, StoreError>;

    /// Finds a session, ended or not.
    ///
    /// # Errors
    /// As the trait says.
    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError>;

    /// Applies [`decide`](crate::session::decide) to the record: read, decide and write with nothing in between.
    ///
    /// # Errors
    /// As the trait says. When the outcome is unknown (a timeout), the caller asks again with the same token and meets
    /// `Rotated` or `Replayed`.
    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError>;

    /// Ends a session of the user; `false` where there is no live one with this id.
    ///
    /// An ending that is asked again because its answer was lost is answered `true` again: the record has this very
    /// [`Ended`], and no other call has the same moments.
    ///
    /// # Errors
    /// As the trait says.
    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError>;

    /// Ends every session of the user that was made under a version below `min_version`, but for the one to keep, and
    /// remembers the floor for [`ended_since`](Self::ended_since). Answers the kept session after its restamp.
    ///
    /// # Errors
    /// As the trait says.
    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError>;

    /// Lists the user's live sessions, in any order.
    ///
    /// # Errors
    /// As the trait says.
    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError>;

    /// Everything that ended at `since` or later and whose tombstone is still needed at `now`, floors included.
    ///
    /// # Errors
    /// As the trait says.
    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError>;

    /// Begins to serve an [`Auth`](crate::Auth) that goes by `clock`; each calls this once, when it is built.
    ///
    /// Does nothing unless overridden.
    fn begin(&self, clock: &Arc<dyn Clock>) {
        let _ = clock;
    }

    /// Since when this store has kept sessions, where it forgets them with its process; `None`, unless overridden, where it
    /// keeps them. Of an access token that was issued before, the guard asks whether its session is here.
    fn began(&self) -> Option<Timestamp> {
        None
    }

    /// The present moment by the clock that all nodes share, which is the server's; `None`, unless overridden, where the
    /// nodes have no other clock than their own.
    ///
    /// A node asks for it when it starts and every ten minutes, and adds the difference to its own clock wherever it writes
    /// or decides about a session. Differences of up to a minute are corrected, to within half of the round trip.
    ///
    /// # Errors
    /// As the trait says: the node goes by its own clock until it is answered.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
}

/// A session to be added.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewSession {
    /// The record.
    pub session: Session,
    /// The session that the same browser still had, whoever's it was; it ends.
    pub replaces: Option<(UserId, SessionId)>,
    /// How many live sessions the user may have with this one.
    pub limit: SessionLimit,
    /// How long the records of the sessions that this ends must stay: until every access token of them has expired.
    pub tombstone: Duration,
}

impl NewSession {
    /// A session that replaces none.
    pub fn new(session: Session, limit: SessionLimit, tombstone: Duration) -> Self {
        Self { session, replaces: None, limit, tombstone }
    }
}

/// What the adding of a session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// The sessions that ended: the replaced one, and those beyond the limit.
    pub ended: Vec<SessionId>,
    /// The user's sessions that ended because their token version is lower, the replaced one among them.
    pub outdated: Vec<SessionId>,
    /// The new session itself was added as ended, for a token version below the floor.
    pub dead_on_arrival: bool,
}

impl Created {
    /// Says which sessions ended, of a new one that lives and found none of a lower version.
    pub fn new(ended: Vec<SessionId>) -> Self {
        Self { ended, outdated: Vec::new(), dead_on_arrival: false }
    }
}

/// How many sessions a user may have, and what happens beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionLimit {
    /// At most this many: a further login ends the one that was used longest ago.
    EndLeastRecentlyUsed(usize),
    /// At most this many: a further login is refused.
    Refuse(usize),
}

/// What [`SessionStore::end_all`] does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndAll {
    /// Whose sessions end.
    pub user_id: UserId,
    /// The least token version that still counts, already written to the user.
    pub min_version: u64,
    /// The session to keep.
    pub keep: Option<Keep>,
    /// How the others end; `keep_until` holds for the floor as well.
    pub ended: Ended,
}

impl EndAll {
    /// Ends all sessions of the user under a version below `min_version`.
    pub fn new(user_id: UserId, min_version: u64, ended: Ended) -> Self {
        Self { user_id, min_version, keep: None, ended }
    }

    /// Keeps one of them.
    #[must_use]
    pub fn keeping(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }
}

/// The session that a password change keeps: it moves to the new token version and on by one generation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Keep {
    /// Which.
    pub session_id: SessionId,
    /// What `jti` its next refresh token has.
    pub next_token_id: TokenId,
    /// How long the session lives without a refresh.
    pub idle: Duration,
    /// The present moment, in milliseconds.
    pub now: Timestamp,
}

impl Keep {
    /// Keeps this session.
    pub fn new(session_id: SessionId, next_token_id: TokenId, idle: Duration, now: Timestamp) -> Self {
        Self { session_id, next_token_id, idle, now }
    }

    /// The kept session after its restamp, or `None` where the record is not this one or no longer live.
    ///
    /// A restamp that is asked again because its answer was lost finds its own `next_token_id`, and changes nothing more.
    pub fn restamp(&self, record: &Session, min_version: u64) -> Option<Session> {
        if record.id == self.session_id && record.is_live(self.now) && record.token_id == self.next_token_id {
            return Some(record.clone());
        }
        (record.id == self.session_id && record.is_live(self.now)).then(|| Session {
            token_version: record.token_version.max(min_version),
            generation: record.generation.saturating_add(1),
            token_id: self.next_token_id,
            previous_token_id: Some(record.token_id),
            auth_time: self.now,
            rotated_at: self.now,
            expires_at: self.now.plus(self.idle).min(record.absolute_expires_at),
            ..record.clone()
        })
    }
}

#[async_trait]
impl<S: UserStore + ?Sized> UserStore for Arc<S> {
    type User = S::User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<S::User>, StoreError> {
        (**self).find_by_id(id).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<S::User>, StoreError> {
        (**self).find_by_login(login).await
    }

    async fn create(&self, user: NewUser<<S::User as AuthUser>::Registration>) -> Result<S::User, StoreError> {
        (**self).create(user).await
    }

    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        (**self).replace_password_hash(id, expected, new).await
    }

    async fn set_password(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<Option<u64>, StoreError> {
        (**self).set_password(id, expected, new).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        (**self).bump_token_version(id).await
    }
}

#[async_trait]
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        (**self).create(new).await
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        (**self).find(user, id, now).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        (**self).rotate(rotation).await
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        (**self).end(user, id, ended).await
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        (**self).end_all(all).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        (**self).list(user, now).await
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        (**self).ended_since(since, now).await
    }

    fn begin(&self, clock: &Arc<dyn Clock>) {
        (**self).begin(clock);
    }

    fn began(&self) -> Option<Timestamp> {
        (**self).began()
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        (**self).clock().await
    }
}
