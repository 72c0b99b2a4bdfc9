//! Stand-ins without a backend. The crate does not compile without one, and these keep
//! `compile_error!` the only message.

use jsonwebtoken::{EncodingKey, crypto::CryptoProvider};

use super::error::SignError;
use crate::token::keys::{Algorithm, PublicKey};

pub(super) fn provider() -> &'static CryptoProvider {
    loop {}
}

pub(super) fn hmac_sha256(_: &[u8], _: &[u8]) -> Vec<u8> {
    Vec::new()
}

pub(in crate::token) struct PreparedKey;

impl PreparedKey {
    pub(in crate::token) fn hmac(_: Algorithm, _: &[u8]) -> Option<Self> {
        None
    }

    pub(in crate::token) fn public(_: Algorithm, _: &PublicKey) -> Option<Self> {
        None
    }

    pub(in crate::token) fn verify(&self, _: &[u8], _: &[u8]) -> bool {
        false
    }
}

pub(in crate::token) struct PreparedSigner;

impl PreparedSigner {
    pub(in crate::token) fn new(_: Algorithm, _: &EncodingKey) -> Result<Self, SignError> {
        Ok(Self)
    }

    pub(in crate::token) fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(Vec::new())
    }
}
