//! The life of an account, from its registration to the end of its last session, on axum and on
//! bare hyper alike.

use serde_json::json;

use crate::checks::assert_user;
use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD, Server};

macro_rules! on_every_server {
    ($($test:ident)*) => {
        mod axum_memory {
            $(#[test] fn $test() { super::$test(&super::Launch::new(super::AXUM_MEMORY).start()); })*
        }
        mod hyper_bare {
            $(#[test] fn $test() { super::$test(&super::Launch::new(super::HYPER_BARE).start()); })*
        }
        #[cfg(feature = "sqlx_0_9_sqlite")]
        mod axum_sqlite {
            $(#[test] fn $test() {
                let database = crate::sqlite::Database::new();
                super::$test(&database.launch().start());
            })*
        }
        // One MongoDB for all, with a database for each: a server takes its time to start.
        #[cfg(feature = "mongodb_3")]
        mod axum_mongodb {
            #[test]
            fn the_whole_flow() {
                let mongo = crate::mongodb::Mongo::start();
                $(super::$test(&mongo.launch().start());)*
            }
        }
    };
}

on_every_server! {
    a_registration_signs_in_and_shows_the_user
    a_user_signs_in_by_email_by_username_or_by_either
    a_refresh_rotates_and_the_access_token_before_it_still_works
    a_logout_ends_the_session_at_once
    a_logout_finds_the_session_by_whatever_token_it_is_given
    a_login_ends_the_session_that_the_same_browser_had
    a_stranger_is_greeted_and_a_user_by_their_id
    only_an_administrator_may_enter
    a_disabled_user_is_out_at_the_next_request
}

fn a_registration_signs_in_and_shows_the_user(server: &Server) {
    let mut browser = server.browser();
    let body = json!({
        "email": "lovelace@example.com",
        "username": "lovelace",
        "password": PASSWORD,
        "name": "Ada Lovelace",
        "avatar_url": "https://example.com/ada.png",
    });
    let answer = browser.post("/auth/register").json(&body).send().tokens_in_cookies(201).json();
    assert_eq!(answer["expires_in"], 900);
    let user = &answer["user"];
    for member in ["email", "username", "name", "avatar_url"] {
        assert_eq!(user[member], body[member], "{user}");
    }

    let me = browser.get("/auth/me").send().expect(200).not_stored().json();
    assert_eq!(me, json!({"user": user}));

    let profile = browser.get("/profile").send().expect(200).json();
    assert_eq!(profile["sub"], user["id"]);
    assert!(profile["sid"].as_str().is_some_and(|sid| !sid.is_empty()), "{profile}");
    assert_eq!(profile["roles"], user["roles"]);

    // The contract says "the user", without saying whether a member holds it.
    let account = browser.get("/account").send().expect(200).json();
    let account = account.get("user").unwrap_or(&account);
    assert_user(account);
    assert_eq!(account["id"], user["id"]);

    browser.post("/notes").json(&json!({"text": "first"})).send().expect(201);
}

fn a_user_signs_in_by_email_by_username_or_by_either(server: &Server) {
    let id = server.register("lovelace").get("/auth/me").send().json()["user"]["id"].clone();
    let logins = [
        json!({"email": "lovelace@example.com", "password": PASSWORD}),
        json!({"username": "lovelace", "password": PASSWORD}),
        json!({"login": "lovelace@example.com", "password": PASSWORD}),
        json!({"login": "lovelace", "password": PASSWORD}),
        json!({"email": "  LoveLace@Example.COM ", "password": PASSWORD}),
        json!({"username": " LOVELACE ", "password": PASSWORD}),
    ];
    for login in &logins {
        let mut browser = server.browser();
        let answer = browser.post("/auth/login").json(login).send().tokens_in_cookies(200).json();
        assert_eq!(answer["user"]["id"], id, "{login}");
        assert_eq!(browser.get("/profile").send().expect(200).json()["sub"], id, "{login}");
    }
}

fn a_refresh_rotates_and_the_access_token_before_it_still_works(server: &Server) {
    let mut browser = server.register("lovelace");
    let (access, refresh) = (browser.access(), browser.refresh());
    let sid = server.session_of(&access);

    browser.post("/auth/refresh").send().tokens_in_cookies(200);
    assert_ne!(browser.refresh(), refresh);
    assert_ne!(browser.access(), access);
    assert_eq!(server.session_of(&browser.access()), sid);
    assert_eq!(server.session_of(&access), sid, "the access token from before the refresh");

    let rotated = browser.refresh();
    browser.post("/auth/refresh").send().tokens_in_cookies(200);
    assert_ne!(browser.refresh(), rotated);
    browser.get("/account").send().expect(200);
}

fn a_logout_ends_the_session_at_once(server: &Server) {
    let mut browser = server.register("lovelace");
    let (access, refresh) = (browser.access(), browser.refresh());
    browser.post("/auth/logout").send().expect(204);
    assert!(!browser.has("access_token") && !browser.has("refresh_token"));

    server.refresh_with(&refresh).problem(401, "refresh_invalid");
    for route in ["/profile", "/account", "/auth/me", "/auth/sessions"] {
        server.get(route).bearer(&access).send().token_refused("token_revoked");
        server.get(route).cookie("access_token", &access).send().token_refused("token_revoked");
    }
    server.get("/greeting").bearer(&access).send().token_refused("token_revoked");

    // And again: with nothing, and with what is over.
    browser.post("/auth/logout").send().expect(204);
    server.post("/auth/logout").cookie("refresh_token", &refresh).send().expect(204);
    server.post("/auth/logout").bearer(&access).send().expect(204);
    browser.get("/profile").send().token_missing();

    server.log_in("lovelace").get("/profile").send().expect(200);
}

fn a_logout_finds_the_session_by_whatever_token_it_is_given(server: &Server) {
    server.register("lovelace");
    for token in ["refresh cookie", "access cookie", "refresh token", "older refresh token", "Bearer"] {
        let mut browser = server.log_in("lovelace");
        let (access, first) = (browser.access(), browser.refresh());
        browser.post("/auth/refresh").send().expect(200);
        let logout = server.post("/auth/logout");
        let logout = match token {
            "refresh cookie" => logout.cookie("refresh_token", &browser.refresh()),
            "access cookie" => logout.cookie("access_token", &access),
            "refresh token" => logout.json(&json!({"refresh_token": browser.refresh()})),
            "older refresh token" => logout.json(&json!({"refresh_token": first})),
            _ => logout.bearer(&access),
        };
        logout.send().expect(204);
        let after = server.get("/profile").bearer(&browser.access()).send();
        assert_eq!(after.json()["code"], "token_revoked", "a logout by {token}");
        let after = server.refresh_with(&browser.refresh());
        assert_eq!(after.json()["code"], "refresh_invalid", "a logout by {token}");
    }
}

fn a_login_ends_the_session_that_the_same_browser_had(server: &Server) {
    let mut browser = server.register("lovelace");
    let (access, refresh) = (browser.access(), browser.refresh());
    let login = json!({"email": "lovelace@example.com", "password": PASSWORD});
    browser.post("/auth/login").json(&login).send().expect(200);

    browser.get("/profile").send().expect(200);
    server.get("/profile").bearer(&access).send().token_refused("token_revoked");
    server.refresh_with(&refresh).problem(401, "refresh_invalid");
    let sessions = browser.get("/auth/sessions").send().expect(200).json();
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1), "{sessions}");
}

