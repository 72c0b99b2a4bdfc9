//! [`NewUser`]: a registration to store.

use super::{
    identifier::{Email, Username},
    password_hash::PasswordHash,
};
use crate::clock::Timestamp;

/// A registration that passed every check, for
/// [`UserStore::create`](crate::store::UserStore::create).
///
/// # Examples
/// ```
/// use portcullis::{
///     Profile,
///     clock::{Clock, SystemClock},
///     store::{StoreError, UserStore, memory::MemoryUsers},
///     user::{Login, NewUser, PasswordHash},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StoreError> {
/// let users = MemoryUsers::default();
/// let hash = PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g");
/// let email = "ada@example.com".parse().unwrap();
/// users.create(NewUser::new(email, None, hash, Profile::default(), SystemClock.now())).await?;
/// assert!(users.find_by_login(&Login::email("Ada@example.com")).await?.is_some());
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct NewUser<R> {
    /// The e-mail address. It is unique by [`Email::key`].
    pub email: Email,
    /// The username, if the user chose one. It is unique by [`Username::key`].
    pub username: Option<Username>,
    /// The password's hash, as a PHC string. `None` for a user without a password, who logs in by
    /// other ways until [`UserStore::set_password`](crate::store::UserStore::set_password) is
    /// called.
    pub password_hash: Option<PasswordHash>,
    /// The app's own fields of the registration.
    pub registration: R,
    /// When the registration was accepted, in milliseconds.
    pub created_at: Timestamp,
}

impl<R> NewUser<R> {
    /// Makes a registration, for tests of stores and for users that an app creates itself.
    /// `password_hash` is a [`PasswordHash`], or `None` for a user without a password.
    pub fn new(
        email: Email,
        username: Option<Username>,
        password_hash: impl Into<Option<PasswordHash>>,
        registration: R,
        created_at: Timestamp,
    ) -> Self {
        Self { email, username, password_hash: password_hash.into(), registration, created_at }
    }

    /// Returns the text of the password's hash, to store. `None` is stored as `NULL`.
    pub fn password_hash(&self) -> Option<&str> {
        self.password_hash.as_ref().map(PasswordHash::as_str)
    }
}
