//! [`Keys`]: a ring whose headers are written once and whose keys are prepared once.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Algorithm, Key, KeyRing};
use crate::{
    clock::Timestamp,
    token::crypto::{PreparedKey, PreparedSigner, SignError},
};

/// The two kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Access,
    Refresh,
}

impl KeyKind {
    /// Returns the `typ` of the header: that of RFC 9068 §2.1 for access tokens, our own for
    /// refresh tokens.
    const fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "rt+jwt",
        }
    }
}

/// The keys of one kind of token. One signs, all verify.
pub(crate) struct Keys {
    signing: PreparedSigner,
    algorithm: Algorithm,
    signing_header: String,
    verifying: Vec<VerifyingKey>,
}

/// A key and the one header segment of its tokens.
///
/// The segment of a token is compared byte for byte, which selects the key and the algorithm. So a
/// header with another algorithm, an injected `kid`, `jku`, `crit` or a duplicate name never
/// matches.
pub(in crate::token) struct VerifyingKey {
    header: String,
    key: Arc<PreparedKey>,
    /// When the last token that it signed has expired.
    until: Option<Timestamp>,
    jwk: Option<String>,
}

impl VerifyingKey {
    fn new(kind: KeyKind, key: &Key, until: Option<Timestamp>) -> Self {
        Self { header: header(kind, key), key: key.prepared(), until, jwk: key.public_jwk() }
    }

    /// Returns when the key stops verifying.
    pub(in crate::token) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    fn verifies_at(&self, now: Timestamp) -> bool {
        verifies_at(self.until, now)
    }

    pub(in crate::token) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify(message, signature)
    }
}

impl Keys {
    /// Prepares a ring. Its retired keys verify for `longest` after their retirement. Returns
    /// `None` if the current key cannot sign.
    pub(crate) fn prepare(kind: KeyKind, ring: &KeyRing, longest: Duration) -> Option<Self> {
        let mut verifying = vec![VerifyingKey::new(kind, &ring.current, None)];
        verifying.extend(ring.next.iter().map(|key| VerifyingKey::new(kind, key, None)));
        verifying.extend(
            ring.retired
                .iter()
                .map(|retired| VerifyingKey::new(kind, &retired.key, retired.at.map(|at| at.plus(longest)))),
        );
        Some(Self {
            signing: PreparedSigner::new(ring.current.algorithm(), ring.current.signing()?).ok()?,
            algorithm: ring.current.algorithm(),
            signing_header: header(kind, &ring.current),
            verifying,
        })
    }

    /// Signs a payload. Returns the token: header, payload and signature.
    pub(in crate::token) fn sign(&self, payload: &[u8]) -> Result<String, SignError> {
        // Enough for every signature except those of RSA, which are slow anyway.
        let mut token = String::with_capacity(self.signing_header.len() + payload.len() * 4 / 3 + 96);
        token.push_str(&self.signing_header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signing.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Returns the length of the header segment.
    pub(in crate::token) fn header_chars(&self) -> usize {
        self.signing_header.len()
    }

    /// Returns the key whose tokens have this header, if it still verifies.
    pub(in crate::token) fn key_of(&self, header: &[u8], now: Timestamp) -> Option<&VerifyingKey> {
        self.verifying.iter().find(|key| key.header.as_bytes() == header).filter(|key| key.verifies_at(now))
    }

    /// Returns whether the current key is asymmetric. Checking its signatures is slow then, so the
    /// results are cached.
    pub(crate) fn is_asymmetric(&self) -> bool {
        self.algorithm.is_asymmetric()
    }

    /// Returns the public keys that verify now as a JWK set (RFC 7517 §5), without secrets.
    pub(crate) fn jwks(&self, now: Timestamp) -> String {
        let keys: Vec<&str> =
            self.verifying.iter().filter(|key| key.verifies_at(now)).filter_map(|key| key.jwk.as_deref()).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("algorithm", &self.algorithm)
            .field("keys", &self.verifying.len())
            .finish_non_exhaustive()
    }
}

/// Returns whether a key that verifies until then verifies now.
pub(in crate::token) fn verifies_at(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}

/// Returns the header of a key's tokens. A test fixes its bytes, because nodes of two releases must
/// accept each other's tokens during a deployment.
fn header(kind: KeyKind, key: &Key) -> String {
    let (algorithm, typ, kid) = (key.algorithm(), kind.typ(), key.kid());
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"{typ}","kid":"{kid}"}}"#))
}