fn a_stranger_is_greeted_and_a_user_by_their_id(server: &Server) {
    let greeting = server.get("/greeting").send().expect(200).json();
    assert_eq!(greeting, json!({"hello": "stranger"}));

    let mut browser = server.register("lovelace");
    let sub = browser.get("/profile").send().json()["sub"].clone();
    assert_eq!(browser.get("/greeting").send().expect(200).json(), json!({"hello": sub}));
    let by_bearer = server.get("/greeting").bearer(&browser.access()).send().expect(200);
    assert_eq!(by_bearer.json(), json!({"hello": sub}));
}

fn only_an_administrator_may_enter(server: &Server) {
    let mut admin = server.admin();
    admin.get("/admin").send().expect(200);
    let profile = admin.get("/profile").send().expect(200).json();
    assert!(profile["roles"].as_array().is_some_and(|roles| roles.contains(&json!("admin"))));

    let mut browser = server.register("lovelace");
    let id = browser.get("/profile").send().json()["sub"].as_str().unwrap_or_default().to_owned();
    browser.get("/admin").send().problem(403, "insufficient_role");
    let disable = format!("/admin/users/{id}/disable");
    browser.post(&disable).send().problem(403, "insufficient_role");
    browser.get("/profile").send().expect(200);

    server.get("/admin").send().token_missing();
    server.post(&disable).send().token_missing();
    server.log_in("lovelace");
}

fn a_disabled_user_is_out_at_the_next_request(server: &Server) {
    let mut admin = server.admin();
    let mut untouched = server.register("hopper");
    let mut browser = server.register("lovelace");
    let mut elsewhere = server.log_in("lovelace");
    let id = browser.get("/profile").send().json()["sub"].as_str().unwrap_or_default().to_owned();

    admin.post(&format!("/admin/users/{id}/disable")).send().expect(204);

    for browser in [&mut browser, &mut elsewhere] {
        for route in ["/profile", "/account", "/auth/me"] {
            browser.get(route).send().token_refused("token_revoked");
        }
        browser.post("/notes").send().token_refused("token_revoked");
        browser.post("/auth/refresh").send().problem(401, "refresh_invalid");
    }
    let login = json!({"email": "lovelace@example.com", "password": PASSWORD});
    server.post("/auth/login").json(&login).send().problem(401, "invalid_credentials");

    untouched.get("/account").send().expect(200);
    untouched.post("/auth/refresh").send().expect(200);
    admin.get("/admin").send().expect(200);
}
