//! [`UserAdmin`]: what an app's administration does to users.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{StoreError, UserStore};
use crate::user::{AuthUser, UserId};

/// Changes, removes and lists users, for the administration of an app.
///
/// No flow and no endpoint of this crate calls these methods. An app calls them from its own admin
/// pages, behind a guard such as `auth.require().role("admin")`. The ready stores implement the
/// trait. An app with a users table of its own implements it where it wants to.
///
/// Each method is one statement over one table. An id that the store cannot parse belongs to no
/// user: the answer is `false`, not an error.
///
/// **No method ends a session or raises a token version.** A change counts at the next refresh of
/// each session, and at once on guards that load the user
/// ([`load_user`](crate::AuthLayer::load_user)). To make it count sooner, call
/// [`Auth::end_sessions_of`](crate::Auth::end_sessions_of) after the change. It then counts at once
/// on the node of the call, and on other nodes when they hear of it: by a
/// [`RevocationFeed`](super::RevocationFeed), or without one at their next poll. It takes the
/// [`ClientInfo`](crate::auth::ClientInfo) of the client that makes the call, such as the admin's
/// browser. The audit log names its address.
///
/// **No method protects the last admin.** Refuse an admin who would disable or remove themselves or
/// take their own role away, and keep a way to make an admin without one, for example at the start
/// of the app.
///
/// # Examples
/// ```
/// use portcullis::{
///     Auth, User,
///     auth::ClientInfo,
///     store::{PageLimit, UserAdmin},
///     user::UserId,
/// };
///
/// /// Disables a user and ends their sessions. Returns `false` where there is no such user.
/// async fn ban(
///     auth: &Auth<User>,
///     users: &impl UserAdmin<User = User>,
///     id: &UserId,
///     admin: &ClientInfo,
/// ) -> Result<bool, portcullis::Error> {
///     // The change comes first: a login in between would begin a session that stays.
///     if !users.set_disabled(id, true).await? {
///         return Ok(false);
///     }
///     auth.end_sessions_of(id, admin).await?;
///     Ok(true)
/// }
///
/// /// Removes a user and ends their sessions. Returns `false` where there was no such user.
/// async fn remove(
///     auth: &Auth<User>,
///     users: &impl UserAdmin<User = User>,
///     id: &UserId,
///     admin: &ClientInfo,
/// ) -> Result<bool, portcullis::Error> {
///     let was_removed = users.remove_user(id).await?;
///     // Also after `false`: an earlier call may have removed the user, and then failed with a 503
///     // before the sessions ended. The retry finds no user and must end them.
///     auth.end_sessions_of(id, admin).await?;
///     Ok(was_removed)
/// }
///
/// /// Lists the ids of all users.
/// async fn ids(users: &impl UserAdmin<User = User>) -> Result<Vec<UserId>, portcullis::Error> {
///     let (mut ids, mut after) = (Vec::new(), None);
///     loop {
///         let page = users.list_users(after.as_ref(), PageLimit::default()).await?;
///         ids.extend(page.users.into_iter().map(|user| user.id));
///         after = page.next;
///         if after.is_none() {
///             return Ok(ids);
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait UserAdmin: UserStore {
    /// Replaces all roles of a user. Returns `false` where there is no such user.
    ///
    /// Access tokens carry the new roles from the next refresh on. Access tokens that were issued
    /// before keep the old roles until they expire.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for roles that the store has no room for, such as two roles in a
    ///   column for one, and for what does not pass by itself. Nothing is changed then.
    async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, StoreError>;

    /// Disables or enables a user. Returns `false` where there is no such user.
    ///
    /// A disabled user cannot log in, and a refresh ends the session. Access tokens that were
    /// issued before pass guards that do not load the user until they expire.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself.
    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError>;

    /// Removes a user. Returns `false` where there is no such user.
    ///
    /// The e-mail address and the username are free again. No later user gets the id. The records
    /// of the user's sessions stay until they expire, because other nodes learn from them what has
    /// ended: [`Auth::end_sessions_of`](crate::Auth::end_sessions_of) ends the sessions of a
    /// removed user too.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a foreign key that
    ///   refuses.
    async fn remove_user(&self, id: &UserId) -> Result<bool, StoreError>;

    /// Lists the users whose ids come after `after`, at most `limit` of them. The first page has no
    /// `after`; each further page has the [`next`](UserPage::next) of the page before it.
    ///
    /// Users are in the order of their ids, which is the store's order and never changes. A user
    /// who exists for as long as the pages are read is in exactly one page, whatever other users
    /// are added or removed meanwhile.
    ///
    /// The user of `after` may have been removed. An `after` that the store cannot parse is
    /// followed by no user.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a user whose row cannot
    ///   be read.
    async fn list_users(&self, after: Option<&UserId>, limit: PageLimit) -> Result<UserPage<Self::User>, StoreError>;
}

