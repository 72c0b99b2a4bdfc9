use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);

const ED25519: &str = include_str!("../../../tests/keys/ed25519.pem");
const P256: &str = include_str!("../../../tests/keys/p256.pem");
const RSA: &str = include_str!("../../../tests/keys/rsa2048.pem");

/// A fixed key of each algorithm.
pub(in crate::token) fn key(algorithm: Algorithm) -> Key {
    let key = match algorithm {
        Algorithm::EdDSA => Key::from_pem(ED25519),
        Algorithm::ES256 => Key::from_pem(P256),
        Algorithm::RS256 | Algorithm::PS256 => Key::from_pem(RSA),
        _ => Key::from_secret("A0b1C2d3E4f5G6h7I8j9K0l1M2n3O4p5Q6r7S8t9U0v1W2x3Y4z5a6B7c8D9e0F1"),
    };
    key.unwrap().with_algorithm(algorithm).unwrap()
}

pub(in crate::token) fn keys(kind: KeyKind, ring: &KeyRing) -> Keys {
    Keys::prepare(kind, ring, HOUR).unwrap()
}

fn refusal(key: Result<Key, KeyError>) -> String {
    key.unwrap_err().to_string()
}

fn decoded(segment: &str) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap()
}

fn header(kind: KeyKind, key: Key) -> String {
    decoded(keys(kind, &KeyRing::new(key)).sign(b"{}").unwrap().split('.').next().unwrap())
}

