//! [`Revocation`]: an ended session or a raised token version, as nodes report it to each other.

use super::SessionId;
use crate::{clock::Timestamp, user::UserId};

/// Something that ended, as stores report it to every node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// One session ended.
    Session {
        /// Id of the session.
        id: SessionId,
        /// When the last access token of the session has expired.
        keep_until: Timestamp,
    },
    /// Every session of a user with a lower token version ended.
    User {
        /// Id of the user.
        id: UserId,
        /// The lowest token version that is still valid.
        min_version: u64,
        /// When the last access token with a lower version has expired.
        keep_until: Timestamp,
    },
}
