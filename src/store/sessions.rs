//! [`SessionStore`] and the types that its methods use.

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
/// Every method is **one atomic operation**: no other operation on the sessions of the same user
/// happens during it. Each method gets the user's id and the session's id, so that a store can
/// keep the sessions of a user together. A record past [`Session::delete_at`] counts as absent,
/// even if it has not been deleted yet.
///
/// A store whose calls can hang must set a timeout on them. The timeout must be below the refresh
/// grace (default: 10 s), so that a client that was answered 503 can repeat its refresh within the
/// grace.
///
/// # Examples
/// Ready stores implement this trait. A store can also wrap another one, for example to count the
/// logins:
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
    /// Adds a session, ends the session that it replaces, and enforces the limit.
    ///
    /// A session whose token version is below the user's minimum version (see
    /// [`end_all`](Self::end_all)) is added as ended, because its login read the user before the
    /// version was raised. Live sessions with a lower version than the new one are ended. Neither
    /// kind counts for the limit. A refused login changes nothing. [`Created`] says what ended.
    ///
    /// # Errors
    /// - [`StoreError::too_many_sessions`] where the limit refuses the login.
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn create(&self, new: NewSession) -> Result<Created, StoreError>;

    /// Finds a session, ended or not.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError>;

    /// Applies [`decide`](crate::session::decide) to the record. Nothing happens between reading,
    /// deciding and writing.
    ///
    /// A caller that lost the answer (a timeout) calls again with the same rotation. The store then
    /// answers as it did the first time.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError>;

    /// Ends a session of the user. Returns `false` where there is no live session with this id.
    ///
    /// A caller that lost the answer calls again with the same [`Ended`]. The store then returns
    /// `true` again. Another call never has the same moments.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError>;

    /// Ends every session of the user whose token version is below `min_version`, except the one to
    /// keep. Stores `min_version` for [`ended_since`](Self::ended_since). Returns the kept session
    /// after the change.
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

    /// Lists everything that ended at `since` or later and whose tombstone is still needed at
    /// `now`. Raised minimum versions are included. An entry that cannot be read is left out with a
    /// warning, because it must not hide the others.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table.
    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError>;

    /// Gives the store the clock of an [`Auth`](crate::Auth) that uses it. Each `Auth` calls this
    /// once, when it is built.
    ///
    /// Default: does nothing.
    fn begin(&self, clock: &Arc<dyn Clock>) {
        let _ = clock;
    }

    /// Returns the moment since which this store has kept sessions, where the store loses them at a
    /// restart. For an access token that was issued before this moment, the guard checks whether
    /// its session is in the store.
    ///
    /// Default: `None`, for a store that keeps its sessions over a restart.
    fn began(&self) -> Option<Timestamp> {
        None
    }

    /// Returns the present moment on the clock that all nodes share, which is the clock of the
    /// store's server.
    ///
    /// A node calls this when it starts and then every 10 minutes. It adds the difference to its
    /// own clock wherever it writes or decides about a session. Differences of up to a minute are
    /// corrected. The remaining error is at most half of the round trip.
    ///
    /// Default: `None`, for nodes that have only their own clock.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached. The node uses its own clock
    ///   until the store answers.
    /// - [`StoreError::internal`] for what does not pass by itself.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
}

/// A session to add, for [`SessionStore::create`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewSession {
    /// The record of the session.
    pub session: Session,
    /// The session that the same browser had before, of this user or another. It ends.
    pub replaces: Option<(UserId, SessionId)>,
    /// The limit of live sessions of the user. The new session counts.
    pub limit: SessionLimit,
    /// How long the records of the sessions that this login ends must stay. Every access token of
    /// them has expired by then.
    pub tombstone: Duration,
}

impl NewSession {
    /// Makes a new session that replaces none.
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
    /// The user's sessions that ended because their token version is lower. This includes the
    /// replaced one, if its version is lower.
    pub outdated: Vec<SessionId>,
    /// Whether the new session was added as ended, because its token version is below the user's
    /// minimum version.
    pub ended_at_once: bool,
}

impl Created {
    /// Makes the answer for a new session that is live, where no session of a lower token version
    /// ended.
    pub fn new(ended: Vec<SessionId>) -> Self {
        Self { ended, outdated: Vec::new(), ended_at_once: false }
    }
}

/// The limit of live sessions of a user, and what happens to a login beyond it.
///
/// # Examples
/// ```
/// use portcullis::{
///     Auth,
///     store::{SessionLimit, memory::MemoryStore},
/// };
///
/// let store = MemoryStore::new();
/// let builder = Auth::builder(store.clone(), store).session_limit(SessionLimit::Refuse(5));
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionLimit {
    /// The limit. A further login ends the session that was used longest ago.
    EndLeastRecentlyUsed(usize),
    /// The limit. A further login is refused.
    Refuse(usize),
}

/// The arguments of [`SessionStore::end_all`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndAll {
    /// The user whose sessions end.
    pub user_id: UserId,
    /// The lowest token version that is still valid. The user's row already has it.
    pub min_version: u64,
    /// The session to keep.
    pub keep: Option<Keep>,
    /// When and why the other sessions end. Its `keep_until` also applies to the minimum version.
    pub ended: Ended,
}

impl EndAll {
    /// Makes a call that ends all sessions of the user whose token version is below `min_version`.
    pub fn new(user_id: UserId, min_version: u64, ended: Ended) -> Self {
        Self { user_id, min_version, keep: None, ended }
    }

    /// Returns the call with one session to keep.
    #[must_use]
    pub fn keeping(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }
}

/// The session that a password change keeps. It moves to the new token version and to the next
/// generation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Keep {
    /// Id of the session.
    pub session_id: SessionId,
    /// The `jti` of the session's next refresh token.
    pub next_token_id: TokenId,
    /// How long the session lives without a refresh.
    pub idle: Duration,
    /// The present moment, in milliseconds.
    pub now: Timestamp,
}

impl Keep {
    /// Makes the argument for [`EndAll::keeping`].
    pub fn new(session_id: SessionId, next_token_id: TokenId, idle: Duration, now: Timestamp) -> Self {
        Self { session_id, next_token_id, idle, now }
    }

    /// Returns the kept session after the change. Returns `None` where the record is another
    /// session or is no longer live.
    ///
    /// A caller that lost the answer calls again. The record then already has `next_token_id`, and
    /// nothing more changes.
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

/// Implements [`SessionStore`] for a type that passes every call on. The macro `$call!(self,
/// method(arguments))` makes an async call. `$call!(self, [now] method(arguments))` makes a call
/// that is not async.
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
