//! Rows 1, 2 and 6: tokens that try to choose their algorithm, key or type.

use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm as Jwa, EncodingKey};

use super::*;

/// Every algorithm that a header can name and a key can sign with.
const SIGNATURES: [Jwa; 12] = [
    Jwa::HS256,
    Jwa::HS384,
    Jwa::HS512,
    Jwa::ES256,
    Jwa::ES384,
    Jwa::RS256,
    Jwa::RS384,
    Jwa::RS512,
    Jwa::PS256,
    Jwa::PS384,
    Jwa::PS512,
    Jwa::EdDSA,
];

const PUBLIC: [&str; 3] = [
    include_str!("../../../../../tests/keys/ed25519.pub.pem"),
    include_str!("../../../../../tests/keys/p256.pub.pem"),
    include_str!("../../../../../tests/keys/rsa2048.pub.pem"),
];

#[test]
fn the_algorithm_none_is_refused_in_every_spelling() {
    let mut count = 0;
    for target in Target::all() {
        for alg in
            ["none", "None", "NONE", "nOnE", "none ", "", "null", "\\u006eone", "HS", "dir", "RSA-OAEP", "A256KW"]
        {
            let message = format!("{}.{}", encode(header_of(alg, "at+jwt", target.key.kid())), target.payload);
            count += target.refuses([
                (format!("{alg} unsigned"), format!("{message}.")),
                (format!("{alg} in two parts"), message.clone()),
                (format!("{alg} below the genuine signature"), format!("{message}.{}", target.signature)),
                (format!("{alg} signed"), target.sign(&message)),
            ]);
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn an_algorithm_other_than_the_keys_is_refused() {
    let mut count = 0;
    for target in Target::all() {
        let own = target.algorithm.name();
        for alg in SIGNATURES.into_iter().filter(|alg| format!("{alg:?}") != own) {
            let named = encode(header_of(&format!("{alg:?}"), "at+jwt", target.key.kid()));
            count +=
                target.refuses([(format!("{alg:?} in name"), target.sign(&format!("{named}.{}", target.payload)))]);
            // The key may be able to sign with another algorithm, such as RS384 with an RS256 key
            // or HS512 with an HS256 key. The header names that one, or still the genuine one.
            for header in [&named, &target.header] {
                let message = format!("{header}.{}", target.payload);
                let Some(signature) = crypto::sign_as(alg, target.key.signing().unwrap(), message.as_bytes()) else {
                    continue;
                };
                count += target.refuses([(format!("{alg:?} in truth"), format!("{message}.{}", encode(signature)))]);
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn a_public_key_is_no_hmac_secret_in_any_encoding() {
    let mut count = 0;
    for target in Target::all().filter(|target| target.algorithm.is_asymmetric()) {
        let jwk = target.key.public_jwk().unwrap();
        let mut secrets = vec![Vec::new(), jwk.clone().into_bytes(), target.key.kid().as_bytes().to_vec()];
        let numbers: Value = serde_json::from_str(&jwk).unwrap();
        for name in ["x", "y", "n", "e"] {
            let Some(number) = numbers[name].as_str() else { continue };
            secrets.extend([number.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(number).unwrap()]);
        }
        for pem in PUBLIC {
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let windows = pem.replace('\n', "\r\n");
            secrets.extend([pem, pem.trim_end(), &windows, &body].map(|text| text.as_bytes().to_vec()));
            secrets.push(STANDARD.decode(body).unwrap());
        }
        for secret in secrets {
            let secret = EncodingKey::from_secret(&secret);
            for alg in [Jwa::HS256, Jwa::HS384, Jwa::HS512] {
                for name in [format!("{alg:?}"), target.algorithm.name().to_owned()] {
                    let header = encode(header_of(&name, "at+jwt", target.key.kid()));
                    let message = format!("{header}.{}", target.payload);
                    let signature = crypto::sign_as(alg, &secret, message.as_bytes()).unwrap();
                    count +=
                        target.refuses([(format!("{alg:?} as {name}"), format!("{message}.{}", encode(signature)))]);
                }
            }
        }
    }
    assert!(count > 400, "{count}");
}

#[test]
fn keys_and_extensions_in_a_header_are_refused() {
    let attacker = Key::generate_ed25519().unwrap();
    let jwk = attacker.public_jwk().unwrap();
    let mut count = 0;
    for target in Target::all() {
        let own = target.header_text();
        let open = own.strip_suffix('}').unwrap();
        let members = [
            format!(r#""jwk":{jwk}"#),
            format!(r#""jwk":{}"#, target.key.public_jwk().unwrap_or_default().replace("{}", "null")),
            r#""jku":"https://evil.example/jwks.json""#.to_owned(),
            r#""x5u":"https://evil.example/cert.pem""#.to_owned(),
            r#""x5c":["AAAA"]"#.to_owned(),
            r#""x5t":"AAAA""#.to_owned(),
            r#""crit":["exp"]"#.to_owned(),
            r#""crit":[]"#.to_owned(),
            r#""crit":["b64"],"b64":false"#.to_owned(),
            r#""b64":true"#.to_owned(),
            r#""zip":"DEF""#.to_owned(),
            r#""cty":"JWT""#.to_owned(),
            r#""enc":"A256GCM""#.to_owned(),
            r#""alg":"none""#.to_owned(),
            format!(r#""alg":"{}""#, target.algorithm),
            r#""typ":"at+jwt""#.to_owned(),
            r#""unknown":1"#.to_owned(),
        ];
        for member in &members {
            let changed = format!("{open},{member}}}");
            let leading = format!("{{{member},{}", own.strip_prefix('{').unwrap());
            count += target.refuses([
                (member.clone(), target.with_header(&changed)),
                (format!("{member} first"), target.with_header(&leading)),
            ]);
        }
        // Signed with the attacker's key, which the header contains.
        let header = encode(format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}","jwk":{jwk}}}"#, attacker.kid()));
        let message = format!("{header}.{}", target.payload);
        let signature = crypto::sign(Algorithm::EdDSA, attacker.signing().unwrap(), message.as_bytes()).unwrap();
        count += target.refuses([("an embedded key".to_owned(), format!("{message}.{}", encode(signature)))]);
    }
    assert!(count > 230, "{count}");
}

#[test]
fn another_kid_typ_or_spelling_of_the_header_is_refused() {
    let mut count = 0;
    for target in Target::all() {
        let (alg, kid, own) = (target.algorithm.name(), target.key.kid(), target.header_text());
        let upper = kid.to_ascii_uppercase();
        let long = "A".repeat(4000);
        let mut headers = Vec::new();
        for other in
            ["", "0", "../../../dev/null", "' OR 1=1 --", "| sleep 5", "http://evil.example/", &upper, &kid[1..], &long]
        {
            headers.push(header_of(alg, "at+jwt", other));
        }
        for typ in ["rt+jwt", "JWT", "jwt", "AT+JWT", "application/at+jwt", "", "at+jwt ", "dpop+jwt", "secevent+jwt"] {
            headers.push(header_of(alg, typ, kid));
        }
        headers.extend([
            format!(r#"{{"alg":"{alg}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#),
            format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":["{kid}"]}}"#),
            format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":null}}"#),
            format!(r#"{{"alg":["{alg}"],"typ":"at+jwt","kid":"{kid}"}}"#),
            format!(r#"{{"ALG":"{alg}","typ":"at+jwt","kid":"{kid}"}}"#),
            own.replace(',', ", "),
            own.replace(':', ": "),
            own.replace("alg", "\\u0061lg"),
            format!(" {own}"),
            format!("{own}\n"),
            format!("\u{feff}{own}"),
            format!("[{own}]"),
            "{}".to_owned(),
            "null".to_owned(),
            String::new(),
        ]);
        count += target.refuses(headers.into_iter().map(|header| (header.clone(), target.with_header(&header))));
    }
    assert!(count > 230, "{count}");
}

#[test]
fn with_one_key_neither_kind_is_accepted_as_the_other() {
    for target in Target::all() {
        let refresh = tests::keys(KeyKind::Refresh, &KeyRing::new(target.key.clone()));
        let claims =
            good_claims(&[("gen", serde_json::json!(0)), ("jti", serde_json::json!("AAAAAAAAAAAAAAAAAAAAAA"))]);
        let token = refresh.sign(claims.as_bytes()).unwrap();
        let verdict = |keys: &Keys, token: &str| target.verifier.refresh(keys, token, NOW, Expiry::Checked).err();
        assert_eq!(verdict(&refresh, &token), None);
        target.refuses([("a refresh token".to_owned(), token)]);
        let access = target.with_payload(&claims);
        assert_eq!(target.verdict(&access), None);
        assert_eq!(verdict(&refresh, &access), Some(TokenFault::Invalid));
    }
}

#[test]
fn a_key_of_another_ring_is_refused() {
    for target in Target::all() {
        let others =
            Target::all().filter(|other| other.key.kid() != target.key.kid() || other.algorithm != target.algorithm);
        target.refuses(others.map(|other| (format!("signed by {}", other.algorithm), other.token)));
    }
}
