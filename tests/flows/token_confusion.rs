//! Tokens in the wrong place, under the wrong algorithm, in the wrong shape. The claims of the
//! payload are another file's: here the payload is genuine.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::forge::{Genuine, encode};
use crate::server::{ACCESS_SECRET, AXUM_MEMORY, HYPER_BARE, Launch, REFRESH_SECRET, Server};

/// Refused as `token_invalid` by whatever way it comes, and the server is there afterwards.
#[track_caller]
fn refuses(server: &Server, tokens: &[(&str, String)]) {
    for (what, token) in tokens {
        for answer in [
            server.get("/profile").bearer(token).send(),
            server.get("/profile").cookie("access_token", token).send(),
            server.get("/auth/me").bearer(token).send(),
        ] {
            assert_eq!(answer.status, 401, "{what}: {answer}");
            assert_eq!(answer.json()["code"], "token_invalid", "{what}: {answer}");
            answer.token_refused("token_invalid");
        }
    }
    server.is_alive();
}

#[track_caller]
fn genuine(server: &Server) -> Genuine {
    let token = Genuine::access(&server.register("lovelace").access());
    server.get("/profile").bearer(token.text()).send().expect(200);
    token
}

#[test]
fn a_token_signed_anew_with_the_right_secret_passes() {
    // Without this, every refusal below could have its reason in the forging.
    let server = Server::start();
    let token = genuine(&server);
    let anew = token.with("note", json!("a claim of nobody's"));
    assert_ne!(anew, token.text());
    server.get("/profile").bearer(&anew).send().expect(200);
    server.get("/profile").cookie("access_token", &anew).send().expect(200);
    assert_eq!(token.with_header(|_| {}).split('.').count(), 3);
}

#[test]
fn a_refresh_token_is_refused_as_bearer() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let refresh = server.register("lovelace").refresh();
        server.get("/profile").bearer(&refresh).send().token_refused("token_invalid");
        server.get("/greeting").bearer(&refresh).send().token_refused("token_invalid");
        let as_cookie = server.get("/profile").cookie("access_token", &refresh).send();
        as_cookie.token_refused("token_invalid");
    }
}

#[test]
fn a_refresh_token_under_the_access_key_is_refused_still() {
    let server = Server::start();
    let browser = server.register("lovelace");
    let access = Genuine::access(&browser.access());
    let refresh = Genuine::refresh(&browser.refresh());
    let claims = Value::Object(refresh.claims.clone()).to_string();
    refuses(&server, &[("refresh claims as an access token", access.with_payload(claims))]);
}

#[test]
fn an_access_token_is_refused_at_refresh() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).env("TOKEN_DELIVERY", "cookie,body").start();
        let mut browser = server.register("lovelace");
        let access = browser.access();
        server.refresh_with(&access).problem(401, "refresh_invalid");
        let body = json!({"refresh_token": access});
        server.post("/auth/refresh").json(&body).send().problem(401, "refresh_invalid");

        let refresh = Genuine::refresh(&browser.refresh());
        let claims = Value::Object(Genuine::access(&access).claims).to_string();
        server.refresh_with(&refresh.with_payload(claims)).problem(401, "refresh_invalid");
        browser.post("/auth/refresh").send().expect(200);
    }
}

#[test]
fn the_algorithm_none_is_refused_in_every_spelling() {
    let server = Server::start();
    let token = genuine(&server);
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "none ", ""] {
        let signed = token.with_header(|header| {
            header.insert("alg".to_owned(), json!(alg));
        });
        let (unsigned, _) = signed.rsplit_once('.').expect("a token has segments");
        tokens.push((alg, format!("{unsigned}.")));
        tokens.push((alg, unsigned.to_owned()));
        tokens.push((alg, format!("{unsigned}.{}", token.signature)));
        tokens.push((alg, signed));
        let bare = encode(json!({"alg": alg, "typ": "at+jwt"}).to_string());
        tokens.push((alg, format!("{bare}.{}.", token.payload)));
    }
    refuses(&server, &tokens);
}

