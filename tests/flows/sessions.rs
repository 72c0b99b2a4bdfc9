//! Two users, and two devices of one user: an action of one never affects the other, unless it is
//! meant to.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::checks::is_rfc_3339;
use crate::server::{PASSWORD, Server};

const NEW_PASSWORD: &str = "cobalt heron standing 9";

#[track_caller]
fn sessions(browser: &mut Browser) -> Vec<Value> {
    let answer = browser.get("/auth/sessions").send().expect(200).json();
    answer["sessions"].as_array().unwrap_or_else(|| panic!("no sessions: {answer}")).clone()
}

#[track_caller]
fn session_path(session: &Value) -> String {
    format!("/auth/sessions/{}", session["id"].as_str().expect("a session has an id"))
}

#[track_caller]
fn is_logged_out(browser: &mut Browser) {
    browser.get("/profile").send().token_refused("token_revoked");
    browser.get("/account").send().token_refused("token_revoked");
    browser.post("/auth/refresh").send().problem(401, "refresh_invalid");
}

#[track_caller]
fn is_logged_in(browser: &mut Browser) {
    browser.get("/profile").send().expect(200);
    browser.get("/account").send().expect(200);
    browser.post("/auth/refresh").send().expect(200);
    browser.get("/profile").send().expect(200);
}

#[test]
fn the_tokens_of_one_user_never_show_the_other() {
    let server = Server::start();
    let mut ada = server.register("lovelace");
    let mut grace = server.register("hopper");
    for round in 0..3 {
        for (browser, name) in [(&mut ada, "lovelace"), (&mut grace, "hopper")] {
            let user = browser.get("/auth/me").send().expect(200).json()["user"].clone();
            assert_eq!(user["username"], name, "round {round}");
            let profile = browser.get("/profile").send().expect(200).json();
            assert_eq!(profile["sub"], user["id"], "round {round}");
            let refreshed = browser.post("/auth/refresh").send().expect(200).json();
            assert_eq!(refreshed["user"], user, "round {round}");
            assert_eq!(sessions(browser).len(), 1, "round {round}");
        }
    }
    assert_ne!(server.session_of(&ada.access()), server.session_of(&grace.access()));

    // Bearer comes before the cookie: the answer is of one user, not a mixture.
    let mixed = ada.get("/profile").bearer(&grace.access()).send().expect(200).json();
    assert_eq!(mixed["sid"], server.session_of(&grace.access()));
}

#[test]
fn a_logout_of_one_user_does_not_touch_the_other() {
    let server = Server::start();
    let mut ada = server.register("lovelace");
    let mut grace = server.register("hopper");
    let mut gone = ada.clone();
    ada.post("/auth/logout").send().expect(204);
    is_logged_out(&mut gone);
    is_logged_in(&mut grace);
}

#[test]
fn sessions_are_listed_with_the_current_one_marked() {
    let server = Server::start();
    let mut desk = server.register("lovelace");
    let mut phone = server.browser();
    let login = json!({"login": "lovelace", "password": PASSWORD});
    let login = phone.post("/auth/login").header("User-Agent", "Phone/1.0").json(&login);
    login.send().expect(200);
    server.register("hopper");

    let listed = sessions(&mut phone);
    assert_eq!(listed.len(), 2, "{listed:?}");
    let shown = ["created_at", "current", "expires_at", "id", "ip", "last_used_at", "user_agent"];
    for session in &listed {
        let mut members: Vec<_> = session.as_object().into_iter().flatten().map(|(k, _)| k).collect();
        members.sort();
        assert_eq!(members, shown);
        for time in ["created_at", "last_used_at", "expires_at"] {
            assert!(session[time].as_str().is_some_and(is_rfc_3339), "{time}: {session}");
        }
    }
    let current: Vec<_> = listed.iter().filter(|session| session["current"] == true).collect();
    let others: Vec<_> = listed.iter().filter(|session| session["current"] == false).collect();
    assert_eq!((current.len(), others.len()), (1, 1), "{listed:?}");
    assert_eq!(current[0]["id"], server.session_of(&phone.access()));
    assert_eq!(current[0]["user_agent"], "Phone/1.0");
    assert_eq!(others[0]["id"], server.session_of(&desk.access()));

    let from_the_desk = sessions(&mut desk);
    let current = from_the_desk.iter().find(|session| session["current"] == true);
    assert_eq!(current.map(|session| &session["id"]), Some(&others[0]["id"]));
}

