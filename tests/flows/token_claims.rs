//! Payloads under a genuine header and a right signature, with something wrong in them: the claims
//! are checked each by its presence, its JSON type and its value.

use serde_json::{Value, json};

use crate::forge::{Genuine, now};
use crate::server::{AUDIENCE, ISSUER, Server};

const DAY: i64 = 24 * 60 * 60;

struct Case {
    server: Server,
    token: Genuine,
}

impl Case {
    fn new() -> Self {
        let server = Server::start();
        let token = Genuine::access(&server.register("lovelace").access());
        Case { server, token }
    }

    #[track_caller]
    fn accepts(&self, what: &str, token: &str) {
        for answer in [
            self.server.get("/profile").bearer(token).send(),
            self.server.get("/profile").cookie("access_token", token).send(),
        ] {
            assert_eq!(answer.status, 200, "{what}: {answer}");
        }
    }

    #[track_caller]
    fn refuses_as(&self, code: &str, what: &str, token: &str) {
        for answer in [
            self.server.get("/profile").bearer(token).send(),
            self.server.get("/profile").cookie("access_token", token).send(),
            self.server.get("/auth/me").bearer(token).send(),
        ] {
            assert_eq!(answer.status, 401, "{what}: {answer}");
            assert_eq!(answer.json()["code"], code, "{what}: {answer}");
            answer.token_refused(code);
        }
    }

    #[track_caller]
    fn refuses(&self, what: &str, token: &str) {
        self.refuses_as("token_invalid", what, token);
    }

    /// Still there, and still of the same mind about the genuine token.
    #[track_caller]
    fn ends_well(&self) {
        self.server.is_alive();
        self.accepts("the genuine token", self.token.text());
    }
}

#[test]
fn an_expired_token_is_distinguished_from_an_invalid_one() {
    let case = Case::new();
    let until = |exp: i64| {
        case.token.with_claims(|claims| {
            claims.insert("iat".to_owned(), json!(exp - 900));
            claims.insert("exp".to_owned(), json!(exp));
        })
    };
    case.accepts("a minute left", &until(now() + 60));
    case.refuses_as("token_expired", "over in this second", &until(now()));
    case.refuses_as("token_expired", "a second over", &until(now() - 1));
    case.refuses_as("token_expired", "a year over", &until(now() - 365 * DAY));
    // Expired and not ours at all: the signature decides first.
    let mut expired = Genuine::access(&until(now() - 60));
    expired.signature.replace_range(..1, if expired.signature.starts_with('A') { "B" } else { "A" });
    let forged = format!("{}.{}.{}", expired.header, expired.payload, expired.signature);
    case.refuses("expired and forged", &forged);
    case.ends_well();
}

#[test]
fn a_missing_claim_is_refused() {
    let case = Case::new();
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "ver"] {
        case.refuses(name, &case.token.without(name));
        case.refuses(name, &case.token.with(name, Value::Null));
    }
    case.ends_well();
}

#[test]
fn a_number_that_is_no_plain_integer_is_refused() {
    let case = Case::new();
    let exp = case.token.number("exp");
    for name in ["exp", "iat", "ver"] {
        let genuine = case.token.number(name);
        for literal in [
            format!("{genuine}.0"),
            format!("{genuine}.5"),
            format!("{genuine}e0"),
            format!("\"{genuine}\""),
            format!("[{genuine}]"),
            format!("{{\"value\":{genuine}}}"),
            "true".to_owned(),
            "-1".to_owned(),
            "-9223372036854775808".to_owned(),
            "18446744073709551616".to_owned(),
            "1e400".to_owned(),
            "1E19".to_owned(),
            "0x7fffffff".to_owned(),
            "NaN".to_owned(),
            "Infinity".to_owned(),
        ] {
            let what = format!("{name}: {literal}");
            case.refuses(&what, &case.token.with_literal(name, &literal));
        }
    }
    for huge in [i64::MAX, i64::MAX / 1000, 253_402_300_800, exp * 1000] {
        case.refuses(&format!("exp: {huge}"), &case.token.with("exp", json!(huge)));
        case.refuses(&format!("iat: {huge}"), &case.token.with("iat", json!(huge)));
    }
    case.refuses("exp: 2^64 - 1", &case.token.with("exp", json!(u64::MAX)));
    case.refuses("iat: 2^64 - 1", &case.token.with("iat", json!(u64::MAX)));
    case.ends_well();
}

