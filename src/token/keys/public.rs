//! The public halves of keys: what may be published, how it is named, and which are refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Algorithm, der};
use crate::token::crypto;

/// A public key in its numbers, big-endian and without leading zeros where their length is not fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::token) enum PublicKey {
    Ed25519 { x: Vec<u8> },
    P256 { x: Vec<u8>, y: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// Below, factoring is within reach (NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2048;
/// Beyond, tokens outgrow cookies and signing takes many milliseconds, for nothing.
const MAX_RSA_BITS: usize = 4096;

impl PublicKey {
    /// The algorithm that follows from the key.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519 { .. } => Algorithm::EdDSA,
            Self::P256 { .. } => Algorithm::ES256,
            Self::Rsa { .. } => Algorithm::RS256,
        }
    }

    /// An uncompressed point (SEC 1 §2.3.3).
    pub(in crate::token) fn sec1_point(&self) -> Option<Vec<u8>> {
        let Self::P256 { x, y } = self else { return None };
        Some([&[4], x.as_slice(), y].concat())
    }

    /// What the numbers alone say against the key. Whether a point is on its curve, the backend says.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Ed25519 { x } if is_small_order(x) => Some(
                "is an Ed25519 key of small order, under which anybody can sign: \
                 make one with `openssl genpkey -algorithm ed25519`"
                    .to_owned(),
            ),
            Self::Rsa { n, e } => {
                const MEND: &str = "make one with `openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:3072`";
                let bits = der::bits(n);
                if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                    return Some(format!(
                        "is an RSA key of {bits} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are taken: {MEND}"
                    ));
                }
                // FIPS 186-5 §5.4: odd, above 2^16 and below 2^256.
                let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
                let exponent_fits = (17..=256).contains(&der::bits(e)) && odd(e);
                (!exponent_fits || !odd(n)).then(|| format!("is an RSA key with an unsafe exponent or modulus: {MEND}"))
            }
            _ => None,
        }
    }

    /// The members that the thumbprint is made of, in its order (RFC 7638 §3.2, RFC 8037 §2).
    fn required_members(&self) -> String {
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        match self {
            Self::Ed25519 { x } => format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, encode(x)),
            Self::P256 { x, y } => format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, encode(x), encode(y)),
            Self::Rsa { n, e } => format!(r#""e":"{}","kty":"RSA","n":"{}""#, encode(e), encode(n)),
        }
    }

    /// The RFC 7638 thumbprint with SHA-256.
    pub(super) fn thumbprint(&self) -> Option<String> {
        let json = format!("{{{}}}", self.required_members());
        crypto::sha256(json.as_bytes()).map(|digest| URL_SAFE_NO_PAD.encode(digest))
    }

    /// The key for a JWK set: written member by member, so that no private one can slip in.
    pub(super) fn jwk(&self, algorithm: Algorithm, kid: &str) -> String {
        format!(r#"{{{},"use":"sig","alg":"{algorithm}","kid":"{kid}"}}"#, self.required_members())
    }
}

/// Whether the point is one of the eight of small order, in any encoding; under those one signature fits every message.
fn is_small_order(x: &[u8]) -> bool {
    let Some((last, head)) = x.split_last() else { return true };
    // The sign bit says which of two points with one y it is; both are of the same order.
    let y = [head, &[last & 0x7f]].concat();
    SMALL_ORDER.iter().any(|point| point.as_slice() == y)
}

/// The y coordinates of the points of small order: 0, 1 and −1 (both also as themselves plus p), and the two of order 8.
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
    fn the_thumbprint_is_the_one_of_the_rfcs() {
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
