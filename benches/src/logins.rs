//! Two ways to check passwords: ours, and what most services do.

use std::sync::Arc;

use argon2::{Argon2, PasswordVerifier};
use portcullis::{
    Auth, AuthUser, Profile, Registration, User, auth::ClientInfo, store::memory::MemoryStore, user::Login,
};
use tokio::runtime::Runtime;

use crate::setup::builder;

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery staple";

/// A way to check a password.
#[derive(Clone, Debug)]
pub enum Way {
    /// `Auth::login`, the whole of it.
    Ours(Auth<User>),
    /// `spawn_blocking(argon2)`: the hash alone, by the same Argon2 at the same cost. It makes no
    /// session and no tokens, which is in its favour.
    Naive(Arc<str>),
}

/// The same user, to be logged in each way.
#[derive(Debug)]
pub struct Ways {
    /// Where the user is.
    pub store: MemoryStore,
    /// `spawn_blocking`.
    pub naive: Way,
    /// One hashing thread.
    pub one: Way,
    /// Two hashing threads.
    pub two: Way,
}

impl Ways {
    /// Registers the user.
    pub fn new(runtime: &Runtime) -> Self {
        let store = MemoryStore::new();
        // One user who logs in many times at once is what the throttle is there to slow.
        let auth =
            |threads| builder(&store).no_throttle().hash_threads(threads).build().expect("the settings are good");
        let (one, two) = (auth(1), auth(2));
        let registration = Registration::new(EMAIL, PASSWORD, Profile::default());
        let user = runtime.block_on(one.register(registration, &ClientInfo::unknown())).expect("there is room");
        let hash = user.password_hash().expect("there is one");
        Self { naive: Way::Naive(hash.into()), one: Way::Ours(one), two: Way::Ours(two), store }
    }
}

impl Way {
    /// Logs the user in.
    pub async fn log_in(self) {
        match self {
            Self::Ours(auth) => {
                let login = auth.login(&Login::email(EMAIL), PASSWORD.into(), &ClientInfo::unknown()).await;
                login.expect("the password is right");
            }
            Self::Naive(hash) => {
                let verified =
                    tokio::task::spawn_blocking(move || Argon2::default().verify_password(PASSWORD.as_bytes(), &*hash));
                verified.await.expect("argon2 does not panic").expect("the password is right");
            }
        }
    }
}
