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
