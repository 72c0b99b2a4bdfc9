//! The backend aws-lc-rs.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
        RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use jsonwebtoken::{
    EncodingKey,
    crypto::{CryptoProvider, aws_lc},
};

use super::error::SignError;
use crate::token::keys::{Algorithm, PublicKey};

pub(super) fn provider() -> &'static CryptoProvider {
    &aws_lc::DEFAULT_PROVIDER
}

pub(super) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// A key that was prepared once, so that a request pays only for the check.
#[expect(clippy::large_enum_variant, reason = "there are a few of them, each behind an `Arc`")]
pub(in crate::token) enum PreparedKey {
    Hmac(hmac::Key),
    Public(ParsedPublicKey),
}

impl PreparedKey {
    /// Prepares a secret. Returns `None` if the algorithm is not HMAC.
    pub(in crate::token) fn hmac(algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        let algorithm = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            _ => return None,
        };
        Some(Self::Hmac(hmac::Key::new(algorithm, secret)))
    }

    /// Prepares a public key. Returns `None` if the key is invalid or does not fit the algorithm.
    pub(in crate::token) fn public(algorithm: Algorithm, key: &PublicKey) -> Option<Self> {
        let parsed = match (algorithm, key) {
            (Algorithm::EdDSA, PublicKey::Ed25519 { x }) => ParsedPublicKey::new(&ED25519, x),
            (Algorithm::ES256, PublicKey::P256 { .. }) => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.sec1_point()?)
            }
            (Algorithm::RS256, PublicKey::Rsa { n, e }) => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            }
            (Algorithm::PS256, PublicKey::Rsa { n, e }) => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256)
            }
            _ => return None,
        };
        parsed.ok().map(Self::Public)
    }

    /// Returns whether this key made the signature of the message. MACs are compared in constant
    /// time.
    pub(in crate::token) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// A private key or secret that was prepared once. To parse an RSA key costs as much as to sign
/// with it.
#[expect(clippy::large_enum_variant, reason = "there is one for each kind of token")]
pub(in crate::token) enum PreparedSigner {
    Hmac(hmac::Key),
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl PreparedSigner {
    /// Prepares a private key or a secret.
    ///
    /// # Errors
    /// [`SignError`] if the key does not fit the algorithm.
    pub(in crate::token) fn new(algorithm: Algorithm, key: &EncodingKey) -> Result<Self, SignError> {
        let bytes = key.as_bytes();
        let rsa = || RsaKeyPair::from_der(bytes).map_err(SignError::new);
        Ok(match algorithm {
            Algorithm::HS256 => Self::Hmac(hmac::Key::new(hmac::HMAC_SHA256, bytes)),
            Algorithm::HS384 => Self::Hmac(hmac::Key::new(hmac::HMAC_SHA384, bytes)),
            Algorithm::HS512 => Self::Hmac(hmac::Key::new(hmac::HMAC_SHA512, bytes)),
            Algorithm::EdDSA => Self::Ed25519(Ed25519KeyPair::from_pkcs8(bytes).map_err(SignError::new)?),
            Algorithm::ES256 => {
                let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes);
                Self::P256(key.map_err(SignError::new)?)
            }
            Algorithm::RS256 => Self::Rsa(rsa()?, &RSA_PKCS1_SHA256),
            Algorithm::PS256 => Self::Rsa(rsa()?, &RSA_PSS_SHA256),
        })
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`SignError`] if the backend fails.
    pub(in crate::token) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Self::P256(key) => {
                let signature = key.sign(&SystemRandom::new(), message).map_err(SignError::new)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), message, &mut signature).map_err(SignError::new)?;
                Ok(signature)
            }
        }
    }
}
