//! Access tokens under private keys: other services verify them with the published set. The tests
//! verify them with another library than the server's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::Verifier;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::forge::encode;
use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, REFRESH_SECRET, Server};

const JWKS: &str = "/auth/.well-known/jwks.json";

fn file(name: &str) -> String {
    format!("{}/tests/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

fn launch(example: &'static str, key: &str) -> Launch {
    Launch::new(example).without("ACCESS_TOKEN_SECRET").env("ACCESS_TOKEN_KEY_FILE", file(key))
}

fn published(server: &Server) -> Vec<Value> {
    let answer = server.get(JWKS).send().expect(200).json();
    answer["keys"].as_array().expect("a set of keys").clone()
}

fn decode(segment: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(segment).expect("base64url")
}

fn header(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').next().unwrap_or_default())).expect("a header")
}

/// Whether the published key verifies the token, as a service in another language would find.
fn verifies(jwk: &Value, token: &str) -> bool {
    let (message, signature) = token.rsplit_once('.').expect("three segments");
    let signature = decode(signature);
    let number = |name: &str| decode(jwk[name].as_str().expect("a number"));
    match jwk["alg"].as_str() {
        Some("EdDSA") => {
            let x = number("x").try_into().expect("32 bytes");
            let key = ed25519_dalek::VerifyingKey::from_bytes(&x).expect("a point");
            let signature = ed25519_dalek::Signature::from_slice(&signature).expect("64 bytes");
            key.verify_strict(message.as_bytes(), &signature).is_ok()
        }
        Some("ES256") => {
            let point = [vec![4], number("x"), number("y")].concat();
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).expect("a point");
            let signature = p256::ecdsa::Signature::from_slice(&signature).expect("64 bytes");
            key.verify(message.as_bytes(), &signature).is_ok()
        }
        Some("RS256") => {
            let big = |name: &str| rsa::BigUint::from_bytes_be(&number(name));
            let key = rsa::RsaPublicKey::new(big("n"), big("e")).expect("a modulus");
            let signature = rsa::pkcs1v15::Signature::try_from(signature.as_slice()).expect("a signature");
            rsa::pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(message.as_bytes(), &signature).is_ok()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_verifies_under_the_published_key() {
    for (example, key, algorithm) in [
        (AXUM_MEMORY, "ed25519", "EdDSA"),
        (HYPER_BARE, "ed25519", "EdDSA"),
        (AXUM_MEMORY, "p256", "ES256"),
        (AXUM_MEMORY, "rsa2048", "RS256"),
        (AXUM_MEMORY, "rsa2048.pkcs1", "RS256"),
    ] {
        let server = launch(example, key).start();
        let mut browser = server.register("lovelace");
        browser.get("/profile").send().expect(200);
        browser.post("/auth/refresh").send().expect(200);
        browser.get("/profile").send().expect(200);
        let token = browser.access();
        let [jwk] = &published(&server)[..] else { panic!("one key is published") };
        let expected = json!({"alg": algorithm, "typ": "at+jwt", "kid": jwk["kid"]});
        assert_eq!(header(&token), expected);
        assert_eq!((&jwk["alg"], &jwk["use"]), (&json!(algorithm), &json!("sig")));
        for private in ["k", "d", "p", "q", "dp", "dq", "qi", "oth"] {
            assert!(jwk.get(private).is_none(), "{private} is published");
        }
        assert!(verifies(jwk, &token), "{algorithm}");
        let mut other = token.clone();
        other.insert(token.find('.').expect("a dot") + 1, 'A');
        assert!(!verifies(jwk, &other));
    }
}

#[test]
fn the_set_of_keys_may_be_cached_and_has_no_secrets() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        for launch in [Launch::new(example), launch(example, "ed25519")] {
            let server = launch.start();
            let answer = server.get(JWKS).send().expect(200);
            assert!(answer.header("cache-control").is_some_and(|value| value.starts_with("public, max-age=")));
            assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
            server.request("HEAD", JWKS).send().expect(200);
            server.request("POST", JWKS).send().problem(405, "method_not_allowed");
        }
    }
    assert_eq!(published(&Launch::new(AXUM_MEMORY).start()), Vec::<Value>::new());
}

#[test]
fn keys_are_rotated_without_losing_a_token() {
    let before = launch(AXUM_MEMORY, "ed25519").env("ACCESS_TOKEN_NEXT_KEY_FILE", file("p256")).start();
    let retired = || launch(AXUM_MEMORY, "p256").env("ACCESS_TOKEN_RETIRED_KEY_FILES", file("ed25519"));
    let after = retired().start();
    let kids = |server: &Server| {
        let mut kids: Vec<_> = published(server).iter().map(|jwk| jwk["kid"].to_string()).collect();
        kids.sort();
        kids
    };
    assert_eq!(kids(&before), kids(&after));
    for (signing, verifying) in [(&before, &after), (&after, &before)] {
        let token = signing.register("lovelace").access();
        verifying.get("/profile").bearer(&token).send().expect(200);
    }
    let old = before.register("hopper").access();
    let without = launch(AXUM_MEMORY, "p256").start();
    without.get("/profile").bearer(&old).send().token_refused("token_invalid");
    // Two retired keys, one of them RSA, and a retired secret.
    let many = format!("{}:{}", file("ed25519"), file("rsa2048"));
    let secret = crate::server::ACCESS_SECRET;
    let many =
        retired().env("ACCESS_TOKEN_RETIRED_KEY_FILES", many).env("ACCESS_TOKEN_RETIRED_SECRETS", secret).start();
    assert_eq!(published(&many).len(), 3);
    for other in [before, launch(AXUM_MEMORY, "rsa2048").start(), Server::start()] {
        let token = other.register("turing").access();
        many.get("/profile").bearer(&token).send().expect(200);
    }
}

/// Runs every deployment of a rotation in order. Neighbours run at once and have to accept each
/// other's tokens.
fn assert_neighbours_agree(deployments: &[&dyn Fn() -> Launch]) {
    let nodes: Vec<_> = deployments.iter().map(|launch| launch().start()).collect();
    for (step, pair) in nodes.windows(2).enumerate() {
        for (signing, verifying) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            let token = signing.register(&format!("lovelace{step}")).access();
            verifying.get("/profile").bearer(&token).send().expect(200);
        }
    }
    let [first, .., last] = &nodes[..] else { panic!("too few deployments") };
    let token = first.register("hopper").access();
    last.get("/profile").bearer(&token).send().token_refused("token_invalid");
}

#[test]
fn the_runbook_leads_from_secret_to_secret_and_to_key() {
    const NEW: &str = "Zt5rLm8WcKq2Xo7vJb4Ng9Pd1Es6YhUf";
    let old = crate::server::ACCESS_SECRET;
    let signing = |secret: &str| Launch::new(AXUM_MEMORY).env("ACCESS_TOKEN_SECRET", secret);
    assert_neighbours_agree(&[
        &|| signing(old),
        &|| signing(old).env("ACCESS_TOKEN_RETIRED_SECRETS", NEW),
        &|| signing(NEW).env("ACCESS_TOKEN_RETIRED_SECRETS", old),
        &|| signing(NEW),
    ]);
    assert_neighbours_agree(&[
        &|| signing(old),
        &|| signing(old).env("ACCESS_TOKEN_NEXT_KEY_FILE", file("ed25519")),
        &|| launch(AXUM_MEMORY, "ed25519").env("ACCESS_TOKEN_RETIRED_SECRETS", old),
        &|| launch(AXUM_MEMORY, "ed25519"),
    ]);
}

#[test]
fn a_public_key_is_no_secret() {
    for key in ["ed25519", "p256", "rsa2048"] {
        let server = launch(AXUM_MEMORY, key).start();
        let token = server.register("lovelace").access();
        let [jwk] = &published(&server)[..] else { panic!("one key is published") };
        let payload = token.split('.').nth(1).expect("a payload");
        let pem = std::fs::read(file(&format!("{key}.pub"))).expect("a public key");
        let text = String::from_utf8(pem).expect("PEM is text");
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).expect("base64");
        let first_number = decode(jwk.get("x").unwrap_or(&jwk["n"]).as_str().expect("a number"));
        let encodings = [
            text.trim_end().as_bytes(),
            text.as_bytes(),
            &der,
            &first_number,
            jwk["kid"].as_str().expect("a kid").as_bytes(),
            jwk.to_string().as_bytes(),
            b"",
        ]
        .map(<[u8]>::to_vec);
        for secret in encodings {
            let genuine = header(&token);
            let confused = json!({"alg": "HS256", "typ": "at+jwt", "kid": genuine["kid"]});
            for header in [&genuine, &confused] {
                let message = format!("{}.{payload}", encode(header.to_string()));
                let mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length will do");
                let signature = mac.chain_update(&message).finalize().into_bytes();
                let forged = format!("{message}.{}", encode(signature));
                server.get("/profile").bearer(&forged).send().token_refused("token_invalid");
            }
        }
        server.get("/profile").bearer(&token).send().expect(200);
    }
}

