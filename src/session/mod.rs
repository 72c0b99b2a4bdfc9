//! Sessions: one record for each login on one device, and the rules by which it lives, rotates and ends.
//!
//! The record holds what a refresh token must match (its generation and token id), never the token: a dump of the
//! store cannot be presented, and a leaked signing key cannot make a token that the record knows.

mod methods;
mod revocation;
mod rotate;
mod session;

/// How many of a user's sessions that have ended are kept as records, of every reason. Of the others a store keeps what
/// other nodes have to know: one who logs in again and again must not fill it.
pub(crate) const MAX_ENDED_SESSIONS_OF_A_USER: usize = 16;

pub use self::{
    methods::{AuthLevel, AuthMethod, AuthMethods},
    revocation::Revocation,
    rotate::{Decision, RotateOutcome, Rotation, decide},
    session::{EndReason, Ended, Session, SessionId, TokenId, UnknownId},
};
