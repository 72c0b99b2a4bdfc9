//! A refresh token that was superseded: good for a moment, then a sign of theft. And tokens that
//! were never issued, which change nothing.

use serde_json::json;

use crate::browser::Browser;
use crate::forge::{Genuine, now};
use crate::server::{REFRESH_SECRET, Server, poll_until};

/// The session goes on, and no generation was spent in the meantime.
#[track_caller]
fn is_untouched(server: &Server, browser: &mut Browser) {
    server.get("/profile").bearer(&browser.access()).send().expect(200);
    let before = Genuine::refresh(&browser.refresh()).number("gen");
    browser.post("/auth/refresh").send().expect(200);
    assert_eq!(Genuine::refresh(&browser.refresh()).number("gen"), before + 1);
}

#[test]
fn a_superseded_token_is_reuse_once_the_window_has_passed() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "1s")]);
    let mut browser = server.register("lovelace");
    let mut elsewhere = server.log_in("lovelace");
    let superseded = browser.refresh();
    browser.post("/auth/refresh").send().expect(200);

    // A replay does not move the window: asking all the time, as here, must not keep it open.
    let refused = poll_until("the window closes", || {
        let answer = server.refresh_with(&superseded);
        (answer.status != 200).then_some(answer)
    });
    refused.problem(401, "refresh_reused");

    server.get("/profile").bearer(&browser.access()).send().token_refused("token_revoked");
    let current = browser.refresh();
    for _ in 0..2 {
        server.refresh_with(&current).problem(401, "refresh_reused");
        server.refresh_with(&superseded).problem(401, "refresh_reused");
    }
    elsewhere.get("/profile").send().expect(200);
    elsewhere.post("/auth/refresh").send().expect(200);
    server.log_in("lovelace").get("/profile").send().expect(200);
}

#[test]
fn a_retry_within_the_window_gets_the_current_token_again() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "60s")]);
    let mut browser = server.register("lovelace");
    let superseded = browser.refresh();
    browser.post("/auth/refresh").send().expect(200);
    let current = Genuine::refresh(&browser.refresh());

    for _ in 0..3 {
        let retried = server.refresh_with(&superseded).tokens_in_cookies(200);
        let again = Genuine::refresh(&retried.set_cookie("refresh_token").value);
        assert_eq!(again.claim("jti"), current.claim("jti"));
        assert_eq!(again.number("gen"), current.number("gen"));
        let access = retried.set_cookie("access_token").value;
        server.get("/profile").bearer(&access).send().expect(200);
    }
    is_untouched(&server, &mut browser);
}

#[test]
fn a_token_two_generations_old_is_reuse_inside_the_window_too() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "60s")]);
    let mut browser = server.register("lovelace");
    let first = browser.refresh();
    browser.post("/auth/refresh").send().expect(200);
    let second = browser.refresh();
    browser.post("/auth/refresh").send().expect(200);
    server.refresh_with(&second).expect(200);

    server.refresh_with(&first).problem(401, "refresh_reused");
    server.get("/profile").bearer(&browser.access()).send().token_refused("token_revoked");
    for token in [&first, &second, &browser.refresh()] {
        server.refresh_with(token).problem(401, "refresh_reused");
    }
}

#[test]
fn a_token_with_a_bad_signature_changes_nothing() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "0s")]);
    let mut browser = server.register("lovelace");
    let superseded = Genuine::refresh(&browser.refresh());
    browser.post("/auth/refresh").send().expect(200);
    let current = Genuine::refresh(&browser.refresh());
    let unknown_secret = "K8yWq3Vz6Tn1Rb5Jm9Xc2Lf7Hd4Gs0Pa-nobody's-secret";

    for token in [&superseded, &current] {
        let (header, payload, signature) = (&token.header, &token.payload, &token.signature);
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        for forged in [
            format!("{header}.{payload}.{flipped}{}", &signature[1..]),
            format!("{header}.{payload}.{}", superseded.signature.chars().rev().collect::<String>()),
            format!("{header}.{payload}."),
            token.signed_with(unknown_secret),
            token.signed_with(&REFRESH_SECRET[1..]),
        ] {
            server.refresh_with(&forged).problem(401, "refresh_invalid");
        }
    }
    is_untouched(&server, &mut browser);
}

#[test]
fn a_token_of_a_leaked_key_refreshes_nothing_and_ends_nothing() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "60s")]);
    let mut browser = server.register("lovelace");
    let mut other = server.register("hopper");
    browser.post("/auth/refresh").send().expect(200);
    let current = Genuine::refresh(&browser.refresh());
    let generation = current.number("gen");
    let foreign_id = Genuine::refresh(&other.refresh()).claim("jti").clone();
    let claims = |gen_offset: i64, jti: &serde_json::Value| {
        current.with_claims(|claims| {
            claims.insert("gen".to_owned(), json!(generation + gen_offset));
            claims.insert("jti".to_owned(), jti.clone());
        })
    };
    for forged in [
        claims(0, &foreign_id),
        claims(-1, &foreign_id),
        claims(1, current.claim("jti")),
        claims(1, &foreign_id),
        claims(1_000_000, &foreign_id),
    ] {
        server.refresh_with(&forged).problem(401, "refresh_invalid");
    }
    let of_another = current.with("sid", Genuine::refresh(&other.refresh()).claim("sid").clone());
    server.refresh_with(&of_another).problem(401, "refresh_invalid");

    is_untouched(&server, &mut browser);
    is_untouched(&server, &mut other);
}

#[test]
fn an_expired_token_is_refused_inside_the_window_too() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "60s")]);
    let mut browser = server.register("lovelace");
    let superseded = Genuine::refresh(&browser.refresh());
    browser.post("/auth/refresh").send().expect(200);
    let current = Genuine::refresh(&browser.refresh());
    for token in [&superseded, &current] {
        let expired = token.with_claims(|claims| {
            claims.insert("iat".to_owned(), json!(now() - 60));
            claims.insert("exp".to_owned(), json!(now() - 1));
        });
        server.refresh_with(&expired).problem(401, "refresh_expired");
    }
    is_untouched(&server, &mut browser);
}
