//! Where tokens are handed out: cookies, the body, or both, as configured and as asked for.

use serde_json::{Value, json};

use crate::client::Response;
use crate::server::{PASSWORD, Server};

fn login() -> Value {
    json!({"email": "lovelace@example.com", "password": PASSWORD})
}

fn login_delivered(how: &str) -> Value {
    json!({"email": "lovelace@example.com", "password": PASSWORD, "delivery": how})
}

#[track_caller]
fn registered(server: &Server) -> Response {
    let body = json!({
        "email": "lovelace@example.com", "username": "lovelace", "password": PASSWORD,
    });
    server.post("/auth/register").json(&body).send().expect(201).not_stored()
}

/// Which tokens are where: body access, body refresh, cookie access, cookie refresh.
fn places(answer: &Response) -> [bool; 4] {
    let body = answer.json();
    let cookies = answer.set_cookies();
    let cookie = |name: &str| cookies.iter().any(|cookie| cookie.name == name);
    [
        body["access_token"].is_string(),
        body["refresh_token"].is_string(),
        cookie("access_token"),
        cookie("refresh_token"),
    ]
}

const COOKIE: [bool; 4] = [false, false, true, true];
const BODY: [bool; 4] = [true, true, false, false];
const SPLIT: [bool; 4] = [true, false, false, true];
const BOTH: [bool; 4] = [true, true, true, true];

#[track_caller]
fn member(answer: &Response, name: &str) -> String {
    let body = answer.json();
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned()
}

#[test]
fn in_cookies_is_the_default() {
    let server = Server::start();
    assert_eq!(places(&registered(&server)), COOKIE);
    let answer = server.post("/auth/login").json(&login()).send().tokens_in_cookies(200);
    assert_eq!(places(&answer), COOKIE);
    let answer = server.post("/auth/login").json(&login_delivered("cookie")).send();
    assert_eq!(places(&answer.expect(200)), COOKIE);
}

#[test]
fn in_the_body_no_cookie_is_set() {
    let server = Server::with(&[("TOKEN_DELIVERY", "body")]);
    assert_eq!(places(&registered(&server)), BODY);
    let answer = server.post("/auth/login").json(&login()).send().expect(200).not_stored();
    assert_eq!(places(&answer), BODY);
    assert_eq!(answer.json()["token_type"], "Bearer");
    assert_eq!(answer.json()["expires_in"], 900);
    let (access, refresh) = (member(&answer, "access_token"), member(&answer, "refresh_token"));
    server.get("/profile").bearer(&access).send().expect(200);

    let body = json!({"refresh_token": refresh});
    let answer = server.post("/auth/refresh").json(&body).send().expect(200).not_stored();
    assert_eq!(places(&answer), BODY);
    assert_ne!(member(&answer, "refresh_token"), refresh);
    let access = member(&answer, "access_token");

    let change = json!({"current_password": PASSWORD, "new_password": "cobalt heron standing 9"});
    let answer = server.put("/auth/password").bearer(&access).json(&change).send().expect(200);
    assert_eq!(places(&answer.clone().not_stored()), BODY);
    server.get("/profile").bearer(&member(&answer, "access_token")).send().expect(200);

    let refresh = member(&answer, "refresh_token");
    let body = json!({"refresh_token": refresh});
    server.post("/auth/logout").json(&body).send().expect(204);
    server.post("/auth/refresh").json(&body).send().problem(401, "refresh_invalid");
}

#[test]
fn split_keeps_the_refresh_token_from_scripts() {
    let server = Server::with(&[("TOKEN_DELIVERY", "split")]);
    assert_eq!(places(&registered(&server)), SPLIT);
    let mut browser = server.browser();
    let answer = browser.post("/auth/login").json(&login()).send().expect(200).not_stored();
    assert_eq!(places(&answer), SPLIT);
    server.get("/profile").bearer(&member(&answer, "access_token")).send().expect(200);

    let answer = browser.post("/auth/refresh").send().expect(200).not_stored();
    assert_eq!(places(&answer), SPLIT);
    server.get("/profile").bearer(&member(&answer, "access_token")).send().expect(200);
    browser.post("/auth/logout").send().expect(204);
    assert!(!browser.has("refresh_token"));
}

#[test]
fn both_answers_a_cookie_with_no_refresh_token_in_the_body() {
    let server = Server::with(&[("TOKEN_DELIVERY", "both")]);
    assert_eq!(places(&registered(&server)), BOTH);
    let mut browser = server.browser();
    let answer = browser.post("/auth/login").json(&login()).send().expect(200).not_stored();
    assert_eq!(places(&answer), BOTH);
    assert_eq!(member(&answer, "access_token"), browser.access());
    assert_eq!(member(&answer, "refresh_token"), browser.refresh());

    let answer = browser.post("/auth/refresh").send().expect(200);
    assert_eq!(places(&answer), [true, false, true, true]);
}

