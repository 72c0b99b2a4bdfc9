//! [`PublicKey`]: the public half of a key, its name and its JWK, and the rules for weak keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Algorithm, der};
use crate::token::crypto;

/// The numbers of a public key, big-endian. Those of RSA have no leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::token) enum PublicKey {
    Ed25519 { x: Vec<u8> },
    P256 { x: Vec<u8>, y: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// A shorter modulus can be factored (NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2048;
/// A longer modulus makes tokens too long for cookies and signing slow, without a use.
const MAX_RSA_BITS: usize = 4096;

impl PublicKey {
    /// Returns the usual algorithm for this type of key.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519 { .. } => Algorithm::EdDSA,
            Self::P256 { .. } => Algorithm::ES256,
            Self::Rsa { .. } => Algorithm::RS256,
        }
    }

    /// Returns the uncompressed point of a P-256 key (SEC 1 §2.3.3).
    pub(in crate::token) fn sec1_point(&self) -> Option<Vec<u8>> {
        let Self::P256 { x, y } = self else { return None };
        Some([&[4], x.as_slice(), y].concat())
    }

    /// Returns why the key is weak, if it is. The backend checks that a point is on its curve.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Ed25519 { x } if is_small_order(x) => Some(
                "is an Ed25519 key of small order, which verifies forged signatures: \
                 generate one with `openssl genpkey -algorithm ed25519`"
                    .to_owned(),
            ),
            Self::Rsa { n, e } => {
                const FIX: &str = "generate one with `openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:3072`";
                let bits = der::bits(n);
                if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                    return Some(format!(
                        "is an RSA key of {bits} bits and needs {MIN_RSA_BITS} to {MAX_RSA_BITS}: {FIX}"
                    ));
                }
                // FIPS 186-5 §5.4: the exponent is odd, above 2^16 and below 2^256.
                let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
                let exponent_fits = (17..=256).contains(&der::bits(e)) && odd(e);
                (!exponent_fits || !odd(n)).then(|| format!("is an RSA key with an unsafe exponent or modulus: {FIX}"))
            }
            _ => None,
        }
    }

    /// Writes the members of the thumbprint in its order (RFC 7638 §3.2, RFC 8037 §2).
    fn required_members(&self) -> String {
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        match self {
            Self::Ed25519 { x } => format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, encode(x)),
            Self::P256 { x, y } => format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, encode(x), encode(y)),
            Self::Rsa { n, e } => format!(r#""e":"{}","kty":"RSA","n":"{}""#, encode(e), encode(n)),
        }
    }

    /// Returns the RFC 7638 thumbprint with SHA-256.
    pub(super) fn thumbprint(&self) -> Option<String> {
        let json = format!("{{{}}}", self.required_members());
        crypto::sha256(json.as_bytes()).map(|digest| URL_SAFE_NO_PAD.encode(digest))
    }

    /// Returns the key for a JWK set. Each member is written by name, so that no private one can
    /// get into it.
    pub(super) fn jwk(&self, algorithm: Algorithm, kid: &str) -> String {
        format!(r#"{{{},"use":"sig","alg":"{algorithm}","kid":"{kid}"}}"#, self.required_members())
    }
}

/// Returns whether the point is one of the eight of small order, in any encoding. With such a key,
/// one signature fits every message.
fn is_small_order(x: &[u8]) -> bool {
    let Some((last, head)) = x.split_last() else { return true };
    // The sign bit selects one of two points with the same y. Both have the same order.
    let y = [head, &[last & 0x7f]].concat();
    SMALL_ORDER.iter().any(|point| point.as_slice() == y)
}

/// The y coordinates of the points of small order: 0, 1 and −1, the two of order 8, and p and p +
/// 1, which are other encodings of 0 and 1.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    little_endian(1, 0, 0),
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\
       \x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\
       \x92\xac\x03\x7a",
    little_endian(0xec, 0xff, 0x7f),
    little_endian(0xed, 0xff, 0x7f),
    little_endian(0xee, 0xff, 0x7f),
];

const fn little_endian(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_rfcs() {
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                 FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgn\
                 Yb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqb\
                 w0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let rsa = PublicKey::Rsa { n: decode(n), e: decode("AQAB") };
        assert_eq!(rsa.thumbprint().unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(rsa.problem(), None);
        // RFC 8037 §A.3.
        let okp = PublicKey::Ed25519 { x: decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo") };
        assert_eq!(okp.thumbprint().unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(okp.problem(), None);
    }

    #[test]
    fn points_of_small_order_are_found_with_either_sign() {
        for point in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut x = point.to_vec();
                x[31] |= sign;
                #[cfg(feature = "rust_crypto")]
                {
                    let key = ed25519_dalek::VerifyingKey::from_bytes(x.as_slice().try_into().unwrap());
                    assert!(key.is_err() || key.is_ok_and(|key| key.is_weak()), "{x:?}");
                }
                assert!(PublicKey::Ed25519 { x }.problem().is_some());
            }
        }
    }

    #[test]
    fn rsa_keys_are_refused_by_size_exponent_and_parity() {
        let key = |bits: usize, e: &[u8], last: u8| {
            let mut n = vec![0xff; bits / 8];
            n[bits / 8 - 1] = last;
            PublicKey::Rsa { n, e: e.to_vec() }.problem()
        };
        assert_eq!(key(2048, &[1, 0, 1], 1), None);
        for bits in [512, 1024, 2040, 4104, 16384] {
            assert!(key(bits, &[1, 0, 1], 1).is_some_and(|problem| problem.contains("rsa_keygen_bits")), "{bits}");
        }
        for exponent in [&[][..], &[1], &[3], &[1, 0, 0], &[0xff; 33]] {
            assert!(key(2048, exponent, 1).is_some(), "{exponent:?}");
        }
        assert!(key(2048, &[1, 0, 1], 2).is_some());
    }
}
