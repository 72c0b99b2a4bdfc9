//! The JWK set of another issuer.

use std::sync::{Arc, PoisonError, RwLock};

use serde::Deserialize;
use serde_json::Value;

use crate::token::keys::{Algorithm, Key};

/// No issuer publishes a larger document. The limit bounds what a fetch reads.
pub(super) const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 64;

/// The keys in use, which a fetch or the app replaces.
#[derive(Debug)]
pub(super) struct HeldKeys(RwLock<Option<Arc<ForeignKeys>>>);

impl HeldKeys {
    /// Begins with these keys, or with none until the first fetch.
    pub(super) fn new(keys: Option<ForeignKeys>) -> Self {
        Self(RwLock::new(keys.map(Arc::new)))
    }

    pub(super) fn get(&self) -> Option<Arc<ForeignKeys>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, keys: ForeignKeys) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
    }
}

/// The usable keys of a set, each with its name (`kid`) in the set.
#[derive(Debug)]
pub(super) struct ForeignKeys(Vec<(Option<String>, Key)>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl ForeignKeys {
    /// Reads a set (RFC 7517 §5).
    ///
    /// Leaves out keys for other purposes, keys of other kinds and weak keys, as the RFC says.
    /// Refuses a set with a secret or a private key, because every reader of the set can sign with
    /// it.
    ///
    /// # Errors
    /// A sentence that names the problem and its fix.
    pub(super) fn parse(json: &str) -> Result<Self, String> {
        if json.len() > MAX_BYTES {
            return Err(format!("the JWK set has more than {MAX_BYTES} bytes"));
        }
        let set: Set = serde_json::from_str(json)
            .map_err(|error| format!("the JWK set is not one: see line {} column {}", error.line(), error.column()))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("the JWK set has more than {MAX_KEYS} keys"));
        }
        let mut keys = Vec::new();
        for jwk in &set.keys {
            if ["k", "d", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|name| jwk.get(name).is_some()) {
                return Err(
                    "the JWK set has a secret or a private key in it, which every reader of the set knows now: \
                     have the issuer replace that key"
                        .to_owned(),
                );
            }
            match Key::from_jwk(&jwk.to_string()) {
                Ok(key) => keys.push((jwk.get("kid").and_then(Value::as_str).map(str::to_owned), key)),
                Err(error) => {
                    tracing::warn!(target: "portcullis", %error, kid = ?jwk.get("kid"), "a key of the JWK set is left out");
                }
            }
        }
        if keys.is_empty() {
            return Err("the JWK set has no key to verify with: \
                 Ed25519, P-256 and RSA of 2048 to 4096 bits (EdDSA, ES256, RS256, PS256) are accepted"
                .to_owned());
        }
        Ok(Self(keys))
    }

    /// Returns the key of this name and algorithm. A token that names no key gets the only key of
    /// its algorithm, if there is only one.
    pub(super) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Option<&Key> {
        let mut fitting = self
            .0
            .iter()
            .filter(|(own, key)| key.algorithm() == algorithm && kid.is_none_or(|kid| own.as_deref() == Some(kid)));
        let (_, key) = fitting.next()?;
        fitting.next().is_none().then_some(key)
    }
}
