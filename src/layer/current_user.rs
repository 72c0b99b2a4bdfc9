//! The user that a guard loaded.

use std::fmt;

use crate::user::AuthUser;

/// Holds the user who makes the request, as the guard loaded them from the store.
#[derive(Clone)]
pub struct CurrentUser<U>(pub U);

/// Names the user by id only, because an app's own `Debug` may print the password hash.
impl<U: AuthUser> fmt::Debug for CurrentUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentUser").field(&self.0.id()).finish()
    }
}