#[test]
fn another_header_is_refused_though_the_signature_is_right() {
    let server = Server::start();
    let token = genuine(&server);
    let with = |name: &str, value: Value| {
        token.with_header(|header| {
            header.insert(name.to_owned(), value);
        })
    };
    let own_key = json!({"kty": "oct", "k": encode(ACCESS_SECRET)});
    let mut tokens = vec![
        ("HS384", with("alg", json!("HS384"))),
        ("HS512", with("alg", json!("HS512"))),
        ("hs256", with("alg", json!("hs256"))),
        ("RS256", with("alg", json!("RS256"))),
        ("EdDSA", with("alg", json!("EdDSA"))),
        ("alg twice", with("alg", json!(["HS256", "none"]))),
        ("alg null", with("alg", Value::Null)),
        ("typ JWT", with("typ", json!("JWT"))),
        ("typ at+jws", with("typ", json!("at+jws"))),
        ("typ null", with("typ", Value::Null)),
        ("crit", with("crit", json!(["exp"]))),
        ("crit unknown", with("crit", json!(["urn:unheard-of"]))),
        (
            "b64",
            token.with_header(|header| {
                header.insert("b64".to_owned(), json!(false));
                header.insert("crit".to_owned(), json!(["b64"]));
            }),
        ),
        ("zip", with("zip", json!("DEF"))),
        ("jwk", with("jwk", own_key)),
        ("jku", with("jku", json!("http://127.0.0.1:9/jwks.json"))),
        ("x5u", with("x5u", json!("http://127.0.0.1:9/cert.pem"))),
        ("x5c", with("x5c", json!(["AAAA"]))),
        ("enc", with("enc", json!("A256GCM"))),
        ("kid", with("kid", json!("another"))),
        ("kid path", with("kid", json!("../../../../dev/null"))),
        ("kid query", with("kid", json!("' OR 1=1 --"))),
        ("kid null", with("kid", Value::Null)),
        ("kid number", with("kid", json!(1))),
    ];
    tokens.push((
        "no typ",
        token.with_header(|header| {
            header.remove("typ").expect("an access token has a typ");
        }),
    ));
    refuses(&server, &tokens);
}

#[test]
fn the_header_of_the_other_kind_is_refused_with_its_secret() {
    let server = Server::start();
    let browser = server.register("lovelace");
    let access = Genuine::access(&browser.access());
    let refresh = Genuine::refresh(&browser.refresh());
    let (mut as_refresh, mut as_access) = (access.clone(), refresh.clone());
    as_refresh.header.clone_from(&refresh.header);
    as_access.header.clone_from(&access.header);
    refuses(&server, &[("the refresh token's header", as_refresh.with_claims(|_| {}))]);
    let answer = server.refresh_with(&as_access.with_claims(|_| {}));
    answer.problem(401, "refresh_invalid");
}

#[test]
fn a_signature_that_is_not_ours_is_refused() {
    let server = Server::start();
    let token = genuine(&server);
    let (header, payload, signature) = (&token.header, &token.payload, &token.signature);
    let mut raised = token.clone();
    raised.claims.insert("roles".to_owned(), json!(["admin"]));
    let raised = encode(Value::Object(raised.claims).to_string());
    refuses(
        &server,
        &[
            ("stripped", format!("{header}.{payload}.")),
            ("stripped with its dot", format!("{header}.{payload}")),
            ("short", format!("{header}.{payload}.{}", &signature[..signature.len() - 4])),
            ("long", format!("{header}.{payload}.{signature}AAAA")),
            ("zero", format!("{header}.{payload}.{}", encode([0; 32]))),
            ("roles raised", format!("{header}.{raised}.{signature}")),
            ("refresh secret", token.signed_with(REFRESH_SECRET)),
            ("empty secret", token.signed_with("")),
        ],
    );
}