#[test]
fn a_client_may_choose_among_the_deliveries_of_a_list() {
    let server = Server::with(&[("TOKEN_DELIVERY", "cookie,body")]);
    assert_eq!(places(&registered(&server)), COOKIE);
    let body = json!({"email": "hopper@example.com", "password": PASSWORD, "delivery": "body"});
    let answer = server.post("/auth/register").json(&body).send().expect(201);
    assert_eq!(places(&answer), BODY);

    let mut browser = server.browser();
    let answer = browser.post("/auth/login").json(&login()).send().expect(200);
    assert_eq!(places(&answer), COOKIE);
    let explicit = server.post("/auth/login").json(&login_delivered("cookie")).send().expect(200);
    assert_eq!(places(&explicit), COOKIE);
    let native = server.post("/auth/login").json(&login_delivered("body")).send().expect(200);
    assert_eq!(places(&native), BODY);
    let form = format!("login=lovelace&password={}&delivery=body", PASSWORD.replace(' ', "+"));
    let by_form = server.post("/auth/login").form(&form).send().expect(200);
    assert_eq!(places(&by_form), BODY);

    // A refresh answers the way its token came.
    let answer = browser.post("/auth/refresh").send().expect(200);
    assert_eq!(places(&answer), COOKIE);
    let body = json!({"refresh_token": member(&native, "refresh_token")});
    let answer = server.post("/auth/refresh").json(&body).send().expect(200);
    assert_eq!(places(&answer), BODY);
    let form = format!("refresh_token={}", member(&by_form, "refresh_token"));
    let answer = server.post("/auth/refresh").form(&form).send().expect(200);
    assert_eq!(places(&answer), BODY);
}

#[test]
fn a_cookie_is_never_turned_into_tokens_in_a_body() {
    let server = Server::with(&[("TOKEN_DELIVERY", "cookie,body")]);
    registered(&server);
    let mut browser = server.log_in("lovelace");
    for delivery in [json!({"delivery": "body"}), json!({})] {
        let answer = browser.post("/auth/refresh").json(&delivery).send().expect(200);
        assert_eq!(places(&answer), COOKIE, "{delivery}");
    }
    let change = json!({
        "current_password": PASSWORD,
        "new_password": "cobalt heron standing 9",
        "delivery": "body",
    });
    let answer = browser.put("/auth/password").json(&change).send().expect(200);
    assert_eq!(places(&answer), COOKIE);
}

#[test]
fn the_refresh_token_of_the_body_wins_over_the_cookie() {
    let server = Server::with(&[("TOKEN_DELIVERY", "cookie,body")]);
    registered(&server);
    let mut browser = server.log_in("lovelace");
    let kept = browser.refresh();
    let native = server.post("/auth/login").json(&login_delivered("body")).send().expect(200);
    let native_session = server.session_of(&member(&native, "access_token"));
    assert_ne!(native_session, server.session_of(&browser.access()));

    let body = json!({"refresh_token": member(&native, "refresh_token")});
    let answer = browser.post("/auth/refresh").json(&body).send().expect(200);
    assert_eq!(places(&answer), BODY);
    assert_eq!(server.session_of(&member(&answer, "access_token")), native_session);
    assert_eq!(browser.refresh(), kept);
    browser.post("/auth/refresh").send().expect(200);

    let bad = json!({"refresh_token": "not.a.token"});
    browser.post("/auth/refresh").json(&bad).send().problem(401, "refresh_invalid");
}

#[test]
fn a_delivery_that_is_not_allowed_is_a_mistake_of_that_field() {
    for (configured, asked) in
        [("cookie", "body"), ("body", "cookie"), ("cookie,body", "split"), ("cookie,body", "both"), ("split", "body")]
    {
        let server = Server::with(&[("TOKEN_DELIVERY", configured)]);
        registered(&server);
        let answer = server.post("/auth/login").json(&login_delivered(asked)).send();
        answer.invalid_field("delivery").sets_no_cookie();
        let body = json!({"email": "hopper@example.com", "password": PASSWORD, "delivery": asked});
        let answer = server.post("/auth/register").json(&body).send();
        answer.invalid_field("delivery").sets_no_cookie();
        let body = json!({"email": "hopper@example.com", "password": PASSWORD});
        server.post("/auth/register").json(&body).send().expect(201);
    }
}
