//! Another issuer's JWK set.

use serde::Deserialize;
use serde_json::Value;

use crate::token::keys::{Algorithm, Key};

/// More than any issuer publishes; a document beyond is no set of keys.
pub(super) const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 64;

/// The keys of a set that we can verify with.
#[derive(Debug)]
pub(crate) struct ForeignKeys(Vec<(Option<String>, Key)>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl ForeignKeys {
    /// Reads a set (RFC 7517 §5). Keys for other purposes, of other kinds and weak ones are left out, as the RFC says;
    /// secrets and private keys are a fault of the issuer's that nobody should build on.
    ///
    /// # Errors
    /// A sentence with the mend.
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
                return Err("the JWK set has a secret or a private key in it, which is everybody's now: \
                     have the issuer replace that key"
                    .to_owned());
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
                 Ed25519, P-256 and RSA of 2048 to 4096 bits (EdDSA, ES256, RS256, PS256) are taken"
                .to_owned());
        }
        Ok(Self(keys))
    }

    /// The key of this name and algorithm. A token without a name may have the only key of its algorithm.
    pub(crate) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Option<&Key> {
        let mut fitting = self
            .0
            .iter()
            .filter(|(own, key)| key.algorithm() == algorithm && kid.is_none_or(|kid| own.as_deref() == Some(kid)));
        let (_, key) = fitting.next()?;
        fitting.next().is_none().then_some(key)
    }
}