/// Limits how many users a page has. Default: 50. Minimum: 1. Maximum: 500.
///
/// # Examples
/// ```
/// use portcullis::store::PageLimit;
///
/// assert_eq!(PageLimit::new(20).get(), 20);
/// assert_eq!(PageLimit::new(0).get(), 1);
/// assert_eq!(PageLimit::new(1_000_000).get(), PageLimit::MAX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(usize);

impl PageLimit {
    /// The largest limit: 500 users. A page is in memory as a whole.
    pub const MAX: usize = 500;

    /// Makes a limit. 0 becomes 1, and a number above [`MAX`](Self::MAX) becomes `MAX`, so that a
    /// number from a query string can be given as it is.
    pub fn new(users: usize) -> Self {
        Self(users.clamp(1, Self::MAX))
    }

    /// Returns the number of users.
    pub fn get(self) -> usize {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(50)
    }
}

/// A page of [`UserAdmin::list_users`].
#[derive(Clone)]
#[non_exhaustive]
pub struct UserPage<U> {
    /// The users, in the order of their ids.
    pub users: Vec<U>,
    /// The `after` of the next page, or `None` where this is the last page.
    pub next: Option<UserId>,
}

impl<U: AuthUser> UserPage<U> {
    /// Makes a page of the users that a store has found.
    ///
    /// The store reads one user more than `limit`. That user is not part of the page: it says that
    /// there is a next page.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "sqlx_0_9_sqlite")]
    /// # fn doc(
    /// #     after: Option<&portcullis::user::UserId>, limit: portcullis::store::PageLimit,
    /// # ) {
    /// // Ids begin at 1 in this table.
    /// let after = after.map_or(Some(0), |id| id.to_key::<i64>());
    /// let members = sqlx::query("SELECT … FROM members WHERE member_id > $1 ORDER BY member_id LIMIT $2")
    ///     .bind(after)
    ///     .bind(i64::try_from(limit.get() + 1).unwrap());
    /// // Then `UserPage::new(members, limit)`.
    /// # let _: sqlx::query::Query<'_, sqlx::Sqlite, _> = members;
    /// # }
    /// ```
    pub fn new(mut users: Vec<U>, limit: PageLimit) -> Self {
        let is_last = users.len() <= limit.get();
        users.truncate(limit.get());
        let next = if is_last { None } else { users.last().map(AuthUser::id) };
        Self { users, next }
    }
}

impl<U> fmt::Debug for UserPage<U> {
    /// Shows no user, because an app's user may show its password hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPage").field("users", &self.users.len()).field("next", &self.next).finish()
    }
}

/// Implements [`UserAdmin`] for a type that passes every call on. `$call!(self, method(arguments))`
/// makes the call.
macro_rules! delegate_user_admin {
    ([$($generics:tt)*] $type:ty, $call:ident) => {
        #[async_trait::async_trait]
        impl<$($generics)*> $crate::store::UserAdmin for $type {
            async fn set_roles(
                &self,
                id: &$crate::user::UserId,
                roles: &[String],
            ) -> Result<bool, $crate::store::StoreError> {
                $call!(self, set_roles(id, roles)).await
            }

            async fn set_disabled(
                &self,
                id: &$crate::user::UserId,
                disabled: bool,
            ) -> Result<bool, $crate::store::StoreError> {
                $call!(self, set_disabled(id, disabled)).await
            }

            async fn remove_user(&self, id: &$crate::user::UserId) -> Result<bool, $crate::store::StoreError> {
                $call!(self, remove_user(id)).await
            }

            async fn list_users(
                &self,
                after: Option<&$crate::user::UserId>,
                limit: $crate::store::PageLimit,
            ) -> Result<$crate::store::UserPage<Self::User>, $crate::store::StoreError> {
                $call!(self, list_users(after, limit)).await
            }
        }
    };
}
pub(super) use delegate_user_admin;

macro_rules! of_arc {
    ($this:ident, $method:ident($($argument:ident),*)) => {
        (**$this).$method($($argument),*)
    };
}
delegate_user_admin!([S: UserAdmin + ?Sized] Arc<S>, of_arc);
