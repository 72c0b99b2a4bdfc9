//! Expiry of access tokens, idle sessions and old sessions. The servers run on the system's clock,
//! so lifetimes here are 1 s or 2 s, and the tests poll until they are over.

use serde_json::json;

use crate::forge::{Genuine, now};
use crate::server::{Server, poll_until};

#[test]
fn an_access_token_expires_and_a_refresh_makes_a_new_one() {
    let server = Server::with(&[("ACCESS_TOKEN_EXPIRY", "2s")]);
    let mut browser = server.register("lovelace");
    let access = browser.access();
    let token = Genuine::access(&access);
    assert_eq!(token.number("exp") - token.number("iat"), 2);

    let answer = poll_until("the access token expires", || {
        let answer = server.get("/profile").bearer(&access).send();
        (answer.status != 200).then_some(answer)
    });
    answer.token_refused("token_expired");
    assert!(now() >= token.number("exp"), "not before its time");
    server.get("/greeting").bearer(&access).send().token_refused("token_expired");

    let refreshed = browser.post("/auth/refresh").send().tokens_in_cookies(200);
    assert_eq!(refreshed.json()["expires_in"], 2);
    browser.get("/profile").send().expect(200);
}

#[test]
fn an_expired_access_token_still_logs_out() {
    let server = Server::with(&[("ACCESS_TOKEN_EXPIRY", "1s")]);
    let browser = server.register("lovelace");
    let access = browser.access();
    poll_until("the access token expires", || {
        let answer = server.get("/profile").bearer(&access).send();
        (answer.status == 401).then_some(())
    });
    server.post("/auth/logout").bearer(&access).send().expect(204);
    server.refresh_with(&browser.refresh()).problem(401, "refresh_invalid");
}

#[test]
fn an_expired_refresh_token_still_logs_out() {
    let server = Server::start();
    let browser = server.register("lovelace");
    let expired = Genuine::refresh(&browser.refresh()).with_claims(|claims| {
        claims.insert("iat".to_owned(), json!(now() - 60));
        claims.insert("exp".to_owned(), json!(now() - 1));
    });
    server.post("/auth/logout").cookie("refresh_token", &expired).send().expect(204);
    server.get("/profile").bearer(&browser.access()).send().token_refused("token_revoked");
}

#[test]
fn a_forged_token_logs_no_user_out() {
    let server = Server::start();
    let mut browser = server.register("lovelace");
    let refresh = Genuine::refresh(&browser.refresh());
    let access = Genuine::access(&browser.access());
    let secret = "K8yWq3Vz6Tn1Rb5Jm9Xc2Lf7Hd4Gs0Pa-nobody's-secret";
    let forged = refresh.signed_with(secret);
    server.post("/auth/logout").cookie("refresh_token", &forged).send().expect(204);
    server.post("/auth/logout").bearer(&access.signed_with(secret)).send();
    server.post("/auth/logout").cookie("access_token", &access.signed_with(secret)).send();
    browser.get("/profile").send().expect(200);
    browser.post("/auth/refresh").send().expect(200);
}

#[test]
fn an_idle_session_is_over() {
    let server = Server::with(&[("ACCESS_TOKEN_EXPIRY", "1s"), ("REFRESH_TOKEN_EXPIRY", "2s")]);
    let browser = server.register("lovelace");
    let token = Genuine::refresh(&browser.refresh());
    let over = token.number("exp") + 1; // The record counts in milliseconds, the token in seconds.
    assert!(over <= now() + 4, "not the configured lifetime: {:?}", token.claims);
    // Not by refreshing, which would keep it from being idle.
    poll_until("the clock passes", || (now() >= over).then_some(()));
    server.refresh_with(token.text()).problem(401, "refresh_expired");

    // The record has its own expiry: a token with a longer one does not outlive it.
    let longer = token.with("exp", json!(now() + 600));
    server.refresh_with(&longer).problem(401, "refresh_invalid");
}

#[test]
fn refreshes_extend_a_session_but_not_past_its_maximum_age() {
    let server =
        Server::with(&[("ACCESS_TOKEN_EXPIRY", "1s"), ("REFRESH_TOKEN_EXPIRY", "2s"), ("SESSION_MAX_AGE", "5s")]);
    let first = Genuine::refresh(&server.register("lovelace").refresh());
    let mut newest = first.text().to_owned();
    let refused = poll_until("the session is too old", || {
        let answer = server.refresh_with(&newest);
        if answer.status != 200 {
            return Some(answer);
        }
        let cookie = answer.set_cookie("refresh_token");
        assert!(cookie.max_age().is_some_and(|seconds| (0..=2).contains(&seconds)), "{cookie:?}");
        for token in [Genuine::refresh(&cookie.value), Genuine::access(&answer.set_cookie("access_token").value)] {
            assert!(token.number("exp") <= first.number("iat") + 6, "past the session's age");
        }
        newest = cookie.value;
        None
    });
    let code = refused.json()["code"].as_str().unwrap_or_default().to_owned();
    assert!(["refresh_expired", "refresh_invalid"].contains(&&*code), "{refused}");
    refused.problem(401, &code);
    assert!(now() > first.number("exp"), "it went on after the idle expiry of its first token");
    assert!(now() - first.number("iat") >= 4, "not before its time");
}
