//! The backend of the `RustCrypto` crates.

use hmac::{Hmac, Mac, digest::KeyInit};
use jsonwebtoken::{
    EncodingKey,
    crypto::{CryptoProvider, rust_crypto},
};
use p256::ecdsa::signature::Verifier;
use rsa::{BigUint, RsaPublicKey, pkcs1v15, pss};
use sha2::{Sha256, Sha384, Sha512};

use super::error::SignError;
use crate::token::keys::{Algorithm, PublicKey};

pub(super) fn provider() -> &'static CryptoProvider {
    &rust_crypto::DEFAULT_PROVIDER
}

pub(super) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    mac::<Hmac<Sha256>>(secret).chain_update(message).finalize().into_bytes().to_vec()
}

/// Prepares an HMAC. It accepts keys of any length, so the error case never happens.
fn mac<M: Mac + KeyInit>(secret: &[u8]) -> M {
    <M as Mac>::new_from_slice(secret).unwrap_or_else(|_| <M as Mac>::new(&hmac::digest::Key::<M>::default()))
}

/// A key that was prepared once, so that a request pays only for the check.
pub(in crate::token) enum PreparedKey {
    Hs256(Hmac<Sha256>),
    Hs384(Hmac<Sha384>),
    Hs512(Hmac<Sha512>),
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
    RsaPkcs1(pkcs1v15::VerifyingKey<Sha256>),
    RsaPss(pss::VerifyingKey<Sha256>),
}

impl PreparedKey {
    /// Prepares a secret. Returns `None` if the algorithm is not HMAC.
    pub(in crate::token) fn hmac(algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::HS256 => Some(Self::Hs256(mac(secret))),
            Algorithm::HS384 => Some(Self::Hs384(mac(secret))),
            Algorithm::HS512 => Some(Self::Hs512(mac(secret))),
            _ => None,
        }
    }

    /// Prepares a public key. Returns `None` if the key is invalid or does not fit the algorithm.
    pub(in crate::token) fn public(algorithm: Algorithm, key: &PublicKey) -> Option<Self> {
        match (algorithm, key) {
            (Algorithm::EdDSA, PublicKey::Ed25519 { x }) => {
                let x = x.as_slice().try_into().ok()?;
                ed25519_dalek::VerifyingKey::from_bytes(x).ok().map(Self::Ed25519)
            }
            (Algorithm::ES256, PublicKey::P256 { .. }) => {
                p256::ecdsa::VerifyingKey::from_sec1_bytes(&key.sec1_point()?).ok().map(Self::P256)
            }
            (Algorithm::RS256, PublicKey::Rsa { n, e }) => {
                Some(Self::RsaPkcs1(pkcs1v15::VerifyingKey::new(rsa_key(n, e)?)))
            }
            (Algorithm::PS256, PublicKey::Rsa { n, e }) => Some(Self::RsaPss(pss::VerifyingKey::new(rsa_key(n, e)?))),
            _ => None,
        }
    }

    /// Returns whether this key made the signature of the message. MACs are compared in constant
    /// time.
    pub(in crate::token) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(mac) => mac.clone().chain_update(message).verify_slice(signature).is_ok(),
            Self::Hs384(mac) => mac.clone().chain_update(message).verify_slice(signature).is_ok(),
            Self::Hs512(mac) => mac.clone().chain_update(message).verify_slice(signature).is_ok(),
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::RsaPkcs1(key) => {
                pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            Self::RsaPss(key) => {
                pss::Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
        }
    }
}

/// A private key or secret. Each signature parses it anew, because the blinding of RSA needs the
/// random number generator inside `jsonwebtoken`.
pub(in crate::token) struct PreparedSigner(Algorithm, EncodingKey);

impl PreparedSigner {
    /// Prepares a private key or a secret.
    ///
    /// # Errors
    /// [`SignError`] if the key does not fit the algorithm.
    pub(in crate::token) fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Self, SignError> {
        (provider().signer_factory)(&algorithm.into(), key).map_err(SignError::new)?;
        Ok(Self(algorithm, key.clone()))
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`SignError`] if the backend fails.
    pub(in crate::token) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signer = (provider().signer_factory)(&self.0.into(), &self.1).map_err(SignError::new)?;
        signer.try_sign(message).map_err(SignError::new)
    }
}

fn rsa_key(n: &[u8], e: &[u8]) -> Option<RsaPublicKey> {
    RsaPublicKey::new(BigUint::from_bytes_be(n), BigUint::from_bytes_be(e)).ok()
}
