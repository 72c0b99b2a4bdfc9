//! Bodies that are wrong: as a whole, by a member of the wrong type, field by field.

use serde_json::{Value, json};

use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD, Server};

/// A good registration, with members changed.
fn registration(changes: Value) -> Value {
    let mut body = json!({
        "email": "lovelace@example.com",
        "username": "lovelace",
        "password": PASSWORD,
        "name": "Augusta Ada Lovelace",
    });
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (name, value) in changes {
        if value.is_null() {
            body.as_object_mut().expect("an object").remove(&name);
        } else {
            body[name] = value;
        }
    }
    body
}

#[test]
fn a_body_that_is_not_what_it_says_is_invalid() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let mut browser = server.register("hopper");
        let good = registration(json!({})).to_string();
        let mut bodies: Vec<Vec<u8>> = [
            "{",
            "",
            "nonsense",
            "[]",
            "null",
            "true",
            "1",
            "\"text\"",
            "{}{}",
            "{'email': 1}",
            r#"["hopper@example.com", "vermilion otter crossing 7"]"#,
        ]
        .map(|text| text.as_bytes().to_vec())
        .into();
        bodies.push(format!("{good}x").into_bytes());
        bodies.push(format!("[{good}]").into_bytes());
        bodies.push(good.replace("Ada", "\u{0}").into_bytes());
        bodies.push({
            let mut bytes = good.clone().into_bytes();
            let place = good.find("lovelace").expect("it is in there");
            bytes[place] = 0xff;
            bytes
        });
        for body in &bodies {
            for route in ["/auth/register", "/auth/login"] {
                let answer = server.post(route).body("application/json", body.as_slice()).send();
                let text = String::from_utf8_lossy(body);
                assert_eq!(answer.status, 400, "{route}: {text}: {answer}");
                answer.problem(400, "invalid_body").sets_no_cookie();
            }
            let change = browser.put("/auth/password").body("application/json", body.as_slice());
            change.send().problem(400, "invalid_body");
        }
        server.is_alive();
        server.post("/auth/register").body("application/json", good).send().expect(201);
    }
}

#[test]
fn a_member_of_a_wrong_type_is_an_invalid_body() {
    let server = Server::start();
    for value in [json!(1), json!(true), json!(["lovelace"]), json!({"is": "lovelace"})] {
        for name in ["email", "password", "username", "name"] {
            let body = registration(json!({name: value}));
            server.post("/auth/register").json(&body).send().problem(400, "invalid_body");
        }
        for login in [
            json!({"email": value, "password": PASSWORD}),
            json!({"login": value, "password": PASSWORD}),
            json!({"email": "lovelace@example.com", "password": value}),
        ] {
            server.post("/auth/login").json(&login).send().problem(400, "invalid_body");
        }
        let refresh = json!({"refresh_token": value});
        server.post("/auth/refresh").json(&refresh).send().problem(400, "invalid_body");
    }
    server.post("/auth/register").json(&registration(json!({}))).send().expect(201);
}

#[test]
fn a_member_sent_twice_is_an_invalid_body() {
    let server = Server::start();
    server.register("lovelace");
    for body in [
        r#"{"email":"lovelace@example.com","email":"lovelace@example.com","password":"PASSWORD"}"#,
        r#"{"email":"hopper@example.com","email":"lovelace@example.com","password":"PASSWORD"}"#,
        r#"{"email":"lovelace@example.com","password":"other","password":"PASSWORD"}"#,
        r#"{"email":"lovelace@example.com","password":"PASSWORD","\u0070assword":"PASSWORD"}"#,
    ] {
        let body = body.replace("PASSWORD", PASSWORD);
        for route in ["/auth/login", "/auth/register"] {
            let answer = server.post(route).body("application/json", body.as_str()).send();
            answer.problem(400, "invalid_body").sets_no_cookie();
        }
    }
    let password = PASSWORD.replace(' ', "+");
    for form in [
        format!("email=lovelace%40example.com&email=lovelace%40example.com&password={password}"),
        format!("email=lovelace%40example.com&password=other&password={password}"),
        format!("email=%FFlovelace%40example.com&password={password}"),
    ] {
        server.post("/auth/login").form(&form).send().problem(400, "invalid_body");
        server.post("/auth/register").form(&form).send().problem(400, "invalid_body");
    }
}

