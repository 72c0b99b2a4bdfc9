//! [`AuthUser`]: what this crate reads of an app's user.

use serde::{Serialize, de::DeserializeOwned};

use super::id::UserId;
use crate::error::FieldError;

/// Gives this crate what it needs of an app's user.
///
/// The user itself is never serialized, because serialized users leak password hashes. Clients see
/// [`Public`](Self::Public) instead. With the associated types, everything that is built on a user
/// needs only one type parameter.
///
/// # Examples
/// ```
/// use portcullis::{AuthUser, user::UserId};
///
/// #[derive(Clone)]
/// struct Member {
///     id: i64,
///     email: String,
///     password_hash: Option<String>,
///     token_version: u64,
///     is_blocked: bool,
/// }
///
/// impl AuthUser for Member {
///     type Registration = ();
///     type Public = String;
///
///     fn id(&self) -> UserId {
///         self.id.into()
///     }
///     fn password_hash(&self) -> Option<&str> {
///         self.password_hash.as_deref()
///     }
///     fn token_version(&self) -> u64 {
///         self.token_version
///     }
///     fn is_disabled(&self) -> bool {
///         self.is_blocked
///     }
///     fn roles(&self) -> Vec<&str> {
///         vec!["member"]
///     }
///     fn public(&self) -> String {
///         self.email.clone()
///     }
///     fn names(&self) -> Vec<&str> {
///         vec![&self.email]
///     }
/// }
/// ```
pub trait AuthUser: Clone + Send + Sync + 'static {
    /// The app's own fields of a registration. They are read from the same body as `email` and
    /// `password`. `()` means that there are none.
    ///
    /// Clients can set every field of this type. It must therefore have no roles, ids or versions.
    /// In a form all values are texts. A number needs a JSON body or `deserialize_with`.
    type Registration: DeserializeOwned + Send + Sync + 'static;

    /// What clients may see of a user.
    type Public: Serialize + Send + Sync + 'static;

    /// Returns the id that tokens carry as `sub`. It has 1 to 256 bytes, is unique, and is never
    /// given to another user.
    fn id(&self) -> UserId;

    /// Returns the stored password hash in PHC form. With the feature for bcrypt, bcrypt's own form
    /// is accepted too. Returns `None` for a user without a password, who cannot log in with one.
    fn password_hash(&self) -> Option<&str>;

    /// Returns the token version. Raising it makes every token of the user invalid. It may start at
    /// any number and must never fall.
    fn token_version(&self) -> u64;

    /// Returns whether the user is disabled. A disabled user cannot log in. Their next refresh
    /// fails, and their sessions end.
    fn is_disabled(&self) -> bool;

    /// Returns the roles that access tokens carry, for `require().role(…)`.
    fn roles(&self) -> Vec<&str>;

    /// Returns what clients see of the user.
    fn public(&self) -> Self::Public;

    /// Returns the user's e-mail address and names. The password must not equal any of them.
    fn names(&self) -> Vec<&str>;

    /// Checks the app's own registration fields. Errors are answered as 400 `validation_failed`.
    ///
    /// Default: accepts everything.
    fn check_registration(registration: &Self::Registration) -> Vec<FieldError> {
        let _ = registration;
        Vec::new()
    }

    /// Returns the names among the app's own registration fields. The password must not equal any
    /// of them.
    ///
    /// Default: none.
    fn names_in(registration: &Self::Registration) -> Vec<&str> {
        let _ = registration;
        Vec::new()
    }
}
