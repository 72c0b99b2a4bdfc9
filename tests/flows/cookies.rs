//! Cookies to the letter: names and attributes when they are set and when they are deleted.

use serde_json::json;

use crate::client::{Response, SetCookie};
use crate::forge::{Genuine, now};
use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD, Server};

const ACCESS_AGE: i64 = 15 * 60;
const SESSION_AGE: i64 = 7 * 24 * 60 * 60;

/// How a server names and secures its cookies.
#[derive(Clone, Copy)]
struct Kind {
    access: &'static str,
    refresh: &'static str,
    attributes: &'static [&'static str],
}

const SECURE: Kind = Kind {
    access: "__Host-access_token",
    refresh: "__Host-refresh_token",
    attributes: &["HttpOnly", "Path=/", "SameSite=Strict", "Secure"],
};

const INSECURE: Kind =
    Kind { access: "access_token", refresh: "refresh_token", attributes: &["HttpOnly", "Path=/", "SameSite=Strict"] };

fn servers() -> [(Server, Kind); 3] {
    let secure = |example| Launch::new(example).without("INSECURE_COOKIES").start();
    [(secure(AXUM_MEMORY), SECURE), (secure(HYPER_BARE), SECURE), (Server::start(), INSECURE)]
}

/// Exactly these attributes, in any order, beside the age.
#[track_caller]
fn assert_attributes(cookie: &SetCookie, kind: Kind) {
    let is_age = |attribute: &&String| attribute.to_ascii_lowercase().starts_with("max-age=");
    let ages = cookie.attributes.iter().filter(is_age).count();
    assert_eq!(ages, 1, "{cookie:?}");
    let mut others: Vec<_> = cookie.attributes.iter().filter(|a| !is_age(a)).collect();
    others.sort();
    assert_eq!(others, kind.attributes, "{cookie:?}");
}

#[track_caller]
fn assert_set(answer: &Response, kind: Kind) {
    assert_eq!(answer.set_cookies().len(), 2, "{answer}");
    let (access, refresh) = (answer.set_cookie(kind.access), answer.set_cookie(kind.refresh));
    for cookie in [&access, &refresh] {
        assert_attributes(cookie, kind);
        assert_eq!(cookie.value.split('.').count(), 3, "{cookie:?}");
    }
    assert_eq!(access.max_age(), Some(ACCESS_AGE), "{access:?}");
    // What is left of the session, in whole seconds: all of it, but for the time that this took.
    let left = refresh.max_age().unwrap_or_default();
    assert!((SESSION_AGE - 10..=SESSION_AGE).contains(&left), "{refresh:?}");
}

#[track_caller]
fn assert_deleted(answer: &Response, kind: Kind) {
    assert_eq!(answer.set_cookies().len(), 2, "{answer}");
    for name in [kind.access, kind.refresh] {
        let cookie = answer.set_cookie(name);
        assert_attributes(&cookie, kind);
        assert_eq!(cookie.max_age(), Some(0), "{cookie:?}");
        assert!(!cookie.value.contains('.'), "a deleted cookie has a token: {cookie:?}");
    }
}

#[test]
fn cookies_are_set_with_the_attributes_of_the_contract() {
    for (server, kind) in servers() {
        let mut browser = server.browser();
        let body = json!({"email": "lovelace@example.com", "password": PASSWORD});
        assert_set(&browser.post("/auth/register").json(&body).send().expect(201), kind);
        assert_set(&server.post("/auth/login").json(&body).send().expect(200), kind);
        assert_set(&browser.post("/auth/refresh").send().expect(200), kind);
        browser.get("/profile").send().expect(200).sets_no_cookie();
        browser.get("/auth/me").send().expect(200).sets_no_cookie();
        let change = json!({"current_password": PASSWORD, "new_password": "cobalt heron standing 9"});
        assert_set(&browser.put("/auth/password").json(&change).send().expect(200), kind);
        browser.get("/profile").send().expect(200);
    }
}

