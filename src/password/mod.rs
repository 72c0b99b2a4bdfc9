//! Accepts, hashes and verifies passwords.
//!
//! | type | what it is for |
//! |---|---|
//! | [`PasswordPolicy`] | says which passwords may be chosen |
//! | [`BreachCheck`] | refuses passwords that are known from a leak, by the app's own list |
//! | [`HashCost`] | sets what a hash costs |
//! | [`HashStats`] | counts the passwords that wait and the hashes that run, for metrics |
//!
//! Set them with [`AuthBuilder::password_policy`](crate::AuthBuilder::password_policy) and the
//! methods beside it.

mod argon2;
mod breach_check;
mod decoy;
mod hash_cost;
mod hash_memory;
mod legacy;
mod passwords;
mod pepper;
mod phc;
mod policy;
mod pool;

pub(crate) use self::{
    argon2::{Hasher, Verdict},
    passwords::Passwords,
    pepper::Peppers,
    policy::too_long,
    pool::Pool,
};
pub use self::{breach_check::BreachCheck, hash_cost::HashCost, policy::PasswordPolicy, pool::HashStats};
