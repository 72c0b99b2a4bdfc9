//! Guesses over real sockets, from addresses that a trusted proxy reports.

use serde_json::json;

use crate::client::Response;
use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD, Server, poll_until};

fn behind_a_proxy(example: &'static str) -> Server {
    Launch::new(example).env("THROTTLE", "on").env("TRUSTED_PROXY_HOPS", "1").start()
}

fn login(server: &Server, email: &str, password: &str, from: &str) -> Response {
    let body = json!({"email": email, "password": password});
    server.post("/auth/login").header("X-Forwarded-For", from).json(&body).send()
}

fn retry_after(answer: &Response) -> u64 {
    let seconds = answer.header("retry-after").and_then(|text| text.parse().ok());
    seconds.unwrap_or_else(|| panic!("no Retry-After in seconds: {answer}"))
}

/// Guesses until a guess is refused. Returns the number of admitted guesses and the refusal.
fn guess(server: &Server, email: &str, from: &str) -> (usize, Response) {
    for admitted in 0..30 {
        let answer = login(server, email, "a wrong guess", from);
        if answer.status == 429 {
            return (admitted, answer);
        }
        answer.problem(401, "invalid_credentials");
    }
    panic!("30 guesses at {email} were not slowed");
}

#[test]
fn guesses_are_slowed_and_other_users_are_not() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = behind_a_proxy(example);
        server.register("lovelace");
        // A user who mistypes a few times and then gets it right notices nothing.
        for wrong in ["vermillion otter", "vermilion oter", "Vermilion", "vermilion", "otter"] {
            login(&server, "lovelace@example.com", wrong, "192.0.2.1").problem(401, "invalid_credentials");
        }
        login(&server, "lovelace@example.com", PASSWORD, "192.0.2.1").expect(200);

        let (admitted, refused) = guess(&server, "lovelace@example.com", "203.0.113.9");
        assert!(admitted >= 6, "{admitted}");
        let refused = refused.problem(429, "too_many_attempts").sets_no_cookie().not_stored();
        assert!((1..=900).contains(&retry_after(&refused)), "{refused}");
        // The right password is too early as well, so the guesser learns nothing.
        let right = login(&server, "lovelace@example.com", PASSWORD, "203.0.113.9");
        right.problem(429, "too_many_attempts").sets_no_cookie();
        // The owner does not notice, from where they are or from anywhere else.
        login(&server, "lovelace@example.com", PASSWORD, "192.0.2.1").expect(200);
        login(&server, "lovelace@example.com", PASSWORD, "198.51.100.7").expect(200);
        // After the wait the guesser's address is as good as any.
        poll_until("the end of the delay", || {
            let answer = login(&server, "lovelace@example.com", PASSWORD, "203.0.113.9");
            (answer.status == 200).then_some(())
        });
    }
}

#[test]
fn an_unknown_login_is_slowed_in_the_same_words() {
    let server = behind_a_proxy(AXUM_MEMORY);
    server.register("lovelace");
    let (known, refused) = guess(&server, "lovelace@example.com", "203.0.113.9");
    let (unknown, also_refused) = guess(&server, "nobody@example.com", "203.0.113.10");
    assert_eq!(known, unknown);
    let without_wait = |answer: Response| {
        let (status, mut headers, body) = answer.without_date();
        headers.retain(|(name, _)| name != "retry-after");
        (status, headers, body)
    };
    assert_eq!(without_wait(refused), without_wait(also_refused));
}

#[test]
fn one_address_is_slowed_across_logins() {
    let server = behind_a_proxy(AXUM_MEMORY);
    let slowed = (0..60).find(|number| {
        login(&server, &format!("user{number}@example.com"), "a wrong guess", "203.0.113.9").status == 429
    });
    assert!(slowed.is_some_and(|number| number > 20), "{slowed:?}");
    login(&server, "user99@example.com", "a wrong guess", "203.0.113.10").problem(401, "invalid_credentials");
}

#[test]
fn the_current_password_cannot_be_guessed_with_a_stolen_session() {
    let server = behind_a_proxy(AXUM_MEMORY);
    let mut owner = server.register("lovelace");
    let mut thief = server.log_in("lovelace");
    let mut guess = |password: &str| {
        let body = json!({"current_password": password, "new_password": "emerald heron crossing 8"});
        thief.put("/auth/password").json(&body).send()
    };
    for _ in 0..6 {
        guess("a wrong guess").problem(403, "wrong_password");
    }
    let refused = guess(PASSWORD).problem(429, "too_many_attempts").sets_no_cookie();
    assert!(retry_after(&refused) >= 1);
    let body = json!({"current_password": PASSWORD, "new_password": "emerald heron crossing 8"});
    owner.put("/auth/password").json(&body).send().expect(200);
}

#[test]
fn addresses_that_a_client_makes_up_change_nothing() {
    let server = Launch::new(AXUM_MEMORY).env("THROTTLE", "on").start();
    // The loopback may be a proxy of many clients. No client is delayed because of another one
    // there, and the log says so once.
    for number in 0..45 {
        let answer = login(&server, &format!("user{number}@example.com"), "a wrong guess", "203.0.113.9");
        answer.problem(401, "invalid_credentials");
    }
    server.is_alive();
    let log = server.stop();
    assert_eq!(log.matches("no proxy is trusted (TRUSTED_PROXY_HOPS)").count(), 1, "{log}");
    assert_eq!(log.matches("requests come from a private address").count(), 1, "{log}");
    assert!(log.contains("lock the user out on every device that has not logged in before"), "{log}");
}

#[test]
fn where_no_address_counts_the_owners_device_is_let_in() {
    let server = Launch::new(AXUM_MEMORY).env("THROTTLE", "on").start();
    let mut owner = server.register("lovelace");
    // A stranger guesses until the login is delayed for longer than the rest of the test takes.
    poll_until("a delay of some seconds", || {
        let answer = login(&server, "lovelace@example.com", "a wrong guess", "203.0.113.9");
        (answer.status == 429 && retry_after(&answer) >= 8).then_some(())
    });
    let stranger = login(&server, "lovelace@example.com", PASSWORD, "203.0.113.9");
    stranger.problem(429, "too_many_attempts");
    let body = json!({"email": "lovelace@example.com", "password": PASSWORD});
    owner.post("/auth/login").json(&body).send().expect(200);
}

#[test]
fn the_throttle_can_be_turned_off_and_says_so() {
    let server = Launch::new(AXUM_MEMORY).env("THROTTLE", "off").env("TRUSTED_PROXY_HOPS", "1").start();
    for _ in 0..10 {
        login(&server, "nobody@example.com", "a wrong guess", "203.0.113.9").problem(401, "invalid_credentials");
    }
    assert!(server.stop().contains("THROTTLE"));
    let refusal = Launch::new(AXUM_MEMORY).env("THROTTLE", "gently").refuse();
    assert!(refusal.stderr.contains("THROTTLE"), "{}", refusal.stderr);
}
