//! The one place that knows which cryptography is compiled in.
//!
//! `jsonwebtoken` picks its backend from a process-wide default and panics where it finds two or none. That default is
//! never asked here: signing and verification take a key that was prepared once, all else a named provider.

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

/// Signs `message` with a key that is needed once.
///
/// # Errors
/// What the backend says: a key that does not fit its algorithm.
pub(super) fn sign(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Result<Vec<u8>, SignError> {
    PreparedSigner::new(algorithm, key)?.sign(message)
}

/// A signature under any algorithm that the key's family has, for attacks.
#[cfg(test)]
pub(super) fn sign_as(algorithm: jsonwebtoken::Algorithm, key: &EncodingKey, message: &[u8]) -> Option<Vec<u8>> {
    (imp::provider().signer_factory)(&algorithm, key).ok()?.try_sign(message).ok()
}

/// The public half of a private Ed25519 key in PKCS#8.
pub(super) fn ed25519_public(pkcs8: &[u8]) -> Option<Vec<u8>> {
    (imp::provider().key_utils.ed_pub_components_from_private_key)(pkcs8, &EllipticCurve::Ed25519).ok()
}

/// The coordinates of a private P-256 key in PKCS#8; none for a key of another curve.
pub(super) fn p256_public(pkcs8: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, x, y) =
        (imp::provider().key_utils.ec_pub_components_from_private_key)(pkcs8, jsonwebtoken::Algorithm::ES256).ok()?;
    Some((x, y))
}

/// SHA-256, for thumbprints.
pub(super) fn sha256(data: &[u8]) -> Option<Vec<u8>> {
    (imp::provider().key_utils.compute_digest)(data, ThumbprintHash::SHA256).ok()
}

/// HMAC-SHA256, for names that are derived from a key.
pub(super) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    imp::hmac_sha256(secret, message)
}
