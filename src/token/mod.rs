//! Tokens: their claims, the keys that sign them, and how they are issued and verified.
//!
//! There are two kinds. Neither is ever accepted as the other, because they differ in key, in `typ`
//! and in their Rust type.
//! - The **access token** is a JWT of the RFC 9068 profile (`typ: at+jwt`). A client sends it with
//!   every request.
//! - The **refresh token** (`typ: rt+jwt`) is sent to get the next pair of tokens. It is valid only
//!   together with the record of its session.

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
