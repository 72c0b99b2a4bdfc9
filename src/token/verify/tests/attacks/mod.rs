//! The attack table: tokens that must be refused. They are made for each algorithm from a valid
//! token.
//!
//! Where an attacker could have a valid signature, the attack has one, made with the genuine key.
//! So the rule under test refuses the token, and not its signature.

mod claims;
mod header;
mod shape;
mod vectors;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{claims as good_claims, *};
use crate::token::{crypto, keys::Algorithm};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A verifier with one key, which the attacker has as well.
struct Target {
    algorithm: Algorithm,
    key: Key,
    keys: Keys,
    verifier: Verifier,
    header: String,
    payload: String,
    signature: String,
    token: String,
}

/// The name of an attack, and its token.
type Attack = (String, String);

impl Target {
    fn all() -> impl Iterator<Item = Self> {
        Algorithm::ALL.into_iter().map(Self::new)
    }

    fn new(algorithm: Algorithm) -> Self {
        let key = tests::key(algorithm);
        let keys = tests::keys(KeyKind::Access, &KeyRing::new(key.clone()));
        let token = keys.sign(good_claims(&[]).as_bytes()).unwrap();
        let [header, payload, signature] = token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        let mut verifier = verifier();
        // Duplicate custom claims must be refused too.
        verifier.profile.custom_claims = true;
        // The genuine token is in the cache before the attacks.
        verifier.cache = TokenCache::new(1 << 20);
        Self { algorithm, key, keys, verifier, header, payload, signature, token }
    }

    fn verdict(&self, token: &str) -> Option<TokenFault> {
        self.verifier.access(&self.keys, token.as_bytes(), NOW, Expiry::Checked).err()
    }

    /// Checks that every one of these is refused. Returns their number.
    #[track_caller]
    fn refuses(&self, attacks: impl IntoIterator<Item = Attack>) -> usize {
        assert_eq!(self.verdict(&self.token), None, "{}: the genuine token", self.algorithm);
        let mut count = 0;
        for (what, token) in attacks {
            assert_eq!(self.verdict(&token), Some(TokenFault::Invalid), "{}: {what}", self.algorithm);
            count += 1;
        }
        count
    }

    /// Signs a message with the genuine key.
    fn sign(&self, message: &str) -> String {
        let signature = crypto::sign(self.algorithm, self.key.signing().unwrap(), message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature))
    }

    /// Returns a token with the genuine payload and another header.
    fn with_header(&self, header: &str) -> String {
        self.sign(&format!("{}.{}", encode(header), self.payload))
    }

    /// Returns a token with the genuine header and another payload.
    fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        self.sign(&format!("{}.{}", self.header, encode(payload)))
    }

    /// Returns the genuine header as text.
    fn header_text(&self) -> String {
        header_of(self.algorithm.name(), "at+jwt", self.key.kid())
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn header_of(alg: &str, typ: &str, kid: &str) -> String {
    format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#)
}