#[test]
fn cookies_are_deleted_with_the_attributes_they_were_set_with() {
    for (server, kind) in servers() {
        let body = json!({"email": "lovelace@example.com", "password": PASSWORD});
        let mut browser = server.browser();
        browser.post("/auth/register").json(&body).send().expect(201);
        let mut at_another = server.browser();
        at_another.post("/auth/login").json(&body).send().expect(200);

        assert_deleted(&browser.post("/auth/logout").send().expect(204), kind);
        assert!(!browser.has(kind.access) && !browser.has(kind.refresh));
        at_another.get("/profile").send().expect(200);
        assert_deleted(&at_another.post("/auth/logout-all").send().expect(204), kind);
        assert!(!at_another.has(kind.access) && !at_another.has(kind.refresh));
    }
}

#[test]
fn secure_cookies_are_not_read_under_the_insecure_names() {
    let server = Launch::new(AXUM_MEMORY).without("INSECURE_COOKIES").start();
    let browser = server.register("lovelace");
    let (access, refresh) = (browser.cookie(SECURE.access), browser.cookie(SECURE.refresh));

    server.get("/profile").cookie(SECURE.access, &access).send().expect(200);
    for name in [INSECURE.access, "__host-access_token", "__Secure-access_token"] {
        server.get("/profile").cookie(name, &access).send().token_missing();
    }
    let by = |name: &str| server.post("/auth/refresh").cookie(name, &refresh).send();
    by(INSECURE.refresh).problem(401, "refresh_missing");
    by("__Secure-refresh_token").problem(401, "refresh_missing");
    by(SECURE.refresh).expect(200);
}

#[test]
fn a_failed_refresh_clears_cookies_that_are_worth_nothing() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "0s")]);
    let mut browser = server.register("lovelace");
    let first = Genuine::refresh(&browser.refresh());

    for invalid in ["nonsense", "a.b.c", &browser.access()] {
        let answer = server.refresh_with(invalid).problem(401, "refresh_invalid");
        assert_deleted(&answer, INSECURE);
    }
    let expired = first.with_claims(|claims| {
        claims.insert("iat".to_owned(), json!(now() - 60));
        claims.insert("exp".to_owned(), json!(now() - 1));
    });
    assert_deleted(&server.refresh_with(&expired).problem(401, "refresh_expired"), INSECURE);

    browser.post("/auth/refresh").send().expect(200);
    let answer = server.refresh_with(first.text()).problem(401, "refresh_reused");
    assert_deleted(&answer, INSECURE);
    assert_deleted(&browser.post("/auth/refresh").send().problem(401, "refresh_reused"), INSECURE);
    assert!(!browser.has(INSECURE.access) && !browser.has(INSECURE.refresh));
}

#[test]
fn a_refresh_that_says_nothing_of_the_token_clears_nothing() {
    let server = Server::start();
    server.post("/auth/refresh").send().problem(401, "refresh_missing").sets_no_cookie();
    let mut browser = server.register("lovelace");
    let access_only = server.post("/auth/refresh").cookie("access_token", &browser.access()).send();
    access_only.problem(401, "refresh_missing").sets_no_cookie();

    let bad_body = browser.post("/auth/refresh").body("application/json", "{").send();
    bad_body.problem(400, "invalid_body").sets_no_cookie();
    let bad_type = browser.post("/auth/refresh").json(&json!({"refresh_token": 1})).send();
    bad_type.problem(400, "invalid_body").sets_no_cookie();
    let cross_site = browser.post("/auth/refresh").header("Sec-Fetch-Site", "cross-site").send();
    cross_site.problem(403, "cross_site").sets_no_cookie();
    browser.post("/auth/refresh").send().expect(200);
}

#[test]
fn a_failed_login_or_registration_sets_no_cookie() {
    let server = Server::start();
    let mut browser = server.register("lovelace");
    let wrong = json!({"email": "lovelace@example.com", "password": "not the password"});
    let answer = server.post("/auth/login").json(&wrong).send();
    answer.problem(401, "invalid_credentials").sets_no_cookie();
    let taken = json!({"email": "lovelace@example.com", "password": PASSWORD});
    let answer = server.post("/auth/register").json(&taken).send();
    answer.problem(409, "email_taken").sets_no_cookie();

    // A failed login leaves the session of that browser alone.
    let answer = browser.post("/auth/login").json(&wrong).send();
    answer.problem(401, "invalid_credentials").sets_no_cookie();
    browser.get("/profile").send().expect(200);
}
