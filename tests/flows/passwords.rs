//! Passwords: every byte counts, and a refusal does not say why.

use serde_json::{Value, json};

use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD, Server};

#[track_caller]
fn signs_in(server: &Server, email: &str, password: &str) -> bool {
    let login = json!({"email": email, "password": password});
    let answer = server.post("/auth/login").json(&login).send();
    if answer.status == 200 {
        return true;
    }
    answer.problem(401, "invalid_credentials").sets_no_cookie();
    false
}

#[test]
fn every_byte_of_a_password_counts() {
    let server = Server::start();
    let long = format!("{}end", "x".repeat(100));
    for (number, (password, others)) in [
        ("otter\0crossing", &["otter", "otter\0", "ottercrossing", "otter crossing", "otter\0crossinG"][..]),
        ("otter 😀 crossing", &["otter 😁 crossing", "otter  crossing", "otter ? crossing"]),
        (" otter crossing ", &["otter crossing", "otter crossing ", " otter crossing"]),
        ("Otter Crossing", &["otter crossing", "OTTER CROSSING"]),
        ("caf\u{e9} crossing", &["cafe crossing", "caf\u{e8} crossing"]),
        (&long, &[&long[..72], &long[..100], &long[..102]]),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("user{number}@example.com");
        let body = json!({"email": email, "password": password});
        server.post("/auth/register").json(&body).send().expect(201);
        assert!(signs_in(&server, &email, password), "{password:?}");
        for other in others {
            assert!(!signs_in(&server, &email, other), "{other:?} for {password:?}");
        }
    }
}

#[test]
fn a_password_may_be_eight_code_points_or_1024_bytes() {
    let server = Server::start();
    for (number, password) in
        ["q7é ü-ß!".to_owned(), "🦦🦉🐙🦔🐢🦜🦑🦡".to_owned(), "otter ".repeat(171)[..1024].to_owned()]
            .into_iter()
            .enumerate()
    {
        assert!(password.chars().count() == 8 || password.len() == 1024);
        let email = format!("user{number}@example.com");
        let body = json!({"email": email, "password": password});
        server.post("/auth/register").json(&body).send().expect(201);
        assert!(signs_in(&server, &email, &password), "{password:?}");
    }
}

#[test]
fn a_password_is_the_same_from_every_keyboard() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let forms = ["caf\u{e9} crossing", "cafe\u{301} crossing"];
        for (number, chosen) in forms.iter().enumerate() {
            let email = format!("user{number}@example.com");
            server.post("/auth/register").json(&json!({"email": email, "password": chosen})).send().expect(201);
            for typed in forms {
                assert!(signs_in(&server, &email, typed), "{typed:?} for {chosen:?}");
            }
            let mut browser = server.browser();
            browser.post("/auth/login").json(&json!({"email": email, "password": chosen})).send().expect(200);
            let change = json!({"current_password": forms[1 - number], "new_password": format!("{chosen} anew")});
            browser.put("/auth/password").json(&change).send().expect(200);
            for typed in forms {
                assert!(signs_in(&server, &email, &format!("{typed} anew")), "{typed:?} for {chosen:?}");
            }
        }
    }
}

#[test]
fn a_password_needs_no_digits_capitals_or_signs() {
    let server = Server::start();
    for (number, password) in ["vermilionotter", "VERMILIONOTTER", "8315702946173"].iter().enumerate() {
        let body = json!({"email": format!("user{number}@example.com"), "password": password});
        server.post("/auth/register").json(&body).send().expect(201);
    }
}

#[test]
fn a_refused_login_does_not_say_why() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        server.register("lovelace");
        let mut disabled = server.register("hopper");
        let id = disabled.get("/profile").send().json()["sub"].as_str().unwrap_or_default().to_owned();
        server.admin().post(&format!("/admin/users/{id}/disable")).send().expect(204);

        let refused = |login: Value| {
            let answer = server.post("/auth/login").json(&login).send();
            answer.problem(401, "invalid_credentials").sets_no_cookie().without_date()
        };
        let wrong = refused(json!({"email": "lovelace@example.com", "password": "not the password"}));
        for login in [
            json!({"email": "nobody@example.com", "password": PASSWORD}),
            json!({"email": "nobody@example.com", "password": "not the password"}),
            json!({"email": "hopper@example.com", "password": PASSWORD}),
            json!({"email": "hopper@example.com", "password": "not the password"}),
            json!({"username": "lovelace", "password": "not the password"}),
            json!({"username": "nobody", "password": PASSWORD}),
            json!({"username": "hopper", "password": PASSWORD}),
            json!({"login": "lovelace", "password": "not the password"}),
            json!({"login": "nobody", "password": PASSWORD}),
            json!({"login": "hopper@example.com", "password": PASSWORD}),
        ] {
            assert_eq!(refused(login.clone()), wrong, "{login}");
        }
        assert!(signs_in(&server, "lovelace@example.com", PASSWORD));
    }
}

#[test]
fn no_secret_is_ever_written_to_the_log() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).env("RUST_LOG", "trace").start();
        let mut browser = server.register("lovelace");
        let mut canaries = vec![
            PASSWORD.to_owned(),
            crate::server::ADMIN_PASSWORD.to_owned(),
            crate::server::ACCESS_SECRET.to_owned(),
            crate::server::REFRESH_SECRET.to_owned(),
            "$argon2".to_owned(),
        ];
        let mut keep = |token: String| {
            let signature = token.rsplit('.').next().unwrap_or_default().to_owned();
            assert!(signature.len() > 40);
            canaries.push(signature);
        };
        keep(browser.access());
        keep(browser.refresh());
        browser.get("/profile").send().expect(200);
        browser.get("/account").send().expect(200);
        let superseded = browser.refresh();
        browser.post("/auth/refresh").send().expect(200);
        keep(browser.access());
        keep(browser.refresh());
        server.refresh_with(&superseded).expect(200);
        server.get("/profile").bearer(&format!("{}x", browser.access())).send().expect(401);
        let wrong = json!({"email": "lovelace@example.com", "password": "canary in a cage"});
        server.post("/auth/login").json(&wrong).send().expect(401);
        let broken = r#"{"email":"lovelace@example.com","password":"canary in a cage""#;
        server.post("/auth/login").body("application/json", broken).send().expect(400);
        let change = json!({"current_password": PASSWORD, "new_password": "canary in the open"});
        browser.put("/auth/password").json(&change).send().expect(200);
        keep(browser.access());
        browser.post("/auth/logout").send().expect(204);
        canaries.extend(["canary in a cage".to_owned(), "canary in the open".to_owned()]);

        let log = server.stop();
        assert!(!log.is_empty(), "the server wrote at least where it listens");
        for canary in canaries {
            assert!(!log.contains(&canary), "{canary:?} is in the log of {example}");
        }
    }
}