#[test]
fn a_registration_is_validated_field_by_field() {
    let server = Server::start();
    let long = |length: usize| "x".repeat(length);
    let mut cases = vec![
        ("email", Value::Null),
        ("email", json!("")),
        ("email", json!("   ")),
        ("email", json!(format!("{}@example.com", long(300)))),
        ("password", Value::Null),
        ("password", json!("")),
        ("password", json!("7 chars")),
        ("password", json!("😀😀😀😀😀😀😀")),
        ("password", json!(long(1_025))),
        ("password", json!("é".repeat(513))),
        ("password", json!("password123")),
        ("password", json!("12345678")),
        ("password", json!("lovelace@example.com")),
        ("password", json!("Augusta Ada Lovelace")),
        ("password", json!("lovelace")),
        ("username", json!(long(5_000))),
        ("name", json!(long(10_000))),
    ];
    for email in [
        "lovelace",
        "lovelace@",
        "@example.com",
        "love lace@example.com",
        "lovelace@exam ple.com",
        "lovelace@example.com, hopper@example.com",
        "a@b@example.com",
        "lovelace\n@example.com",
        "lovelace@example.com\r\nBcc: hopper@example.com",
    ] {
        cases.push(("email", json!(email)));
    }
    for (field, value) in cases {
        let body = registration(json!({field: value}));
        let answer = server.post("/auth/register").json(&body).send().sets_no_cookie();
        assert_eq!(answer.status, 400, "{field} {value}: {answer}");
        answer.invalid_field(field);
    }
    server.post("/auth/register").json(&registration(json!({}))).send().expect(201);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let server = Server::start();
    let both = json!({"email": "no address", "password": "short"});
    for body in [both, json!({})] {
        let answer = server.post("/auth/register").json(&body).send().invalid_field("email");
        answer.invalid_field("password");
    }
}

#[test]
fn a_login_says_what_it_lacks() {
    let server = Server::start();
    let no_password = json!({"email": "lovelace@example.com"});
    server.post("/auth/login").json(&no_password).send().invalid_field("password");
    server.post("/auth/login").form("email=a%40example.com").send().invalid_field("password");
    // Which of the three members it complains of is its own affair.
    let answer = server.post("/auth/login").json(&json!({"password": PASSWORD})).send();
    let errors = answer.problem(400, "validation_failed").json()["errors"].clone();
    let fields: Vec<_> = errors.as_array().into_iter().flatten().map(|e| e["field"].clone()).collect();
    assert!(fields.iter().any(|f| *f == "email" || *f == "username" || *f == "login"), "{fields:?}");
}

#[test]
fn a_new_password_is_validated_and_nothing_changes() {
    let server = Server::start();
    let mut browser = server.register("lovelace");
    let long = "x".repeat(1_025);
    for new in ["", "short", "password123", &long, "lovelace@example.com", "lovelace"] {
        let change = json!({"current_password": PASSWORD, "new_password": new});
        let answer = browser.put("/auth/password").json(&change).send().sets_no_cookie();
        assert_eq!(answer.status, 400, "{new:?}: {answer}");
        answer.invalid_field("new_password");
    }
    let missing = json!({"current_password": PASSWORD});
    browser.put("/auth/password").json(&missing).send().invalid_field("new_password");
    let missing = json!({"new_password": "cobalt heron standing 9"});
    browser.put("/auth/password").json(&missing).send().invalid_field("current_password");
    browser.get("/profile").send().expect(200);
    server.log_in("lovelace");
}
