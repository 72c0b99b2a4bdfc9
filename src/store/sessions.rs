//! [`SessionStore`]: sessions, and what its methods take and return.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::StoreError;
use crate::{
    clock::{Clock, Timestamp},
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId, TokenId},
    user::UserId,
};

/// Stores sessions, one record each.
///
/// Every method is **one atomic operation**: no other operation on the same user's sessions happens
/// in between. Each gets the user's id beside the session's id, so that a store can keep the
/// sessions of a user together. A record past [`Session::delete_at`] counts as absent, whether it
/// has been deleted or not.
///
/// A store whose calls can hang sets a timeout on them. It is below the refresh grace (10 s), so
/// that a client that was answered 503 comes back in time.
///
/// # Examples
/// A ready store is used as it is. A wrapper passes each call on, for example to count the logins:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use portcullis::{
///     clock::Timestamp,
///     session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
///     store::{Created, EndAll, NewSession, SessionStore, StoreError, memory::MemorySessions},
///     user::UserId,
/// };
///
/// #[derive(Default)]
/// struct Counting {
///     sessions: MemorySessions,
///     logins: AtomicU64,
/// }
///
/// #[async_trait::async_trait]
/// impl SessionStore for Counting {
///     async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
///         self.logins.fetch_add(1, Ordering::Relaxed);
///         self.sessions.create(new).await
///     }
///
///     async fn find(
///         &self,
///         user: &UserId,
///         id: &SessionId,
///         now: Timestamp,
///     ) -> Result<Option<Session>, StoreError> {
///         self.sessions.find(user, id, now).await
///     }
///
///     async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
///         self.sessions.rotate(rotation).await
///     }
///
///     async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
///         self.sessions.end(user, id, ended).await
///     }
///
///     async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
///         self.sessions.end_all(all).await
///     }
///
///     async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
///         self.sessions.list(user, now).await
///     }
///
///     async fn ended_since(
///         &self,
///         since: Timestamp,
///         now: Timestamp,
///     ) -> Result<Vec<Revocation>, StoreError> {
///         self.sessions.ended_since(since, now).await
///     }
/// }
/// # let _ = Counting::default();
/// ```
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Adds a session, ends the one that it replaces, and keeps the user within the limit.
    ///
    /// A session whose token version is below the user's floor (see [`end_all`](Self::end_all)) is
    /// added as ended, because its login read the user before the version was raised. Live sessions
    /// of lower versions than the new one's end. Neither kind counts for the limit. A login that is
    /// refused changes nothing. [`Created`] says what ended.
    ///
    /// # Errors
    /// - [`StoreError::too_many_sessions`] where the limit refuses.
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn create(&self, new: NewSession) -> Result<Created, StoreError>;

    /// Finds a session, ended or not.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError>;

    /// Applies [`decide`](crate::session::decide) to the record: reads, decides and writes with
    /// nothing in between.
    ///
    /// Where the outcome is unknown (a timeout), the caller asks again with the same rotation. It is
    /// answered as the first time.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError>;

    /// Ends a session of the user. Returns `false` where there is no live session with this id.
    ///
    /// Where the answer was lost, the caller asks again with the same [`Ended`], and is answered
    /// `true` again. No other call has the same moments.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError>;

    /// Ends every session of the user whose token version is below `min_version`, except the one to
    /// keep. Remembers the floor for [`ended_since`](Self::ended_since). Returns the kept session as
    /// it is afterwards.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError>;

    /// Lists the user's live sessions, in any order.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError>;

    /// Lists everything that ended at `since` or later and whose tombstone is still needed at `now`,
    /// floors included.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError>;

    /// Begins to serve an [`Auth`](crate::Auth) that uses `clock`. Each `Auth` calls it once, when it
    /// is built.
    ///
    /// Default: does nothing.
    fn begin(&self, clock: &Arc<dyn Clock>) {
        let _ = clock;
    }

    /// Returns the moment since which this store has kept sessions, where it forgets them with its
    /// process. For an access token that was issued before, the guard asks whether its session is
    /// here.
    ///
    /// Default: `None`, for a store that keeps its sessions.
    fn began(&self) -> Option<Timestamp> {
        None
    }

    /// Returns the present moment by the clock that all nodes share, which is the server's.
    ///
    /// A node asks for it when it starts and every 10 minutes. It adds the difference to its own
    /// clock wherever it writes or decides about a session. Differences of up to a minute are
    /// corrected, to within half of the round trip.
    ///
    /// Default: `None`, for nodes that have no other clock than their own.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached: the node uses its own clock
    ///   until it is answered.
    /// - [`StoreError::internal`] for what does not pass by itself.
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
    /// The session that the same browser still had, of this user or another. It ends.
    pub replaces: Option<(UserId, SessionId)>,
    /// How many live sessions the user may have, this one included.
    pub limit: SessionLimit,
    /// How long the records of the sessions that this ends must stay: until every access token of them has expired.
    pub tombstone: Duration,
}

impl NewSession {
    /// Makes a session that replaces none.
    pub fn new(session: Session, limit: SessionLimit, tombstone: Duration) -> Self {
        Self { session, replaces: None, limit, tombstone }
    }
}

