//! Sessions: one record for each login on one device, and the rules for its rotation and its end.
//!
//! The record contains what a refresh token must match: its generation and its token id. It never
//! contains the token. A leaked copy of the store therefore yields no token that can be presented.
//! A leaked signing key alone yields no token that matches a record.

mod methods;
mod revocation;
mod rotate;
mod session;

/// How many ended sessions of one user a store keeps as records. Of further ended sessions, a store
/// keeps only what other nodes have to know. A user who logs in again and again therefore cannot
/// fill the store.
pub(crate) const MAX_ENDED_SESSIONS_OF_A_USER: usize = 16;

pub use self::{
    methods::{AuthLevel, AuthMethod, AuthMethods},
    revocation::Revocation,
    rotate::{Decision, RotateOutcome, Rotation, decide},
    session::{EndReason, Ended, Session, SessionId, TokenId, UnknownId},
};
