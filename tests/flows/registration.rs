//! Registering: what is taken already, plain forms, and bodies that say more than they may.

use serde_json::json;

use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD};

#[test]
fn an_email_and_a_username_are_taken_in_any_case() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        server.register("lovelace");
        for email in ["lovelace@example.com", "LOVELACE@EXAMPLE.COM", "  LoveLace@example.com\t"] {
            let body = json!({"email": email, "username": "somebody", "password": PASSWORD});
            let answer = server.post("/auth/register").json(&body).send();
            answer.problem(409, "email_taken").sets_no_cookie();
        }
        for username in ["lovelace", "LOVELACE", "LoveLace", " lovelace "] {
            let body = json!({"email": "other@example.com", "username": username, "password": PASSWORD});
            let answer = server.post("/auth/register").json(&body).send();
            answer.problem(409, "username_taken").sets_no_cookie();
        }
        // Neither refusal left half an account behind.
        let body = json!({"email": "other@example.com", "username": "somebody", "password": PASSWORD});
        server.post("/auth/register").json(&body).send().expect(201);
    }
}

#[test]
fn an_email_is_taken_in_every_spelling() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        for (registered, typed) in [
            ("νίκος@example.com", "ΝΊΚΟΣ@EXAMPLE.COM"),
            ("max@bücher.example", "max@xn--bcher-kva.example"),
            ("jos\u{e9}@example.com", "jose\u{301}@example.com"),
        ] {
            let user = json!({"email": registered, "password": PASSWORD});
            let answer = server.post("/auth/register").json(&user).send().expect(201);
            assert_eq!(answer.json()["user"]["email"], registered);
            let again = json!({"email": typed, "password": PASSWORD});
            server.post("/auth/register").json(&again).send().problem(409, "email_taken").sets_no_cookie();
            for login in [json!({"email": typed, "password": PASSWORD}), json!({"login": typed, "password": PASSWORD})]
            {
                let answer = server.post("/auth/login").json(&login).send().expect(200);
                assert_eq!(answer.json()["user"]["email"], registered, "{typed}");
            }
        }
    }
}

#[test]
fn an_address_that_passes_for_another_is_refused() {
    let server = Launch::new(AXUM_MEMORY).start();
    server.register("lovelace");
    for email in [
        "lovelace\u{3164}@example.com",
        "lovelace@\u{ff45}xample.com",
        "lovelace\u{ff20}example.com",
        "\"lovelace\"@example.com",
    ] {
        let body = json!({"email": email, "password": PASSWORD});
        let problem = server.post("/auth/register").json(&body).send();
        problem.problem(400, "validation_failed").sets_no_cookie();
    }
}

#[test]
fn a_plain_form_registers_and_logs_in() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let form = "email=lovelace%40example.com&username=lovelace&password=l%C3%B6wen+%26+otters%2B7\
                    &name=Ada+Lovelace&theme=dark";
        let answer = server.post("/auth/register").form(form).send().tokens_in_cookies(201);
        assert_eq!(answer.json()["user"]["email"], "lovelace@example.com");
        assert_eq!(answer.json()["user"]["name"], "Ada Lovelace");
        let form = "login=lovelace&password=l%C3%B6wen+%26+otters%2B7";
        server.post("/auth/login").form(form).send().tokens_in_cookies(200);
        let login = json!({"email": "lovelace@example.com", "password": "löwen & otters+7"});
        server.post("/auth/login").json(&login).send().expect(200);
    }
}

#[test]
fn roles_ids_and_versions_never_come_from_a_body() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let mut browser = server.browser();
        let body = json!({
            "email": "lovelace@example.com", "username": "lovelace", "password": PASSWORD,
            "id": "1", "_id": "1", "sub": "1", "roles": ["admin"], "role": "admin", "scope": "admin",
            "token_version": 99, "ver": 99, "disabled": true, "password_hash": "$argon2id$",
            "created_at": "1970-01-01T00:00:00Z", "user": {"roles": ["admin"]}, "is_admin": true,
            "nested": {"deep": [1, 2, {"deeper": null}]},
        });
        let user = browser.post("/auth/register").json(&body).send().expect(201).json()["user"].clone();
        assert_ne!(user["id"], "1");
        assert!(!user["roles"].as_array().is_some_and(|roles| roles.contains(&json!("admin"))));
        assert_ne!(user["created_at"], "1970-01-01T00:00:00Z");
        browser.get("/admin").send().problem(403, "insufficient_role");

        let login = json!({
            "email": "lovelace@example.com", "password": PASSWORD, "roles": ["admin"], "id": "1",
            "sid": "1", "session_id": "1",
        });
        let answer = server.browser().post("/auth/login").json(&login).send().expect(200);
        assert_eq!(answer.json()["user"], user);
        let access = answer.set_cookie("access_token").value;
        assert_ne!(server.session_of(&access), "1");
        server.get("/admin").bearer(&access).send().problem(403, "insufficient_role");
        let form = "email=hopper%40example.com&password=vermilion+otter+crossing+7&roles=admin&id=1";
        let answer = server.post("/auth/register").form(form).send().expect(201);
        let access = answer.set_cookie("access_token").value;
        server.get("/admin").bearer(&access).send().problem(403, "insufficient_role");
    }
}
