//! [`UserStore`]: an app's users.

use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::user::{AuthUser, Login, NewUser, PasswordHash, UserId};

/// Stores the users of an app.
///
/// An app implements it over the users table that it has. Each method is one statement over one
/// table. No method has a default, because security rests on each.
///
/// An id or a login that the store cannot parse belongs to no user: the answer is `None` or
/// `false`, not an error.
///
/// # Examples
/// A store over a table in memory. With a database, each method is one SQL statement: see
/// [`store::sql`](super::sql) and the [guide](crate::guide::own_users_table).
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
///
/// use portcullis::{
///     AuthUser,
///     store::{StoreError, UniqueField, UserStore},
///     user::{Login, NewUser, PasswordHash, UserId},
/// };
///
/// #[derive(Clone)]
/// struct Member {
///     id: u64,
///     email: String,
///     email_key: String,
///     password_hash: Option<String>,
///     token_version: u64,
/// }
///
/// impl AuthUser for Member {
///     type Registration = ();
///     type Public = String;
///
///     fn id(&self) -> UserId {
///         UserId::from(self.id)
///     }
///     fn password_hash(&self) -> Option<&str> {
///         self.password_hash.as_deref()
///     }
///     fn token_version(&self) -> u64 {
///         self.token_version
///     }
///     fn is_disabled(&self) -> bool {
///         false
///     }
///     fn roles(&self) -> Vec<&str> {
///         Vec::new()
///     }
///     fn public(&self) -> String {
///         self.email.clone()
///     }
///     fn names(&self) -> Vec<&str> {
///         vec![&self.email]
///     }
/// }
///
/// #[derive(Default)]
/// struct Members(Mutex<HashMap<u64, Member>>);
///
/// impl Members {
///     /// Changes one member with nothing in between, as one SQL statement does.
///     fn update<T>(&self, id: &UserId, change: impl FnOnce(&mut Member) -> Option<T>) -> Option<T> {
///         let mut members = self.0.lock().unwrap();
///         change(members.get_mut(&id.to_key::<u64>()?)?)
///     }
/// }
///
/// #[async_trait::async_trait]
/// impl UserStore for Members {
///     type User = Member;
///
///     async fn find_by_id(&self, id: &UserId) -> Result<Option<Member>, StoreError> {
///         Ok(self.update(id, |member| Some(member.clone())))
///     }
///
///     async fn find_by_login(&self, login: &Login) -> Result<Option<Member>, StoreError> {
///         let Login::Email(key) = login else { return Ok(None) };
///         let members = self.0.lock().unwrap();
///         Ok(members.values().find(|member| member.email_key == key.as_str()).cloned())
///     }
///
///     async fn create(&self, new: NewUser<()>) -> Result<Member, StoreError> {
///         let mut members = self.0.lock().unwrap();
///         if members.values().any(|member| member.email_key == new.email.key()) {
///             return Err(StoreError::duplicate(UniqueField::Email));
///         }
///         let member = Member {
///             id: members.len() as u64 + 1,
///             email: new.email.as_str().to_owned(),
///             email_key: new.email.key().to_owned(),
///             password_hash: new.password_hash.map(|hash| hash.as_str().to_owned()),
///             token_version: 0,
///         };
///         members.insert(member.id, member.clone());
///         Ok(member)
///     }
///
///     async fn replace_password_hash(
///         &self,
///         id: &UserId,
///         expected: &str,
///         new: &PasswordHash,
///     ) -> Result<bool, StoreError> {
///         let replaced = self.update(id, |member| {
///             let is_expected = member.password_hash.as_deref() == Some(expected);
///             is_expected.then(|| member.password_hash = Some(new.as_str().to_owned()))
///         });
///         Ok(replaced.is_some())
///     }
///
///     async fn set_password(
///         &self,
///         id: &UserId,
///         expected: Option<&str>,
///         new: &PasswordHash,
///     ) -> Result<Option<u64>, StoreError> {
///         Ok(self.update(id, |member| {
///             let is_expected = member.password_hash.as_deref() == expected;
///             is_expected.then(|| {
///                 member.password_hash = Some(new.as_str().to_owned());
///                 member.token_version += 1;
///                 member.token_version
///             })
///         }))
///     }
///
///     async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
///         Ok(self.update(id, |member| {
///             member.token_version += 1;
///             Some(member.token_version)
///         }))
///     }
/// }
/// # let _ = Members::default();
/// ```
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// The app's user.
    type User: AuthUser;

    /// Finds a user by id.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached: the client is answered 503,
    ///   and no user is logged out.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing table: 500.
    async fn find_by_id(&self, id: &UserId) -> Result<Option<Self::User>, StoreError>;

    /// Finds a user by the e-mail address or username of a login. The text in `login` is a
    /// [`LoginKey`](crate::user::LoginKey).
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself.
    async fn find_by_login(&self, login: &Login) -> Result<Option<Self::User>, StoreError>;

    /// Adds a user, unless another user has the same [`Email::key`](crate::user::Email::key) or
    /// [`Username::key`](crate::user::Username::key). A unique index decides that, because another
    /// registration may come between a look and a write.
    ///
    /// # Errors
    /// - [`StoreError::duplicate`] with the field that another user has.
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself.
    async fn create(&self, user: NewUser<<Self::User as AuthUser>::Registration>) -> Result<Self::User, StoreError>;

    /// Replaces the hash `expected` with `new` and leaves the token version alone. Returns `false`
    /// where there is no such user or the stored hash is not `expected`.
    ///
    /// A login calls it to renew a hash whose parameters are outdated. A password change that comes
    /// in between wins.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself.
    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError>;

    /// Replaces the hash `expected` with `new` **and** raises the token version by one, in one
    /// write. Returns the new version, or `None` where there is no such user or the stored hash is
    /// not `expected`.
    ///
    /// Where `expected` is `None`, the user must have no password (a `NULL`, in SQL): a first
    /// password never replaces one that was set in between.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself.
    async fn set_password(
        &self,
        id: &UserId,
        expected: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError>;

    /// Raises the token version by one. Returns the new version, or `None` where there is no such
    /// user.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the store cannot be reached.
    /// - [`StoreError::internal`] for what does not pass by itself.
    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError>;
}

