//! The hash that is verified where a user has none, so that an unknown login costs what a known one does.

use super::argon2::Hasher;
use crate::{error::Error, random, user::PasswordHash};

/// A hash under the live cost that no password has: its output is random, not computed.
pub(super) fn hash(hasher: &Hasher) -> Result<PasswordHash, Error> {
    hasher.encode(&random::bytes::<16>()?, &random::bytes::<32>()?)
}
