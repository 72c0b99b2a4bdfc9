//! A ring made ready: headers written once, keys prepared once.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Algorithm, Key, KeyRing};
use crate::{
    clock::Timestamp,
    token::crypto::{PreparedKey, PreparedSigner, SignError},
};

/// Which of the two kinds of token a ring is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Access,
    Refresh,
}

impl KeyKind {
    /// The `typ` of the kind's header: RFC 9068 §2.1 for access tokens, our own for refresh tokens.
    const fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "rt+jwt",
        }
    }
}

/// The keys of one kind of token: one signs, all verify.
pub(crate) struct Keys {
    signing: PreparedSigner,
    algorithm: Algorithm,
    signing_header: String,
    verifying: Vec<VerifyingKey>,
}

/// A key and the one header segment that tokens under it have, byte for byte.
///
/// Comparing the segment picks key and algorithm at once: other algorithms, `kid` injection, `jku`, `crit` and
/// duplicate names cannot even be said.
pub(in crate::token) struct VerifyingKey {
    header: String,
    key: Arc<PreparedKey>,
    /// From when on nothing that it signed can still be in time.
    until: Option<Timestamp>,
    jwk: Option<String>,
}

impl VerifyingKey {
    fn new(kind: KeyKind, key: &Key, until: Option<Timestamp>) -> Self {
        Self { header: header(kind, key), key: key.prepared(), until, jwk: key.public_jwk() }
    }

    /// From when on the key no longer counts.
    pub(in crate::token) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    fn counts(&self, now: Timestamp) -> bool {
        counts(self.until, now)
    }

    pub(in crate::token) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify(message, signature)
    }
}

impl Keys {
    /// Prepares a ring whose retired keys verify for `longest` after their retirement; nothing where its current key
    /// cannot sign.
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

    /// The token of these claims: header, payload and signature.
    pub(in crate::token) fn sign(&self, payload: &[u8]) -> Result<String, SignError> {
        // With room for the longest signature but those of RSA, which take long enough anyway.
        let mut token = String::with_capacity(self.signing_header.len() + payload.len() * 4 / 3 + 96);
        token.push_str(&self.signing_header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signing.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The length of the header segment of what is signed.
    pub(in crate::token) fn header_chars(&self) -> usize {
        self.signing_header.len()
    }

    /// The key whose tokens have this header, if it still counts.
    pub(in crate::token) fn key_of(&self, header: &[u8], now: Timestamp) -> Option<&VerifyingKey> {
        self.verifying.iter().find(|key| key.header.as_bytes() == header).filter(|key| key.counts(now))
    }

    /// Whether a check of the current key's signature is worth remembering.
    pub(crate) fn is_asymmetric(&self) -> bool {
        self.algorithm.is_asymmetric()
    }

    /// The public keys that count now, as a JWK set (RFC 7517 §5); secrets are not in it.
    pub(crate) fn jwks(&self, now: Timestamp) -> String {
        let keys: Vec<&str> =
            self.verifying.iter().filter(|key| key.counts(now)).filter_map(|key| key.jwk.as_deref()).collect();
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

/// Whether a key that counts until then counts now.
pub(in crate::token) fn counts(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}

/// The header is wire format: tokens of the release before must verify after a rolling deploy. A golden test holds it.
fn header(kind: KeyKind, key: &Key) -> String {
    let (algorithm, typ, kid) = (key.algorithm(), kind.typ(), key.kid());
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"{typ}","kid":"{kid}"}}"#))
}