#[test]
fn a_session_can_be_ended_from_another_device() {
    let server = Server::start();
    let mut desk = server.register("lovelace");
    let mut phone = server.log_in("lovelace");
    let listed = sessions(&mut desk);
    let other = listed.iter().find(|session| session["current"] == false);
    let path = session_path(other.expect("the phone's session is listed"));

    desk.delete(&path).send().expect(204);
    is_logged_out(&mut phone);
    assert_eq!(sessions(&mut desk).len(), 1);
    is_logged_in(&mut desk);
}

#[test]
fn the_session_of_another_user_is_not_found() {
    let server = Server::start();
    let mut ada = server.register("lovelace");
    let mut grace = server.register("hopper");
    let path = session_path(&sessions(&mut grace)[0]);
    let of_another = ada.delete(&path).send().problem(404, "session_not_found");
    is_logged_in(&mut grace);

    let mut unknown: Vec<char> = path.chars().collect();
    let place = unknown.len() - 2;
    unknown[place] = if unknown[place] == '0' { '1' } else { '0' };
    let unknown: String = unknown.into_iter().collect();
    let of_nobody = ada.delete(&unknown).send().problem(404, "session_not_found");
    assert_eq!(of_another.without_date(), of_nobody.without_date());
    for id in ["1", "not-an-id", "00000000-0000-0000-0000-000000000000", "%F0%9F%98%80"] {
        let path = format!("/auth/sessions/{id}");
        ada.delete(&path).send().problem(404, "session_not_found");
    }
    server.delete(&path).send().token_missing();
    is_logged_in(&mut ada);
    is_logged_in(&mut grace);
}

#[test]
fn logout_all_ends_the_sessions_of_this_user_only() {
    let server = Server::start();
    let mut desk = server.register("lovelace");
    let mut phone = server.log_in("lovelace");
    let mut grace = server.register("hopper");
    let mut stolen = desk.clone();

    server.post("/auth/logout-all").send().token_missing();
    is_logged_in(&mut phone);
    let mut stolen_from_the_phone = phone.clone();

    desk.post("/auth/logout-all").send().expect(204);
    assert!(!desk.has("access_token") && !desk.has("refresh_token"));
    is_logged_out(&mut stolen);
    is_logged_out(&mut phone);
    stolen_from_the_phone.get("/profile").send().token_refused("token_revoked");
    is_logged_in(&mut grace);

    let mut again = server.log_in("lovelace");
    is_logged_in(&mut again);
    assert_eq!(sessions(&mut again).len(), 1);
}

#[test]
fn a_password_change_ends_every_other_session() {
    let server = Server::start();
    let mut desk = server.register("lovelace");
    let mut phone = server.log_in("lovelace");
    let mut grace = server.register("hopper");
    let sid = server.session_of(&desk.access());
    let before = desk.refresh();

    let change = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    desk.put("/auth/password").json(&change).send().tokens_in_cookies(200);

    assert_eq!(sessions(&mut desk).len(), 1, "before the others have tried");
    is_logged_out(&mut phone);
    assert_ne!(desk.refresh(), before);
    assert_eq!(server.session_of(&desk.access()), sid, "the caller's session goes on");
    is_logged_in(&mut desk);
    is_logged_in(&mut grace);

    let login = |password: &str| json!({"email": "lovelace@example.com", "password": password});
    let old = server.post("/auth/login").json(&login(PASSWORD)).send();
    old.problem(401, "invalid_credentials");
    server.post("/auth/login").json(&login(NEW_PASSWORD)).send().expect(200);
    let other = json!({"email": "hopper@example.com", "password": PASSWORD});
    server.post("/auth/login").json(&other).send().expect(200);
}

#[test]
fn a_change_with_a_wrong_current_password_changes_nothing() {
    let server = Server::start();
    let mut desk = server.register("lovelace");
    let mut phone = server.log_in("lovelace");
    for wrong in ["vermilion otter crossing 8", " vermilion otter crossing 7", NEW_PASSWORD] {
        let change = json!({"current_password": wrong, "new_password": NEW_PASSWORD});
        let answer = desk.put("/auth/password").json(&change).send();
        answer.problem(403, "wrong_password").sets_no_cookie();
    }
    let change = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    server.put("/auth/password").json(&change).send().token_missing();

    is_logged_in(&mut desk);
    is_logged_in(&mut phone);
    server.log_in("lovelace");
    let login = json!({"email": "lovelace@example.com", "password": NEW_PASSWORD});
    server.post("/auth/login").json(&login).send().problem(401, "invalid_credentials");
}
