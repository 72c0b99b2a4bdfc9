//! Many at once: of concurrent refreshes one rotates, of concurrent registrations one succeeds.

use std::sync::Barrier;
use std::thread;

use serde_json::json;

use crate::client::Response;
use crate::forge::Genuine;
use crate::server::{PASSWORD, Server};

const CLIENTS: usize = 32;

/// Sends one request from each of so many threads, as nearly at once as a barrier makes them.
fn at_once(send: impl Fn(usize) -> Response + Sync) -> Vec<Response> {
    let barrier = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        let client = |number| {
            let (barrier, send) = (&barrier, &send);
            scope.spawn(move || {
                barrier.wait();
                send(number)
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        clients.into_iter().map(|client| client.join().expect("a client finishes")).collect()
    })
}

#[test]
fn concurrent_refreshes_advance_the_session_by_one_generation() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "60s")]);
    let mut browser = server.register("lovelace");
    let before = Genuine::refresh(&browser.refresh());
    let sid = before.claim("sid").clone();

    let answers = at_once(|_| server.refresh_with(before.text()));

    let mut newest = Vec::new();
    for answer in answers {
        let answer = answer.tokens_in_cookies(200);
        let access = answer.set_cookie("access_token").value;
        assert_eq!(sid, server.session_of(&access));
        newest.push(Genuine::refresh(&answer.set_cookie("refresh_token").value));
    }
    let token_id = newest[0].claim("jti").clone();
    assert_ne!(&token_id, before.claim("jti"));
    for token in &newest {
        assert_eq!(token.claim("sid"), &sid);
        assert_eq!(token.number("gen"), before.number("gen") + 1);
        assert_eq!(token.claim("jti"), &token_id, "one token, signed again for each");
    }

    let next = server.refresh_with(newest[CLIENTS - 1].text()).expect(200);
    let next = Genuine::refresh(&next.set_cookie("refresh_token").value);
    assert_eq!(next.number("gen"), before.number("gen") + 2);
    browser.get("/profile").send().expect(200);
}

#[test]
fn without_a_grace_one_refresh_wins_and_the_session_ends() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "0s")]);
    let refresh = server.register("lovelace").refresh();

    let answers = at_once(|_| server.refresh_with(&refresh));

    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.problem(401, "refresh_reused");
    }
    let refresh = won[0].set_cookie("refresh_token").value;
    server.refresh_with(&refresh).problem(401, "refresh_reused");
    let access = won[0].set_cookie("access_token").value;
    server.get("/profile").bearer(&access).send().token_refused("token_revoked");
    server.log_in("lovelace").get("/profile").send().expect(200);
}

#[test]
fn of_concurrent_registrations_of_one_email_one_succeeds() {
    let server = Server::start();
    let answers = at_once(|number| {
        // The same address to every mail server.
        let email = if number % 2 == 0 { "lovelace@example.com" } else { " LoveLace@Example.com" };
        let username = format!("lovelace{number}");
        let body = json!({"email": email, "username": username, "password": PASSWORD});
        server.post("/auth/register").json(&body).send()
    });

    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.problem(409, "email_taken").sets_no_cookie();
    }
    let winner = won[0].json()["user"].clone();
    let me = server.log_in("lovelace").get("/auth/me").send().expect(200).json();
    assert_eq!(me["user"]["id"], winner["id"]);
    assert_eq!(me["user"]["username"], winner["username"]);
}

#[test]
fn a_logout_among_refreshes_has_the_last_word() {
    let server = Server::with(&[("REFRESH_TOKEN_GRACE", "60s")]);
    let browser = server.register("lovelace");
    let (access, refresh) = (browser.access(), browser.refresh());

    let answers = at_once(|number| {
        if number == CLIENTS / 2 {
            server.post("/auth/logout").cookie("refresh_token", &refresh).send().expect(204)
        } else {
            server.refresh_with(&refresh)
        }
    });

    // A refresh that came before the logout has tokens, and the logout revoked them.
    let mut tokens = vec![(access, refresh)];
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        let access = answer.set_cookie("access_token").value;
        tokens.push((access, answer.set_cookie("refresh_token").value));
    }
    for (access, refresh) in tokens {
        server.get("/profile").bearer(&access).send().token_refused("token_revoked");
        server.refresh_with(&refresh).problem(401, "refresh_invalid");
    }
    for answer in answers {
        assert!([200, 204, 401].contains(&answer.status), "{answer}");
    }
}
