//! The user that a guard loaded.

use std::fmt;

use crate::user::AuthUser;

/// Holds the user who makes the request, as they are in the store.
///
/// A guard with [`load_user`](crate::AuthLayer::load_user) puts it into the extensions of the
/// request, where a handler without axum finds it.
///
/// With the feature `axum` it is an extractor too. Where the guard did not load the user, the
/// extractor loads them itself, with one call to the store and the same checks.
#[derive(Clone)]
pub struct CurrentUser<U>(pub U);

/// Names the user by id only, because an app's own `Debug` may print the password hash.
impl<U: AuthUser> fmt::Debug for CurrentUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentUser").field(&self.0.id()).finish()
    }
}
