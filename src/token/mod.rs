//! Tokens: the claims of each kind, the keys that sign them, how they are issued and how strictly they are verified.
//!
//! There are two kinds, and neither is ever accepted as the other: other key, other `typ`, other type here.
//! - the **access token**, a JWT of the RFC 9068 profile (`typ: at+jwt`), presented on every request;
//! - the **refresh token** (`typ: rt+jwt`), presented to get the next pair, and worth nothing without its session's record.

mod cache;
mod claims;
mod crypto;
mod custom_claims;
mod issue;
pub mod keys;
mod roles;
mod verify;

pub use self::claims::Claims;
pub(crate) use self::{
    cache::TokenCache,
    claims::RefreshClaims,
    custom_claims::{CustomProblem, names_are_unique, write as write_custom},
    issue::{AccessToken, Issuer},
    roles::Roles,
    verify::{
        Audience, Expiry, MAX_CLOCK_SKEW, MAX_NUMERIC_DATE, MAX_TOKEN_BYTES, Profile, Segments, TokenFault, Verifier,
        contradict, object, present,
    },
};