#[test]
fn a_shape_that_is_not_three_canonical_segments_is_refused() {
    let server = Server::start();
    let token = genuine(&server);
    let text = token.text();
    let (header, payload, signature) = (&token.header, &token.payload, &token.signature);
    let raw = URL_SAFE_NO_PAD.decode(signature).expect("a signature is base64url");
    refuses(
        &server,
        &[
            ("four segments", format!("{text}.{signature}")),
            ("four segments, one empty", format!("{text}.")),
            ("an empty one before", format!(".{text}")),
            ("five segments", format!("{header}.{payload}.{payload}.{payload}.{signature}")),
            ("no header", format!(".{payload}.{signature}")),
            ("no payload", format!("{header}..{signature}")),
            ("only dots", "..".to_owned()),
            ("10,000 dots", ".".repeat(10_000)),
            ("one word", "token".to_owned()),
            ("padded signature", format!("{text}=")),
            ("padded payload", format!("{header}.{payload}=.{signature}")),
            ("padded header", format!("{header}=.{payload}.{signature}")),
            ("last character not canonical", format!("{header}.{payload}.{}", non_canonical(signature))),
            ("not base64", format!("{header}.{payload}.!{}", &signature[1..])),
            ("hexadecimal", format!("{header}.{payload}.{}", hex(&raw))),
        ],
    );
}

#[test]
fn the_standard_alphabet_is_refused() {
    let server = Server::start();
    let token = genuine(&server);
    let mut tried = 0;
    for nonce in 0.. {
        let text = token.with("note", json!(nonce));
        let (signed, signature) = text.rsplit_once('.').expect("a token has segments");
        let raw = URL_SAFE_NO_PAD.decode(signature).expect("a signature is base64url");
        let standard = STANDARD_NO_PAD.encode(raw);
        if standard == signature {
            continue;
        }
        server.get("/profile").bearer(&text).send().expect(200);
        refuses(&server, &[("standard alphabet", format!("{signed}.{standard}"))]);
        tried += 1;
        if tried == 4 {
            break;
        }
    }
}

#[test]
fn whitespace_and_other_text_beside_a_token_are_refused() {
    let server = Server::start();
    let token = genuine(&server);
    let (text, signature) = (token.text(), &token.signature);
    let body = &text[..text.len() - signature.len()];
    for value in [
        format!("Bearer {body} {signature}"),
        format!("Bearer {body}\t{signature}"),
        format!("Bearer {text} {text}"),
        format!("Bearer {text}, {text}"),
        format!("Bearer {text}, Basic YTpi"),
        format!("Bearer {text};charset=utf-8"),
        format!("Bearer token={text}"),
        format!("Bearer \"{text}\""),
        format!("Bearer {}", text.replace('.', "%2E")),
    ] {
        let answer = server.get("/profile").header("Authorization", &value).send();
        assert_eq!(answer.json()["code"], "token_invalid", "{value}: {answer}");
        answer.token_refused("token_invalid");
    }
    // NUL cannot be in a header at all; whatever the server makes of it, it is not a login.
    let head = format!("GET /profile HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", server.host());
    for value in [format!("{text}\0"), format!("{body}\0{signature}"), format!("\0{text}")] {
        let wire = format!("{head}Authorization: Bearer {value}\r\n\r\n");
        if let Ok(answer) = server.raw(wire.as_bytes()) {
            assert!(answer.status == 400 || answer.status == 401, "{answer}");
        }
    }
    server.is_alive();
}

#[test]
fn a_signed_token_over_eight_kibibytes_is_refused() {
    let server = Server::start();
    let token = genuine(&server);
    let bare = token.with("note", json!("")).len();
    let of_length = |length: usize| {
        // Four characters of base64 for three of text.
        token.with("note", json!("x".repeat((length - bare) / 4 * 3)))
    };
    let fits = of_length(8 * 1024 - 8);
    assert!((8 * 1024 - 32..=8 * 1024).contains(&fits.len()), "{}", fits.len());
    server.get("/profile").bearer(&fits).send().expect(200);
    refuses(
        &server,
        &[
            ("a little over", of_length(8 * 1024 + 64)),
            ("twice", of_length(16 * 1024)),
            ("deep", token.with_literal("note", &format!("{}{}", "[".repeat(9_000), "]".repeat(9_000)))),
        ],
    );
}

/// The same bytes under another last character: its unused bits are set.
fn non_canonical(segment: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = segment.split_at(segment.len() - 1);
    let value = ALPHABET.iter().position(|c| [*c] == *last.as_bytes()).expect("base64url");
    assert_eq!((segment.len() % 4, value % 4), (3, 0), "32 bytes leave two bits unused");
    format!("{rest}{}", char::from(ALPHABET[value + 1]))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    let pair = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(pair).collect()
}
