//! Verifies the tokens that this service issues (RFC 8725): one pinned header, one signature check,
//! one strict parse.
//!
//! The checks run in this order, so that nothing is decoded of a token that cannot be our own, and
//! nothing is parsed that is not signed:
//! 1. The token has at most 8 KiB and three segments.
//! 2. The header segment equals, byte for byte, the one that our keys issue, and the key is still
//!    accepted.
//! 3. The signature is valid, in canonical base64url.
//! 4. The payload is one JSON object with our claims, each once and of its type.
//! 5. Issuer, audience and times are accepted.
//!
//! `resource` verifies the tokens of another issuer. It shares the parts below that do not depend
//! on the issuer.

mod fault;
mod segments;
mod strict_json;
mod times;
mod verifier;

pub(in crate::token) use self::times::Times;
pub(crate) use self::{
    fault::TokenFault,
    segments::{MAX_TOKEN_BYTES, Segments},
    strict_json::{Audience, MAX_NUMERIC_DATE, object, present},
    times::{MAX_CLOCK_SKEW, contradict},
    verifier::{Expiry, Profile, Verifier},
};

#[cfg(test)]
mod tests;
