//! Passwords: which are accepted, how they are hashed and verified, and on which threads.

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