#[test]
fn a_wrong_key_is_refused_with_its_variable_and_the_fix() {
    let refused = [
        ("refused-rsa1024", "1024 bits"),
        ("refused-p384", "P-256"),
        ("refused-sec1", "openssl pkcs8"),
        ("refused-encrypted", "decrypt"),
        ("refused-certificate", "x509"),
        ("refused-x25519", "openssl genpkey"),
        ("ed25519.pub", "private key"),
        ("no-such-file", "cannot be read"),
    ];
    for (key, mend) in refused {
        let said = launch(AXUM_MEMORY, key).refuse().stderr;
        assert!(said.contains(mend), "{key}: {said}");
    }
    let said = launch(HYPER_BARE, "no-such-file").refuse().stderr;
    assert!(said.contains("ACCESS_TOKEN_KEY_FILE") && !said.contains("ACCESS_TOKEN_SECRET"), "{said}");
    let pasted = std::fs::read_to_string(file("ed25519")).expect("a key");
    let secret = pasted.lines().nth(1).expect("the key's body");
    for value in [pasted.as_str(), secret] {
        let said =
            Launch::new(AXUM_MEMORY).without("ACCESS_TOKEN_SECRET").env("ACCESS_TOKEN_KEY_FILE", value).refuse().stderr;
        assert!(said.contains("ACCESS_TOKEN_KEY_FILE") && !said.contains(secret), "{said}");
    }
    let both = Launch::new(AXUM_MEMORY).env("ACCESS_TOKEN_KEY_FILE", file("ed25519")).refuse().stderr;
    assert!(both.contains("ACCESS_TOKEN_KEY_FILE") && both.contains("use one"), "{both}");
    let twice = launch(AXUM_MEMORY, "ed25519").env("ACCESS_TOKEN_RETIRED_KEY_FILES", file("ed25519"));
    assert!(twice.refuse().stderr.contains("used twice"));
    let same = launch(AXUM_MEMORY, "ed25519").env("ACCESS_TOKEN_RETIRED_SECRETS", REFRESH_SECRET).refuse().stderr;
    assert!(same.contains("used twice") && !same.contains(REFRESH_SECRET), "{same}");
}

#[test]
fn an_example_with_a_key_file_generates_the_other_secret_only() {
    let server =
        Launch::bare(AXUM_MEMORY).env("INSECURE_COOKIES", "1").env("ACCESS_TOKEN_KEY_FILE", file("ed25519")).start();
    let token = server.register("lovelace").access();
    assert_eq!(header(&token)["alg"], "EdDSA");
    let log = server.stop();
    assert!(
        log.contains("REFRESH_TOKEN_SECRET is not set") && !log.contains("ACCESS_TOKEN_SECRET is not set"),
        "{log}"
    );
}
