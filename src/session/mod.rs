//! Sessions: one record for each login on one device, and the rules by which it lives, rotates and ends.
//!
//! The record holds what a refresh token must match (its generation and token id), never the token: a dump of the
//! store cannot be presented, and a leaked signing key cannot make a token that the record knows.

mod missed;
mod record;
mod revoked;
mod rotate;
mod shards;

pub(crate) use self::revoked::{Revocations, Standing};
pub use self::{
    record::{EndReason, Ended, Session, SessionId, TokenId},
    revoked::Ending,
    rotate::{Decision, RotateOutcome, Rotation, decide},
};

/// How many ended sessions of a user a store keeps longer than their tombstones. Such a record says why the session ended
/// when an old token comes again. An operation that lists, adds or ends sessions of a user reads at most the live ones and
/// this many ended ones.
#[cfg_attr(not(any(feature = "sqlx_0_9_sqlite", feature = "sqlx_0_9_postgres")), allow(dead_code))]
pub(crate) const MAX_ENDED_SESSIONS_OF_A_USER: usize = 16;
