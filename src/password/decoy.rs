//! The decoy: the hash that is verified where a user has none. An unknown login therefore takes as
//! long as a known one.

use super::argon2::Hasher;
use crate::{error::Error, random, user::PasswordHash};

/// Returns a hash of today's cost that no password matches, because its output is random.
pub(super) fn hash(hasher: &Hasher) -> Result<PasswordHash, Error> {
    hasher.encode(&random::bytes::<16>()?, &random::bytes::<32>()?)
}
