//! Selects the cryptography backend that is compiled in. No other module depends on the choice.
//!
//! `jsonwebtoken` picks its backend from a default of the process, and panics if it finds two or
//! none. This module never uses that default. Signing and verification use prepared keys, and the
//! rest uses a named provider.

#[cfg(feature = "aws_lc_rs")]
mod aws_lc;
mod error;
#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod none;
#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
mod rust_crypto;

use jsonwebtoken::{
    EncodingKey,
    jwk::{EllipticCurve, ThumbprintHash},
};

#[cfg(feature = "aws_lc_rs")]
use self::aws_lc as imp;
pub(crate) use self::error::SignError;
pub(super) use self::imp::{PreparedKey, PreparedSigner};
#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
use self::none as imp;
#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
use self::rust_crypto as imp;
use super::keys::Algorithm;

#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
compile_error!("portcullis needs a crypto backend: enable the feature `aws_lc_rs` (default) or `rust_crypto`");

/// Signs a message with a key that is used once.
///
/// # Errors
/// [`SignError`] if the key does not fit the algorithm.
pub(super) fn sign(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Result<Vec<u8>, SignError> {
    PreparedSigner::new(algorithm, key)?.sign(message)
}

/// Signs with any algorithm of the key's family, for the tests of attacks.
#[cfg(test)]
pub(super) fn sign_as(algorithm: jsonwebtoken::Algorithm, key: &EncodingKey, message: &[u8]) -> Option<Vec<u8>> {
    (imp::provider().signer_factory)(&algorithm, key).ok()?.try_sign(message).ok()
}

/// Returns the public half of a private Ed25519 key in PKCS #8.
pub(super) fn ed25519_public(pkcs8: &[u8]) -> Option<Vec<u8>> {
    (imp::provider().key_utils.ed_pub_components_from_private_key)(pkcs8, &EllipticCurve::Ed25519).ok()
}

/// Returns the coordinates of a private P-256 key in PKCS #8. Returns `None` for another curve.
pub(super) fn p256_public(pkcs8: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, x, y) =
        (imp::provider().key_utils.ec_pub_components_from_private_key)(pkcs8, jsonwebtoken::Algorithm::ES256).ok()?;
    Some((x, y))
}

/// Returns the SHA-256 digest, for thumbprints.
pub(super) fn sha256(data: &[u8]) -> Option<Vec<u8>> {
    (imp::provider().key_utils.compute_digest)(data, ThumbprintHash::SHA256).ok()
}

/// Returns the HMAC-SHA256, for names that are derived from a key.
pub(super) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    imp::hmac_sha256(secret, message)
}