#[test]
fn the_headers_that_we_issue_never_change() {
    let old = Key::from_secret("0123456789abcdef0123456789ABCDEF").unwrap();
    assert_eq!(header(KeyKind::Access, old.clone()), r#"{"alg":"HS256","typ":"at+jwt","kid":"9MxY3i9HJ9Zl"}"#);
    assert_eq!(header(KeyKind::Refresh, old), r#"{"alg":"HS256","typ":"rt+jwt","kid":"9MxY3i9HJ9Zl"}"#);
    let golden = [
        (Algorithm::HS256, "gv25USGXcfhS"),
        (Algorithm::HS384, "gv25USGXcfhS"),
        (Algorithm::HS512, "gv25USGXcfhS"),
        (Algorithm::EdDSA, "nwTVWU9BapNoKYHc_OCjqqAlpsz7a43pRD3pxpBk3VM"),
        (Algorithm::ES256, "2-oeWWmPbZZh9CI4szJzo6u1nXectIFL3M4J3Ktdsm4"),
        (Algorithm::RS256, "Ly3HjXbHn_7V5HZxZ2by4alMm9jAtjmTX3yp0U9PzAI"),
        (Algorithm::PS256, "Ly3HjXbHn_7V5HZxZ2by4alMm9jAtjmTX3yp0U9PzAI"),
    ];
    assert_eq!(golden.map(|row| row.0), Algorithm::ALL);
    for (algorithm, kid) in golden {
        for (kind, typ) in [(KeyKind::Access, "at+jwt"), (KeyKind::Refresh, "rt+jwt")] {
            let expected = format!(r#"{{"alg":"{algorithm}","typ":"{typ}","kid":"{kid}"}}"#);
            assert_eq!(header(kind, key(algorithm)), expected);
        }
    }
}

#[test]
fn every_algorithm_verifies_its_own_signatures_alone() {
    for algorithm in Algorithm::ALL {
        let ring = keys(KeyKind::Access, &KeyRing::new(key(algorithm)));
        let token = ring.sign(b"{}").unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let own = ring.key_of(message.split('.').next().unwrap().as_bytes(), NOW).unwrap();
        assert!(own.verify(message.as_bytes(), &signature), "{algorithm}");
        assert!(!own.verify(b"another message", &signature), "{algorithm}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(!key(other).prepared().verify(message.as_bytes(), &signature), "{algorithm} under {other}");
        }
        for length in [0, 1, signature.len() - 1] {
            assert!(!own.verify(message.as_bytes(), &signature[..length]), "{algorithm}");
        }
        assert!(!own.verify(message.as_bytes(), &vec![0; signature.len()]), "{algorithm}");
    }
}

#[test]
fn the_type_of_a_key_decides_its_algorithm() {
    for (pem, algorithm) in [(ED25519, Algorithm::EdDSA), (P256, Algorithm::ES256), (RSA, Algorithm::RS256)] {
        let private = Key::from_pem(pem).unwrap();
        assert_eq!((private.algorithm(), private.is_private()), (algorithm, true));
        let again = Key::from_pem(private.private_pem().unwrap().expose()).unwrap();
        assert_eq!((again.kid(), again.is_private()), (private.kid(), true));
    }
    let public = [
        (include_str!("../../../tests/keys/ed25519.pub.pem"), ED25519),
        (include_str!("../../../tests/keys/p256.pub.pem"), P256),
        (include_str!("../../../tests/keys/rsa2048.pub.pem"), RSA),
        (RSA, include_str!("../../../tests/keys/rsa2048.pkcs1.pem")),
    ];
    for (pem, private) in public {
        let (one, other) = (Key::from_pem(pem).unwrap(), Key::from_pem(private).unwrap());
        assert_eq!(one.public_jwk(), other.public_jwk());
        assert_eq!(one.is_private(), pem == RSA);
    }
}

#[test]
fn pem_that_is_refused_says_how_to_fix_it() {
    let table = [
        (include_str!("../../../tests/keys/refused-rsa1024.pem"), "1024 bits"),
        (include_str!("../../../tests/keys/refused-p384.pem"), "P-256"),
        (include_str!("../../../tests/keys/refused-sec1.pem"), "openssl pkcs8 -topk8"),
        (include_str!("../../../tests/keys/refused-encrypted.pem"), "decrypt it"),
        (include_str!("../../../tests/keys/refused-certificate.pem"), "openssl x509 -pubkey"),
        (include_str!("../../../tests/keys/refused-x25519.pem"), "openssl genpkey"),
        ("", "is not PEM"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "openssl genpkey"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "not of a key"),
    ];
    for (pem, fix) in table {
        let said = refusal(Key::from_pem(pem));
        assert!(said.contains(fix), "{fix}: {said}");
    }
    assert!(refusal(Key::from_pem([ED25519, P256].concat())).contains("more than one"));
    assert!(refusal(Key::from_pem([0xff, 0xfe])).contains("is not PEM"));
    assert!(refusal(Key::from_file("no/such/file.pem")).contains("no/such/file.pem: the key file cannot be read"));
    assert!(Key::from_file(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/ed25519.pem")).is_ok());
}

/// Reads the example keys of RFC 8037 §A.1 and RFC 7517 §A.2 (the EC key), and an RSA key.
#[test]
fn private_and_public_jwks_are_read() {
    let okp = json!({
        "kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    });
    let ec = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "kid": "1",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"
    });
    let oct = json!({ "kty": "oct", "alg": "HS512", "k": URL_SAFE_NO_PAD.encode([7, 8, 9, 10, 200].repeat(13)) });
    let key = |jwk: &Value| Key::from_jwk(&jwk.to_string());
    assert_eq!(key(&okp).unwrap().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(key(&ec).unwrap().algorithm(), Algorithm::ES256);
    assert!(refusal(key(&oct)).contains("openssl rand"), "a word of five bytes, repeated");
    for (jwk, other) in [(&okp, &ec), (&ec, &okp)] {
        let mut public = jwk.clone();
        public.as_object_mut().unwrap().remove("d");
        assert!(!key(&public).unwrap().is_private());
        assert_eq!(key(&public).unwrap().kid(), key(jwk).unwrap().kid());
        let mut wrong = jwk.clone();
        wrong["d"] = other["d"].clone();
        assert!(refusal(key(&wrong)).contains("belong together"));
        wrong["d"] = json!("AAAA");
        assert!(refusal(key(&wrong)).contains("32 bytes"));
        for (name, value) in
            [("alg", json!("RS256")), ("alg", json!("none")), ("alg", json!("ES384")), ("use", json!("enc"))]
        {
            let mut wrong = jwk.clone();
            wrong[name] = value;
            assert!(key(&wrong).is_err(), "{wrong}");
        }
    }
    let mut rsa: Value = serde_json::from_str(&Key::from_pem(RSA).unwrap().public_jwk().unwrap()).unwrap();
    rsa["alg"] = json!("PS256");
    assert_eq!(key(&rsa).unwrap().algorithm(), Algorithm::PS256);
    let curve = json!({ "kty": "OKP", "crv": "Ed448", "x": "AAAA" });
    assert!(refusal(key(&curve)).contains("curve"));
    assert!(refusal(Key::from_jwk("[]")).contains("is not a JWK"));
    assert!(refusal(Key::from_jwk(r#"{"kty":"oct","k":"canary-1","k":"canary-2"}"#)).contains("column"));
    let off_curve = json!({ "kty": "EC", "crv": "P-256", "x": ec["x"], "y": ec["x"] });
    assert!(refusal(key(&off_curve)).contains("not valid for ES256"));
}

#[test]
fn a_private_rsa_key_is_read_from_a_jwk() {
    let encoding = jsonwebtoken::EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
    let numbers = der::integers(encoding.as_bytes()).unwrap();
    let names = ["version", "n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut jwk = json!({ "kty": "RSA", "alg": "PS256" });
    for (name, number) in names.iter().zip(&numbers).skip(1) {
        jwk[name] = json!(URL_SAFE_NO_PAD.encode(number));
    }
    let key = Key::from_jwk(&jwk.to_string()).unwrap();
    assert_eq!((key.algorithm(), key.is_private()), (Algorithm::PS256, true));
    assert_eq!(key.kid(), Key::from_pem(RSA).unwrap().kid());
    jwk["qi"] = jwk["dp"].clone();
    // A backend may fix this number, refuse the key, or not use the number. No key may sign
    // wrongly.
    drop(Key::from_jwk(&jwk.to_string()));
    jwk["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 256]));
    assert!(Key::from_jwk(&jwk.to_string()).is_err());
    jwk["oth"] = json!([]);
    assert!(refusal(Key::from_jwk(&jwk.to_string())).contains("two primes"));
}

#[test]
fn a_key_refuses_an_algorithm_of_another_family() {
    let families: [&[Algorithm]; 4] = [
        &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512],
        &[Algorithm::EdDSA],
        &[Algorithm::ES256],
        &[Algorithm::RS256, Algorithm::PS256],
    ];
    for family in families {
        for own in family {
            for other in Algorithm::ALL {
                assert_eq!(key(*own).with_algorithm(other).is_ok(), family.contains(&other), "{own} as {other}");
            }
        }
    }
    let short = Key::from_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe").unwrap();
    assert!(refusal(short.with_algorithm(Algorithm::HS384)).contains("48"));
}

#[test]
fn a_retired_key_verifies_until_its_last_token_has_expired() {
    let [old, new, next] = [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256].map(key);
    let token = keys(KeyKind::Access, &KeyRing::new(old.clone())).sign(b"{}").unwrap();
    let header = token.split('.').next().unwrap().as_bytes();
    let ring = keys(KeyKind::Access, &KeyRing::new(new).with_next(next).with_retired(old.clone(), NOW));
    let last = NOW.plus(HOUR).minus(Duration::from_millis(1));
    for (moment, counts) in [(NOW.minus(HOUR), true), (last, true), (NOW.plus(HOUR), false)] {
        assert_eq!(ring.key_of(header, moment).is_some(), counts, "{moment}");
        assert_eq!(ring.jwks(moment).contains(old.kid()), counts, "{moment}");
    }
    assert!(ring.key_of(header, Timestamp::from_millis(i64::MIN)).is_some());
    let undated = KeyRing::new(key(Algorithm::EdDSA)).with_retired_indefinitely(old);
    assert!(keys(KeyKind::Access, &undated).key_of(header, Timestamp::from_millis(i64::MAX)).is_some());
}

#[test]
fn the_published_set_has_no_private_part_of_a_key() {
    let ring = KeyRing::new(key(Algorithm::EdDSA))
        .with_next(key(Algorithm::ES256))
        .with_retired(key(Algorithm::RS256), NOW)
        .with_retired_indefinitely(key(Algorithm::HS256));
    let set: Value = serde_json::from_str(&keys(KeyKind::Access, &ring).jwks(NOW)).unwrap();
    let published = set["keys"].as_array().unwrap();
    assert_eq!(published.len(), 3, "the current, the next and the retired one");
    for jwk in published {
        let names: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(names.iter().all(|name| ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"].contains(name)));
        let again = Key::from_jwk(&jwk.to_string()).unwrap();
        assert_eq!(again.kid(), jwk["kid"]);
        assert_eq!(again.algorithm().name(), jwk["alg"]);
    }
    let secret = keys(KeyKind::Access, &KeyRing::new(key(Algorithm::HS512)));
    assert_eq!(secret.jwks(NOW), r#"{"keys":[]}"#);
}

#[test]
fn generated_keys_differ_and_can_be_stored() {
    let [one, other] = [Key::generate_ed25519().unwrap(), Key::generate_ed25519().unwrap()];
    assert_ne!(one.kid(), other.kid());
    let pem = one.private_pem().unwrap();
    assert_eq!(Key::from_pem(pem.expose()).unwrap().kid(), one.kid());
    assert!(pem.expose().lines().all(|line| line.len() <= 64));
}

#[test]
fn no_debug_output_shows_a_key() {
    let secret = Key::from_secret("canary-canary-canary-0123456789ab").unwrap();
    let private = Key::from_pem(ED25519).unwrap();
    let body = ED25519.lines().nth(1).unwrap();
    let ring = KeyRing::new(private.clone()).with_retired_indefinitely(secret.clone());
    let shown =
        format!("{secret:?} {private:?} {ring:?} {:?} {:?}", private.private_pem(), keys(KeyKind::Access, &ring));
    assert!(!shown.contains("canary") && !shown.contains(body), "{shown}");
}
