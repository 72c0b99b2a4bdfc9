//! Rows 4 and 5: payloads with a valid signature and claims that we never issue.

use serde_json::{Value, json};

use super::*;

#[test]
fn payloads_that_are_not_our_object_are_refused() {
    let good = good_claims(&[]);
    let open = good.strip_suffix('}').unwrap();
    let mut payloads: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "true",
        "1",
        "\"text\"",
        "[]",
        "{}",
        "{",
        "}",
        "{\"iss\"}",
        "{'iss':1}",
        "NaN",
        "{\"a\":1,}",
        "{\"a\":NaN}",
        "{\"a\":01}",
        "{\"a\":1e}",
        "{a:1}",
        "/**/{}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    payloads.extend(
        [
            format!("{good}{good}"),
            format!("{good},"),
            format!("{good}\0"),
            format!("{good}x"),
            format!("\u{feff}{good}"),
            format!("[{good}]"),
            format!("\"{}\"", good.replace('"', "\\\"")),
            format!("{open},}}"),
            format!("{open},\"a\":\"\\ud800\"}}").replace("\"sub\":\"ada\"", "\"sub\":\"\\ud800\""),
            good.replace("\"sub\":\"ada\"", "\"sub\":\"\\udc00\\ud800\""),
            good.replace("\"sub\":\"ada\"", "\"sub\":\"a\u{0}\""),
            good.replace("\"sub\":\"ada\"", "\"sub\":\"\n\""),
        ]
        .map(String::into_bytes),
    );
    payloads.push([good.as_bytes(), &[0xff]].concat());
    payloads
        .push(good.replace("ada", "a?a").into_bytes().into_iter().map(|b| if b == b'?' { 0xc0 } else { b }).collect());
    payloads.push(good.encode_utf16().flat_map(u16::to_le_bytes).collect());
    for target in Target::all() {
        target.refuses(
            payloads
                .iter()
                .map(|payload| (String::from_utf8_lossy(payload).into_owned(), target.with_payload(payload))),
        );
    }
}

#[test]
fn a_duplicate_name_is_refused_ours_and_the_apps() {
    let good = good_claims(&[("nbf", json!(1_800_000_000)), ("roles", json!(["a"])), ("tenant", json!("acme"))]);
    let claims: Value = serde_json::from_str(&good).unwrap();
    let open = good.strip_suffix('}').unwrap();
    let mut payloads = Vec::new();
    for (name, value) in claims.as_object().unwrap() {
        let (first, rest) = name.split_at(1);
        let escaped = format!("\\u{:04x}{rest}", u32::from(first.chars().next().unwrap()));
        for other in [value.clone(), json!("other"), json!(null), json!(1_800_000_900)] {
            payloads.push(format!("{open},\"{name}\":{other}}}"));
            payloads.push(format!("{open},\"{escaped}\":{other}}}"));
        }
    }
    assert!(payloads.len() > 80);
    for target in Target::all() {
        assert_eq!(target.verdict(&target.with_payload(&good)), None);
        target.refuses(payloads.iter().map(|payload| (payload.clone(), target.with_payload(payload))));
    }
}

#[test]
fn absent_mistyped_and_out_of_range_claims_are_refused() {
    let absent = || json!("(absent)");
    let numbers = || {
        vec![
            absent(),
            json!(null),
            json!("1800000000"),
            json!(1_800_000_000.5),
            json!(1.8e9),
            json!(-1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1e300),
            json!(253_402_300_800_u64),
            json!(true),
            json!([1_800_000_000]),
            json!({ "n": 1 }),
        ]
    };
    let texts = || vec![absent(), json!(null), json!(1), json!(true), json!([]), json!({}), json!(["ada"]), json!("")];
    let optional = |values: Vec<Value>| values.into_iter().skip(1).collect::<Vec<_>>();
    let table: Vec<(&str, Vec<Value>, Vec<Value>)> = vec![
        (
            "iss",
            texts(),
            vec![
                json!("https://evil.example"),
                json!(["https://example.com"]),
                json!("https://example.com/"),
                json!("HTTPS://example.com"),
                json!("https://example.com "),
                json!("https://example.com\u{0}"),
            ],
        ),
        ("sub", texts(), vec![json!("x".repeat(257))]),
        ("aud", texts(), vec![json!("API"), json!("api "), json!("ap"), json!([["api"]]), json!(["api", 1])]),
        ("jti", texts(), vec![]),
        ("sid", texts(), vec![json!("AAAAAAAAAAAAAAAAAAAAAB"), json!("AAAA"), json!("A".repeat(23))]),
        (
            "ver",
            numbers().into_iter().filter(|n| *n != json!(u64::MAX) && *n != json!(253_402_300_800_u64)).collect(),
            vec![],
        ),
        ("exp", numbers(), vec![json!(1_800_086_401_u64), json!(1_799_999_999)]),
        ("iat", numbers(), vec![json!(1_800_000_061), json!(1_799_000_000)]),
        ("nbf", optional(numbers()), vec![json!(1_800_000_061), json!(1_800_000_900)]),
        ("auth_time", optional(numbers()), vec![json!(1_800_000_061)]),
        ("roles", vec![json!(null), json!("admin"), json!({}), json!([1]), json!([null]), json!([["admin"]])], vec![]),
    ];
    let mut count = 0;
    for target in Target::all() {
        for (name, types, values) in &table {
            count += target.refuses(types.iter().chain(values).map(|value| {
                let payload = good_claims(&[(name, value.clone())]);
                (format!("{name} = {value}"), target.with_payload(payload))
            }));
        }
        let expired = good_claims(&[("exp", json!(1_800_000_000)), ("iat", json!(1_799_999_000))]);
        assert_eq!(target.verdict(&target.with_payload(expired)), Some(TokenFault::Expired));
    }
    assert!(count > 600, "{count}");
}