#[test]
fn a_text_that_is_no_text_is_refused() {
    let case = Case::new();
    for name in ["sub", "iss", "jti", "sid"] {
        let genuine = case.token.claim(name).clone();
        for value in [json!(1), json!(true), json!([genuine]), json!({"id": genuine})] {
            case.refuses(&format!("{name}: {value}"), &case.token.with(name, value.clone()));
        }
    }
    case.refuses("sub empty", &case.token.with("sub", json!("")));
    case.refuses("sub a lone surrogate", &case.token.with_literal("sub", r#""\ud800""#));
    case.refuses("sub in invalid UTF-8", &{
        let text = Value::Object(case.token.claims.clone()).to_string();
        let mut bytes = text.into_bytes();
        let place = bytes.windows(7).position(|window| window == b"\"sub\":\"").expect("a sub");
        bytes.insert(place + 7, 0xff);
        case.token.with_payload(bytes)
    });
    case.ends_well();
}

#[test]
fn a_foreign_issuer_is_refused() {
    let case = Case::new();
    assert_eq!(case.token.claim("iss"), ISSUER);
    for iss in [
        json!("https://other.flows.test"),
        json!(format!("{ISSUER}/")),
        json!(ISSUER.to_uppercase()),
        json!(ISSUER[..ISSUER.len() - 1]),
        json!(""),
        json!([ISSUER]),
        json!([ISSUER, "https://other.flows.test"]),
    ] {
        case.refuses(&format!("iss: {iss}"), &case.token.with("iss", iss.clone()));
    }
    case.ends_well();
}

#[test]
fn the_audience_must_contain_ours() {
    let case = Case::new();
    case.accepts("ours", &case.token.with("aud", json!(AUDIENCE)));
    case.accepts("ours alone in a list", &case.token.with("aud", json!([AUDIENCE])));
    let among = json!(["https://other.flows.test", AUDIENCE]);
    case.accepts("ours among others", &case.token.with("aud", among));
    for aud in [
        json!("https://other.flows.test"),
        json!(format!("{AUDIENCE} https://other.flows.test")),
        json!(format!("{AUDIENCE}.evil")),
        json!(ISSUER),
        json!(""),
        json!([]),
        json!(["https://other.flows.test"]),
        json!([[AUDIENCE]]),
        json!([AUDIENCE, 1]),
        json!({AUDIENCE: true}),
        json!(1),
    ] {
        case.refuses(&format!("aud: {aud}"), &case.token.with("aud", aud.clone()));
    }
    case.ends_well();
}

#[test]
fn a_token_from_the_future_or_for_too_long_is_refused() {
    let case = Case::new();
    let times = |iat: i64, exp: i64| {
        case.token.with_claims(|claims| {
            claims.insert("iat".to_owned(), json!(iat));
            claims.insert("exp".to_owned(), json!(exp));
        })
    };
    let now = now();
    case.accepts("iat half a minute ahead", &times(now + 30, now + 900));
    case.refuses("iat two minutes ahead", &times(now + 120, now + 900));
    case.refuses("iat a year ahead", &times(now + 365 * DAY, now + 365 * DAY + 900));
    case.accepts("a day", &times(now, now + DAY));
    case.refuses("a second over a day", &times(now, now + DAY + 1));
    case.refuses("a year", &times(now, now + 365 * DAY));
    case.refuses("since 1970", &times(0, now + 900));

    case.accepts("nbf past", &case.token.with("nbf", json!(now - 60)));
    case.refuses("nbf in ten minutes", &case.token.with("nbf", json!(now + 600)));
    case.refuses("nbf text", &case.token.with("nbf", json!((now - 60).to_string())));
    case.ends_well();
}

#[test]
fn a_repeated_claim_is_refused() {
    let case = Case::new();
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "sid", "ver"] {
        let genuine = case.token.claim(name);
        case.refuses(name, &case.token.with_member(&format!("\"{name}\":{genuine}")));
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        case.refuses(name, &case.token.with_member(&format!("\"{escaped}\":{genuine}")));
    }
    let other = case.token.with_member("\"sub\":\"somebody-else\"");
    case.refuses("sub of somebody else", &other);
    case.refuses("roles", &case.token.with_member("\"roles\":[],\"roles\":[\"admin\"]"));
    case.ends_well();
}

#[test]
fn a_payload_that_is_not_one_json_object_is_refused() {
    let case = Case::new();
    let claims = Value::Object(case.token.claims.clone()).to_string();
    case.accepts("the claims as they are", &case.token.with_payload(&claims));
    let values: Vec<_> = case.token.claims.values().collect();
    for (what, payload) in [
        ("in an array", format!("[{claims}]")),
        ("its values as an array", json!(values).to_string()),
        ("in a text", json!(claims).to_string()),
        ("null", "null".to_owned()),
        ("a number", "1".to_owned()),
        ("an empty object", "{}".to_owned()),
        ("nothing", String::new()),
        ("a byte order mark", format!("\u{feff}{claims}")),
        ("trailing text", format!("{claims}x")),
        ("trailing object", format!("{claims}{{}}")),
        ("trailing NUL", format!("{claims}\0")),
        ("trailing comma", format!("{},}}", &claims[..claims.len() - 1])),
        ("cut short", claims[..claims.len() - 1].to_owned()),
        ("single quotes", claims.replace('"', "'")),
        ("a comment", format!("/**/{claims}")),
    ] {
        case.refuses(what, &case.token.with_payload(payload));
    }
    case.ends_well();
}

#[test]
fn an_unknown_claim_is_skipped_at_any_depth() {
    let case = Case::new();
    case.accepts("an object", &case.token.with("note", json!({"sub": 1, "exp": "never"})));
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    case.accepts("1,000 deep", &case.token.with_literal("note", &deep));
    let deep = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
    case.accepts("500 objects deep", &case.token.with_literal("note", &deep));
    case.ends_well();
}

#[test]
fn an_unknown_user_passes_no_guard_that_loads_the_user() {
    let case = Case::new();
    let nobody = case.token.with("sub", json!("nobody-at-all"));
    case.server.get("/account").bearer(&nobody).send().token_refused("token_revoked");
    case.server.get("/auth/me").bearer(&nobody).send().token_refused("token_revoked");
    case.ends_well();
}
