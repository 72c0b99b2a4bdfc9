//! Keys: what signs, what still verifies, and which secrets are refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};

use super::backend::{self, PreparedKey, SignError};
use crate::secret::Secret;

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
pub(crate) struct KeyRing {
    signing: EncodingKey,
    algorithm: Algorithm,
    signing_header: String,
    verifying: Vec<VerifyingKey>,
}

/// A key and the one header segment that tokens under it have, byte for byte.
///
/// Comparing the segment picks key and algorithm at once: other algorithms, `kid` injection, `jku`, `crit` and
/// duplicate names cannot even be said.
pub(super) struct VerifyingKey {
    pub(super) header: String,
    pub(super) key: PreparedKey,
}

impl KeyRing {
    /// A ring of HS256 secrets: the first signs, the retired ones still verify.
    pub(crate) fn hmac(kind: KeyKind, current: &Secret<Vec<u8>>, retired: &[Secret<Vec<u8>>]) -> Self {
        let algorithm = Algorithm::HS256;
        let verifying: Vec<_> = std::iter::once(current)
            .chain(retired)
            .map(|secret| VerifyingKey {
                header: header(kind, algorithm, &hmac_key_id(secret)),
                key: PreparedKey::hmac_sha256(secret.expose()),
            })
            .collect();
        Self {
            signing: EncodingKey::from_secret(current.expose()),
            algorithm,
            signing_header: header(kind, algorithm, &hmac_key_id(current)),
            verifying,
        }
    }

    /// The token of these claims: header, payload and signature.
    pub(super) fn sign(&self, payload: &[u8]) -> Result<String, SignError> {
        let mut token = String::with_capacity(self.signing_header.len() + payload.len() * 4 / 3 + 64);
        token.push_str(&self.signing_header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = backend::sign(self.algorithm, &self.signing, token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    pub(super) fn key_of(&self, header: &[u8]) -> Option<&VerifyingKey> {
        self.verifying.iter().find(|key| key.header.as_bytes() == header)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing")
            .field("algorithm", &self.algorithm)
            .field("keys", &self.verifying.len())
            .finish_non_exhaustive()
    }
}

/// The header is wire format: tokens of the release before must verify after a rolling deploy. A golden test holds it.
fn header(kind: KeyKind, algorithm: Algorithm, kid: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm:?}","typ":"{}","kid":"{kid}"}}"#, kind.typ()))
}

/// A name for an HMAC key that every node with the secret finds by itself, and that tells nothing a token does not tell:
/// both are HMACs under the secret.
fn hmac_key_id(secret: &Secret<Vec<u8>>) -> String {
    let digest = backend::hmac_sha256(secret.expose(), b"portcullis key id");
    URL_SAFE_NO_PAD.encode(digest.get(..9).unwrap_or_default())
}

/// The least length of an HMAC secret: the output of its hash (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Says what is wrong with an HMAC secret and how to mend it.
pub(crate) fn secret_problem(secret: &[u8]) -> Option<String> {
    const MEND: &str = "draw one with `openssl rand -base64 48`";
    let folded: Vec<u8> =
        secret.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    if DEMO_SECRETS.iter().any(|demo| folded.starts_with(demo.as_bytes())) {
        return Some(format!("is a secret from a tutorial that everybody knows: {MEND}"));
    }
    if secret.len() < MIN_SECRET_BYTES {
        return Some(format!(
            "has {} bytes and needs at least {MIN_SECRET_BYTES} (RFC 7518 §3.2): {MEND}",
            secret.len()
        ));
    }
    // A short word repeated is a short word.
    if (1..=8).any(|period| secret.iter().zip(secret.iter().skip(period)).all(|(a, b)| a == b)) {
        return Some(format!("repeats itself: {MEND}"));
    }
    None
}

/// How demo secrets begin, without punctuation and in lower case, so that `your_super-Secret…` is found as well.
const DEMO_SECRETS: [&str; 14] = [
    "astringsecretatleast",
    "youraccesstoken",
    "yourrefreshtoken",
    "youraccesssecret",
    "yourrefreshsecret",
    "yoursupersecret",
    "yoursecret",
    "yourverysecret",
    "yourjwtsecret",
    "your256bitsecret",
    "your512bitsecret",
    "changeme",
    "supersecret",
    "mysupersecret",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_that_we_issue_are_wire_format_and_never_change() {
        let secret = Secret::from("0123456789abcdef0123456789ABCDEF");
        let kid = hmac_key_id(&secret);
        assert_eq!(kid, "9MxY3i9HJ9Zl");
        let decode = |header: String| String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(
            decode(header(KeyKind::Access, Algorithm::HS256, &kid)),
            r#"{"alg":"HS256","typ":"at+jwt","kid":"9MxY3i9HJ9Zl"}"#
        );
        assert_eq!(
            decode(header(KeyKind::Refresh, Algorithm::HS256, &kid)),
            r#"{"alg":"HS256","typ":"rt+jwt","kid":"9MxY3i9HJ9Zl"}"#
        );
    }

    #[test]
    fn weak_and_well_known_secrets_are_refused_with_the_mend() {
        for weak in [
            "",
            "short",
            "a-string-secret-at-least-256-bits-long",
            "your-super-secret-access-key-min-32-chars",
            "your_super_secret_access_key",
            "YOUR_SUPER_SECRET_REFRESH_KEY_1234567890",
            "your-256-bit-secret-your-256-bit-secret",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "secret1secret1secret1secret1secret1secret1",
        ] {
            let problem = secret_problem(weak.as_bytes());
            assert!(problem.as_ref().is_some_and(|text| text.contains("openssl rand")), "{weak:?}: {problem:?}");
        }
        assert_eq!(secret_problem(&crate::random::bytes::<32>().unwrap()), None);
    }

    #[test]
    fn keys_are_not_printed() {
        let ring = KeyRing::hmac(KeyKind::Access, &Secret::from("canary-canary-canary-0123456789ab"), &[]);
        assert!(!format!("{ring:?}").contains("canary"));
    }
}