/// Implements [`UserStore`] for a type that passes every call on. `$call!(self, method(arguments))`
/// makes the call.
macro_rules! delegate_user_store {
    ([$($generics:tt)*] $type:ty, $user:ty, $call:ident) => {
        #[async_trait::async_trait]
        impl<$($generics)*> $crate::store::UserStore for $type {
            type User = $user;

            async fn find_by_id(
                &self,
                id: &$crate::user::UserId,
            ) -> Result<Option<Self::User>, $crate::store::StoreError> {
                $call!(self, find_by_id(id)).await
            }

            async fn find_by_login(
                &self,
                login: &$crate::user::Login,
            ) -> Result<Option<Self::User>, $crate::store::StoreError> {
                $call!(self, find_by_login(login)).await
            }

            async fn create(
                &self,
                user: $crate::user::NewUser<<Self::User as $crate::user::AuthUser>::Registration>,
            ) -> Result<Self::User, $crate::store::StoreError> {
                $call!(self, create(user)).await
            }

            async fn replace_password_hash(
                &self,
                id: &$crate::user::UserId,
                expected: &str,
                new: &$crate::user::PasswordHash,
            ) -> Result<bool, $crate::store::StoreError> {
                $call!(self, replace_password_hash(id, expected, new)).await
            }

            async fn set_password(
                &self,
                id: &$crate::user::UserId,
                expected: Option<&str>,
                new: &$crate::user::PasswordHash,
            ) -> Result<Option<u64>, $crate::store::StoreError> {
                $call!(self, set_password(id, expected, new)).await
            }

            async fn bump_token_version(
                &self,
                id: &$crate::user::UserId,
            ) -> Result<Option<u64>, $crate::store::StoreError> {
                $call!(self, bump_token_version(id)).await
            }
        }
    };
}
pub(super) use delegate_user_store;

macro_rules! of_arc {
    ($this:ident, $method:ident($($argument:ident),*)) => {
        (**$this).$method($($argument),*)
    };
}
delegate_user_store!([S: UserStore + ?Sized] Arc<S>, S::User, of_arc);