/// What [`SessionStore::create`] ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// The sessions that ended: the replaced one, and those beyond the limit.
    pub ended: Vec<SessionId>,
    /// The user's sessions that ended because their token version is lower, the replaced one among them.
    pub outdated: Vec<SessionId>,
    /// Whether the new session itself was added as ended, because its token version is below the floor.
    pub dead_on_arrival: bool,
}

impl Created {
    /// Makes the answer for a new session that is live and found none of a lower token version.
    pub fn new(ended: Vec<SessionId>) -> Self {
        Self { ended, outdated: Vec::new(), dead_on_arrival: false }
    }
}

/// How many sessions a user may have, and what happens beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionLimit {
    /// At most this many: a further login ends the session that was used longest ago.
    EndLeastRecentlyUsed(usize),
    /// At most this many: a further login is refused.
    Refuse(usize),
}

/// What [`SessionStore::end_all`] does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndAll {
    /// The user whose sessions end.
    pub user_id: UserId,
    /// The least token version that still counts, already written to the user.
    pub min_version: u64,
    /// The session to keep.
    pub keep: Option<Keep>,
    /// How the others end. Its `keep_until` holds for the floor as well.
    pub ended: Ended,
}

impl EndAll {
    /// Ends all sessions of the user whose token version is below `min_version`.
    pub fn new(user_id: UserId, min_version: u64, ended: Ended) -> Self {
        Self { user_id, min_version, keep: None, ended }
    }

    /// Keeps one session.
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
    /// The session's id.
    pub session_id: SessionId,
    /// The `jti` of its next refresh token.
    pub next_token_id: TokenId,
    /// How long the session lives without a refresh.
    pub idle: Duration,
    /// The present moment, in milliseconds.
    pub now: Timestamp,
}

impl Keep {
    /// Makes what keeps this session.
    pub fn new(session_id: SessionId, next_token_id: TokenId, idle: Duration, now: Timestamp) -> Self {
        Self { session_id, next_token_id, idle, now }
    }

    /// Returns the kept session after its restamp, or `None` where the record is another one or no
    /// longer live.
    ///
    /// A restamp that is asked again because its answer was lost finds its own `next_token_id` in the
    /// record, and changes nothing more.
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
            restamped_generation: Some(record.generation.saturating_add(1)),
            rotated_at: self.now,
            expires_at: self.now.plus(self.idle).min(record.absolute_expires_at),
            ..record.clone()
        })
    }
}

/// Implements [`SessionStore`] for a type that passes every call on. `$call!(self, method(arguments))`
/// makes a call that waits, and `$call!(self, [now] method(arguments))` one that does not.
macro_rules! delegate_session_store {
    ([$($generics:tt)*] $type:ty, $call:ident) => {
        #[async_trait::async_trait]
        impl<$($generics)*> $crate::store::SessionStore for $type {
            async fn create(
                &self,
                new: $crate::store::NewSession,
            ) -> Result<$crate::store::Created, $crate::store::StoreError> {
                $call!(self, create(new)).await
            }

            async fn find(
                &self,
                user: &$crate::user::UserId,
                id: &$crate::session::SessionId,
                now: $crate::clock::Timestamp,
            ) -> Result<Option<$crate::session::Session>, $crate::store::StoreError> {
                $call!(self, find(user, id, now)).await
            }

            async fn rotate(
                &self,
                rotation: &$crate::session::Rotation,
            ) -> Result<$crate::session::RotateOutcome, $crate::store::StoreError> {
                $call!(self, rotate(rotation)).await
            }

            async fn end(
                &self,
                user: &$crate::user::UserId,
                id: &$crate::session::SessionId,
                ended: $crate::session::Ended,
            ) -> Result<bool, $crate::store::StoreError> {
                $call!(self, end(user, id, ended)).await
            }

            async fn end_all(
                &self,
                all: &$crate::store::EndAll,
            ) -> Result<Option<$crate::session::Session>, $crate::store::StoreError> {
                $call!(self, end_all(all)).await
            }

            async fn list(
                &self,
                user: &$crate::user::UserId,
                now: $crate::clock::Timestamp,
            ) -> Result<Vec<$crate::session::Session>, $crate::store::StoreError> {
                $call!(self, list(user, now)).await
            }

            async fn ended_since(
                &self,
                since: $crate::clock::Timestamp,
                now: $crate::clock::Timestamp,
            ) -> Result<Vec<$crate::session::Revocation>, $crate::store::StoreError> {
                $call!(self, ended_since(since, now)).await
            }

            fn begin(&self, clock: &std::sync::Arc<dyn $crate::clock::Clock>) {
                $call!(self, [now] begin(clock));
            }

            fn began(&self) -> Option<$crate::clock::Timestamp> {
                $call!(self, [now] began())
            }

            async fn clock(&self) -> Result<Option<$crate::clock::Timestamp>, $crate::store::StoreError> {
                $call!(self, clock()).await
            }
        }
    };
}
pub(super) use delegate_session_store;

macro_rules! of_arc {
    ($this:ident, $([now])? $method:ident($($argument:ident),*)) => {
        (**$this).$method($($argument),*)
    };
}
delegate_session_store!([S: SessionStore + ?Sized] Arc<S>, of_arc);
