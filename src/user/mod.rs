//! Users: what we need of an app's own ([`AuthUser`]), the ready [`User`], and what a registration brings ([`NewUser`]).

mod id;
mod identifier;
mod key;
mod user;

use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    id::UserId,
    identifier::{Email, Login, Username},
    key::LoginKey,
    user::{Profile, PublicUser, User},
};
use crate::{clock::Timestamp, error::FieldError};

/// What this crate needs to know of an app's user.
///
/// The user itself is never serialized, because that is how password hashes leak: clients see [`Public`](Self::Public).
/// The associated types keep one type parameter enough for everything that is built on a user.
pub trait AuthUser: Clone + Send + Sync + 'static {
    /// The app's own fields of a registration, read from the same body as `email` and `password`.
    ///
    /// Roles, ids and versions do not belong here: whatever this type reads, a stranger may set. `()` where there are none.
    /// All values of a form are texts; a number needs a JSON body, or a `deserialize_with`.
    type Registration: DeserializeOwned + Send + Sync + 'static;

    /// What clients may see of a user.
    type Public: Serialize + Send + Sync + 'static;

    /// The id that tokens carry as `sub`: 1 to 256 bytes, unique and never given to another user.
    fn id(&self) -> UserId;

    /// The stored password hash in PHC form (or bcrypt's, with the feature), or `None` for a user without a password, who cannot log in with one.
    fn password_hash(&self) -> Option<&str>;

    /// The number that is raised to end every token of the user; it starts anywhere and never falls.
    fn token_version(&self) -> u64;

    /// Whether the user may not sign in; a disabled user's refresh fails and their sessions end.
    fn is_disabled(&self) -> bool;

    /// The roles that access tokens carry, for `require().role(…)`.
    fn roles(&self) -> Vec<&str>;

    /// What clients see.
    fn public(&self) -> Self::Public;

    /// The user's e-mail address and names, none of which may be their password.
    fn names(&self) -> Vec<&str>;

    /// Checks the app's own registration fields; what it returns is answered as 400 `validation_failed`.
    ///
    /// The default accepts everything that deserialized.
    fn check_registration(registration: &Self::Registration) -> Vec<FieldError> {
        let _ = registration;
        Vec::new()
    }

    /// The names among the app's own registration fields, none of which may be the password; none unless overridden.
    fn names_in(registration: &Self::Registration) -> Vec<&str> {
        let _ = registration;
        Vec::new()
    }
}

/// A registration that passed every check, for [`UserStore::create`](crate::store::UserStore::create).
#[derive(Debug)]
#[non_exhaustive]
pub struct NewUser<R> {
    /// The e-mail address; unique by [`Email::key`].
    pub email: Email,
    /// The username, where one was chosen; unique by [`Username::key`].
    pub username: Option<Username>,
    /// The password's hash, a PHC string. `None` for a user without a password, who logs in by
    /// other ways until [`UserStore::set_password`](crate::store::UserStore::set_password).
    pub password_hash: Option<PasswordHash>,
    /// The app's own fields.
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
}

/// A password hash in PHC form (`$argon2id$v=19$m=19456,t=2,p=1$…`), redacted in `Debug`.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string; whether it can be verified shows at the next login.
    pub fn new(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The string to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}
