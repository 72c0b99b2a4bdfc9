//! The one place that knows which cryptography is compiled in.
//!
//! `jsonwebtoken` picks its backend from a process-wide default and panics where it finds two or none. That default is
//! never asked here: signing takes the factory of a named provider, verification a key that was prepared once.

use jsonwebtoken::{Algorithm, EncodingKey, crypto::CryptoProvider};

#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
compile_error!("portcullis needs a crypto backend: enable the feature `aws_lc_rs` (default) or `rust_crypto`");

#[cfg(feature = "aws_lc_rs")]
fn provider() -> &'static CryptoProvider {
    &jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER
}

#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
fn provider() -> &'static CryptoProvider {
    &jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER
}

// With neither, the error above is the only one to be read.
#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
fn provider() -> &'static CryptoProvider {
    loop {}
}

/// Signs `message`.
///
/// # Errors
/// What the backend says: a key that does not fit its algorithm.
pub(super) fn sign(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Result<Vec<u8>, SignError> {
    let signer = (provider().signer_factory)(&algorithm, key).map_err(|error| SignError(error.to_string()))?;
    signer.try_sign(message).map_err(|error| SignError(error.to_string()))
}

/// A signature could not be made.
#[derive(Debug, thiserror::Error)]
#[error("signing failed: {0}")]
pub(crate) struct SignError(String);

/// A key made ready once, so that a request pays for the comparison only.
pub(super) enum PreparedKey {
    Hmac(hmac_key::Key),
}

impl PreparedKey {
    pub(super) fn hmac_sha256(secret: &[u8]) -> Self {
        Self::Hmac(hmac_key::Key::new(secret))
    }

    /// Whether `signature` is this key's over `message`; compared in constant time.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => key.verify(message, signature),
        }
    }
}

#[cfg(feature = "aws_lc_rs")]
mod hmac_key {
    use aws_lc_rs::hmac;

    pub(in crate::token) struct Key(hmac::Key);

    impl Key {
        pub(in crate::token) fn new(secret: &[u8]) -> Self {
            Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
        }

        pub(in crate::token) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
            hmac::verify(&self.0, message, signature).is_ok()
        }

        pub(in crate::token) fn sign(&self, message: &[u8]) -> Vec<u8> {
            hmac::sign(&self.0, message).as_ref().to_vec()
        }
    }
}

#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
mod hmac_key {
    use hmac::{Hmac, Mac};
    use sha2::Sha256;

    pub(in crate::token) struct Key(Hmac<Sha256>);

    impl Key {
        pub(in crate::token) fn new(secret: &[u8]) -> Self {
            // HMAC takes keys of any length; the error is there for other MACs.
            Self(
                Hmac::new_from_slice(secret)
                    .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default())),
            )
        }

        pub(in crate::token) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
            self.0.clone().chain_update(message).verify_slice(signature).is_ok()
        }

        pub(in crate::token) fn sign(&self, message: &[u8]) -> Vec<u8> {
            self.0.clone().chain_update(message).finalize().into_bytes().to_vec()
        }
    }
}

#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod hmac_key {
    pub(in crate::token) struct Key;

    impl Key {
        pub(in crate::token) fn new(_: &[u8]) -> Self {
            Self
        }

        pub(in crate::token) fn verify(&self, _: &[u8], _: &[u8]) -> bool {
            false
        }

        pub(in crate::token) fn sign(&self, _: &[u8]) -> Vec<u8> {
            Vec::new()
        }
    }
}

/// HMAC-SHA256, for names that are derived from a key.
pub(super) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac_key::Key::new(secret).sign(message)
}
