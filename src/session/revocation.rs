//! [`Revocation`]: an ended session or a raised token version, as one node tells it to the others.

use super::SessionId;
use crate::{clock::Timestamp, user::UserId};

/// Something that ended, as stores report it to every node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// One session.
    Session {
        /// Id of the session.
        id: SessionId,
        /// When the last access token of the session has expired.
        keep_until: Timestamp,
    },
    /// Every session of a user that has a lower token version.
    User {
        /// Id of the user.
        id: UserId,
        /// The least token version that still counts.
        min_version: u64,
        /// When the last access token of a lower version has expired.
        keep_until: Timestamp,
    },
}
