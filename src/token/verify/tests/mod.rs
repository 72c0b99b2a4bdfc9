use std::time::Duration;

use serde_json::{Value, json};

use super::{Expiry, Profile, TokenFault, Verifier};
use crate::{
    clock::Timestamp,
    token::{
        Claims, MAX_TOKEN_BYTES, TokenCache,
        keys::{Key, KeyKind, KeyRing, Keys, tests},
    },
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const SID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

fn secret(secret: &str) -> Key {
    Key::from_secret(secret).unwrap()
}

fn keys(kind: KeyKind) -> Keys {
    tests::keys(kind, &KeyRing::new(secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")))
}

pub(super) fn verifier() -> Verifier {
    Verifier {
        profile: Profile {
            issuer: "https://example.com".into(),
            audience: "api".into(),
            leeway: Duration::ZERO,
            max_access_lifetime: Duration::from_secs(86_400),
            not_before: None,
            custom_claims: false,
        },
        cache: None,
    }
}

/// Returns the claims of a valid access token with some of them replaced. The text `(absent)`
/// removes one.
pub(super) fn claims(changes: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "iss": "https://example.com", "sub": "ada", "aud": "api", "client_id": "api",
        "exp": 1_800_000_900, "iat": 1_800_000_000, "jti": "x", "auth_time": 1_799_999_000, "sid": SID, "ver": 3
    });
    for (name, value) in changes {
        match value {
            Value::String(text) if text == "(absent)" => drop(claims.as_object_mut().unwrap().remove(*name)),
            value => claims[*name] = value.clone(),
        }
    }
    claims.to_string()
}

fn verify_payload(payload: &str) -> Result<Claims, TokenFault> {
    let keys = keys(KeyKind::Access);
    let token = keys.sign(payload.as_bytes()).unwrap();
    verifier().access(&keys, token.as_bytes(), NOW, Expiry::Checked)
}

fn verdict(changes: &[(&str, Value)]) -> Option<TokenFault> {
    verify_payload(&claims(changes)).err()
}

#[test]
fn a_valid_token_is_read_whole() {
    let claims = verify_payload(&claims(&[("roles", json!(["admin", "staff"]))])).unwrap();
    assert_eq!(claims.subject().as_str(), "ada");
    assert_eq!(claims.token_version(), 3);
    assert_eq!(claims.session_id().encode(), SID);
    assert_eq!(claims.roles().collect::<Vec<_>>(), ["admin", "staff"]);
    assert_eq!(claims.expires_at(), Timestamp::from_secs(1_800_000_900));
}

#[test]
fn unknown_claims_and_further_audiences_are_accepted() {
    assert_eq!(verdict(&[("tenant", json!({"deep": [[[1]]]})), ("aud", json!(["other", "api"]))]), None);
}

#[test]
fn every_claim_must_be_present_and_of_its_type() {
    let absent = || json!("(absent)");
    let table: Vec<(&str, Vec<Value>)> = vec![
        ("iss", vec![absent(), json!("https://evil.com"), json!(["https://example.com"]), json!(null), json!(1)]),
        ("sub", vec![absent(), json!(""), json!(1), json!(null), json!("x".repeat(257))]),
        ("aud", vec![absent(), json!("other"), json!([]), json!([1, "api"]), json!(null), json!({"api": 1})]),
        (
            "exp",
            vec![
                absent(),
                json!("1800000900"),
                json!(1_800_000_900.5),
                json!(-1),
                json!(null),
                json!(u64::MAX),
                json!(1e300),
            ],
        ),
        ("iat", vec![absent(), json!("0"), json!(1.5), json!(-1), json!(null), json!(1_800_000_061)]),
        ("nbf", vec![json!(1_800_000_061), json!("0"), json!(null), json!(-1)]),
        ("jti", vec![absent(), json!(""), json!(1), json!(null)]),
        ("sid", vec![absent(), json!(""), json!("short"), json!(1), json!(null)]),
        ("ver", vec![absent(), json!("3"), json!(-1), json!(3.0), json!(null), json!(1e30)]),
        ("roles", vec![json!("admin"), json!([1]), json!(null), json!({})]),
        ("auth_time", vec![json!(null), json!("0"), json!(-1), json!(1_800_000_061)]),
    ];
    for (name, values) in table {
        for value in values {
            assert_eq!(verdict(&[(name, value.clone())]), Some(TokenFault::Invalid), "{name} = {value}");
        }
    }
}

#[test]
fn times_are_compared_to_the_second() {
    let exp = |secs: i64| verdict(&[("exp", json!(1_800_000_000 + secs)), ("iat", json!(1_799_999_990))]);
    assert_eq!(exp(1), None);
    assert_eq!(exp(0), Some(TokenFault::Expired), "exp == now is expired");
    assert_eq!(verdict(&[("iat", json!(1_800_000_060))]), None, "a minute ahead is clock skew");
    assert_eq!(verdict(&[("nbf", json!(1_800_000_060))]), None, "the same for nbf");
    assert_eq!(verdict(&[("auth_time", json!(1_800_000_060))]), None, "and for auth_time");
    let too_long = [("iat", json!(1_800_000_000)), ("exp", json!(1_800_086_401))];
    assert_eq!(verdict(&too_long), Some(TokenFault::Invalid));
}

#[test]
fn times_that_contradict_each_other_are_refused() {
    let times = |iat: i64, exp: i64| verdict(&[("iat", json!(iat)), ("exp", json!(exp))]);
    assert_eq!(times(1_800_000_060, 1_800_000_059), Some(TokenFault::Invalid), "it ends before it begins");
    assert_eq!(times(1_800_000_060, 1_800_000_001), Some(TokenFault::Invalid));
    assert_eq!(times(1_800_000_060, 1_800_000_060), Some(TokenFault::Expired), "it ends as it begins");
    assert_eq!(times(1_800_000_060, 1_800_000_061), None);
    let nbf = |nbf: i64, exp: i64| verdict(&[("nbf", json!(nbf)), ("exp", json!(exp))]);
    assert_eq!(nbf(1_800_000_050, 1_800_000_040), Some(TokenFault::Invalid), "it ends before it may be used");
    assert_eq!(nbf(1_800_000_050, 1_800_000_051), None);

    let refresh = keys(KeyKind::Refresh);
    let verdict = |iat: i64, exp: i64, nbf: i64| {
        let claims = claims(&[
            ("gen", json!(0)),
            ("jti", json!(SID)),
            ("iat", json!(iat)),
            ("exp", json!(exp)),
            ("nbf", json!(nbf)),
        ]);
        verifier().refresh(&refresh, &refresh.sign(claims.as_bytes()).unwrap(), NOW, Expiry::Checked).err()
    };
    assert_eq!(verdict(1_800_000_060, 1_800_000_059, 0), Some(TokenFault::Invalid));
    assert_eq!(verdict(1_800_000_060, 1_800_000_060, 0), Some(TokenFault::Expired));
    assert_eq!(verdict(1_800_000_060, 1_800_000_061, 1_800_000_060), None);
    assert_eq!(verdict(1_800_000_000, 1_800_000_061, 1_800_000_061), Some(TokenFault::Invalid));
}

#[test]
fn a_leeway_makes_no_token_valid_that_never_was() {
    let mut verifier = verifier();
    verifier.profile.leeway = Duration::from_secs(30);
    let keys = keys(KeyKind::Access);
    let same = claims(&[("iat", json!(1_800_000_000)), ("exp", json!(1_800_000_000))]);
    let token = keys.sign(same.as_bytes()).unwrap();
    assert_eq!(verifier.access(&keys, token.as_bytes(), NOW, Expiry::Checked).err(), Some(TokenFault::Expired));
    assert!(verifier.access(&keys, token.as_bytes(), NOW, Expiry::Ignored).is_ok(), "a logout reads it");
}

#[test]
fn a_token_with_another_fault_is_never_reported_as_expired() {
    let expired = ("exp", json!(1_799_999_999));
    assert_eq!(verdict(&[expired.clone(), ("iat", json!(1_799_999_000))]), Some(TokenFault::Expired));
    assert_eq!(verdict(&[expired, ("iss", json!("evil"))]), Some(TokenFault::Invalid));
}

#[test]
fn payloads_that_are_not_one_object_are_refused() {
    let good = claims(&[]);
    let array = r#"["https://example.com","ada","api",1800000900,1800000000,"x","AAAAAAAAAAAAAAAAAAAAAA",3]"#;
    for payload in [
        array.to_owned(),
        format!("\u{feff}{good}"),
        format!("{good} x"),
        format!("{good}{good}"),
        good.replacen('{', r#"{"sub":"eve","#, 1),
        good.replacen(r#""ada""#, r#""\ud800""#, 1),
        String::new(),
        "null".into(),
        "[".repeat(4000),
    ] {
        assert_eq!(verify_payload(&payload).err(), Some(TokenFault::Invalid), "{payload}");
    }
    let mut not_utf8 = good.into_bytes();
    not_utf8.insert(9, 0xff);
    let keys = keys(KeyKind::Access);
    let token = keys.sign(&not_utf8).unwrap();
    assert_eq!(verifier().access(&keys, token.as_bytes(), NOW, Expiry::Checked).err(), Some(TokenFault::Invalid));
}

#[test]
fn tokens_that_are_not_three_canonical_segments_are_refused() {
    let keys = keys(KeyKind::Access);
    let good = keys.sign(claims(&[]).as_bytes()).unwrap();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let last = signature.chars().last().unwrap();
    // 32 bytes leave two unused bits in the last character, so the next one of the alphabet decodes
    // to the same bytes.
    let twin = char::from_u32(last as u32 + 1).unwrap();
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        ".".repeat(10_000),
        message.into(),
        format!("{message}."),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}\0"),
        format!("{good}.x"),
        format!("{good}.x.y"),
        format!("{}{twin}", &good[..good.len() - 1]),
        good.replacen("ey", "e y", 1),
        "a".repeat(MAX_TOKEN_BYTES + 1),
        "é".repeat(100),
    ] {
        let refused = verifier().access(&keys, bad.as_bytes(), NOW, Expiry::Checked).err();
        assert_eq!(refused, Some(TokenFault::Invalid), "{bad:?}");
    }
}

#[test]
fn neither_kind_of_token_is_accepted_as_the_other() {
    let (access, refresh) = (keys(KeyKind::Access), keys(KeyKind::Refresh));
    let both = claims(&[("gen", json!(0)), ("jti", json!(SID))]);
    let access_token = access.sign(both.as_bytes()).unwrap();
    let refresh_token = refresh.sign(both.as_bytes()).unwrap();
    assert!(verifier().refresh(&refresh, &refresh_token, NOW, Expiry::Checked).is_ok());
    // Even under one secret, which `build()` refuses, the header's `typ` keeps them apart.
    assert!(verifier().refresh(&refresh, &access_token, NOW, Expiry::Checked).is_err());
    assert!(verifier().access(&access, refresh_token.as_bytes(), NOW, Expiry::Checked).is_err());
}

#[test]
fn a_retired_secret_verifies_and_does_not_sign() {
    let old = secret("0ldSecretWith32Bytes_AbCdEfGhIjK");
    let token = tests::keys(KeyKind::Access, &KeyRing::new(old.clone())).sign(claims(&[]).as_bytes()).unwrap();
    let new = secret("N3wSecretWith32Bytes_AbCdEfGhIjK");
    let ring = tests::keys(KeyKind::Access, &KeyRing::new(new.clone()).with_retired_indefinitely(old));
    assert!(verifier().access(&ring, token.as_bytes(), NOW, Expiry::Checked).is_ok());
    assert_ne!(ring.sign(b"{}").unwrap().split('.').next(), token.split('.').next());
    let without = tests::keys(KeyKind::Access, &KeyRing::new(new));
    assert!(verifier().access(&without, token.as_bytes(), NOW, Expiry::Checked).is_err());
}

#[test]
fn tokens_from_before_the_limit_are_refused() {
    let mut verifier = verifier();
    verifier.profile.not_before = Some(NOW.plus(Duration::from_secs(1)));
    let keys = keys(KeyKind::Access);
    let token = keys.sign(claims(&[]).as_bytes()).unwrap();
    assert_eq!(verifier.access(&keys, token.as_bytes(), NOW, Expiry::Checked).err(), Some(TokenFault::Invalid));
}

#[test]
fn a_logout_accepts_expired_tokens_and_refuses_forged_ones() {
    let keys = keys(KeyKind::Access);
    let old = claims(&[("exp", json!(1_700_000_900)), ("iat", json!(1_700_000_000))]);
    let token = keys.sign(old.as_bytes()).unwrap();
    assert!(verifier().access(&keys, token.as_bytes(), NOW, Expiry::Ignored).is_ok());
    let forged = format!("{}A", &token[..token.len() - 1]);
    assert!(token.ends_with('A') || verifier().access(&keys, forged.as_bytes(), NOW, Expiry::Ignored).is_err());
}

#[test]
fn a_cached_token_is_found_only_if_every_byte_is_equal() {
    let mut verifier = verifier();
    verifier.cache = TokenCache::new(1 << 20);
    let keys = keys(KeyKind::Access);
    let token = keys.sign(claims(&[]).as_bytes()).unwrap();
    let strange = tests::keys(KeyKind::Access, &KeyRing::new(tests::key(crate::token::keys::Algorithm::HS512)));
    let verdict = |keys: &Keys, token: &str| verifier.access(keys, token.as_bytes(), NOW, Expiry::Checked).err();
    assert_eq!(verdict(&strange, &token), Some(TokenFault::Invalid), "a refusal is not cached");
    assert_eq!(verdict(&keys, &token), None);
    assert_eq!(verdict(&strange, &token), None, "the signature is not checked again");
    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert_eq!(verdict(&strange, &other), Some(TokenFault::Invalid));
    }
    assert!(!format!("{verifier:?}").contains(&token[token.len() - 20..]));
    let later = NOW.plus(Duration::from_secs(900));
    assert_eq!(verifier.access(&keys, token.as_bytes(), later, Expiry::Checked).err(), Some(TokenFault::Expired));
    assert_eq!(verdict(&strange, &token), Some(TokenFault::Invalid), "an expired token is removed");
}

#[test]
fn the_cache_stays_within_its_bytes() {
    let mut verifier = verifier();
    let keys = keys(KeyKind::Access);
    assert!(TokenCache::new(0).is_none());
    for bytes in [1, 1000, 10_000, 100_000] {
        verifier.cache = TokenCache::new(bytes);
        for number in 0..300 {
            let token = keys.sign(claims(&[("jti", json!(format!("token {number}")))]).as_bytes()).unwrap();
            assert!(verifier.access(&keys, token.as_bytes(), NOW, Expiry::Checked).is_ok());
        }
        let held = verifier.cache.as_ref().unwrap().bytes();
        assert!(held <= bytes as u64, "{held} of {bytes}");
        assert_eq!(held > 0, bytes >= 1000, "{held} of {bytes}");
    }
}

mod attacks;
