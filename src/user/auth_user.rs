//! [`AuthUser`]: what this crate needs to know of an app's user.

use serde::{Serialize, de::DeserializeOwned};

use super::id::UserId;
use crate::error::FieldError;

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
