//! The settings of an `Auth` that tests do not care about.

use portcullis::{
    Auth, AuthBuilder, AuthUser,
    store::{SessionStore, UserStore},
};

/// Begins an `Auth` over these stores, with an issuer, secrets, and one thread for hashes.
pub(crate) fn builder<U: AuthUser>(users: impl UserStore<User = U>, sessions: impl SessionStore) -> AuthBuilder<U> {
    Auth::builder(users, sessions)
        .issuer("https://example.com")
        .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
        .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
        .hash_threads(1)
}
