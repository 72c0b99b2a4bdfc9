//! Settings that a server refuses to start with. Its message names the setting and the fix.

use crate::server::{ACCESS_SECRET, AXUM_MEMORY, HYPER_BARE, Launch, REFRESH_SECRET, poll_until};

/// Asserts that the start fails. Standard error has one of the words that name the setting, and one
/// of the words that help the reader.
#[track_caller]
fn refuses(launch: Launch, setting: &[&str], fix: &[&str]) -> String {
    let refusal = launch.refuse();
    assert!(!refusal.status.success());
    let said = refusal.stderr;
    let lower = said.to_lowercase();
    for words in [setting, fix] {
        assert!(words.iter().any(|word| lower.contains(&word.to_lowercase())), "{words:?} in: {said}");
    }
    said
}

#[test]
fn a_short_secret_is_refused() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        for name in ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"] {
            for secret in ["qWx7", "qWx7-31-bytes-are-not-enough-no"] {
                assert!(secret.len() < 32);
                let said = refuses(Launch::new(example).env(name, secret), &[name], &["32"]);
                assert!(!said.contains(secret), "the secret itself is in: {said}");
            }
        }
    }
}

#[test]
fn the_same_secret_twice_is_refused() {
    for (name, secret) in [("REFRESH_TOKEN_SECRET", ACCESS_SECRET), ("ACCESS_TOKEN_SECRET", REFRESH_SECRET)] {
        let launch = Launch::new(AXUM_MEMORY).env(name, secret);
        let settings = ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"];
        let said = refuses(launch, &settings, &["differ", "same", "equal", "another", "distinct"]);
        assert!(!said.contains(secret), "the secret itself is in: {said}");
    }
}

#[test]
fn a_line_break_at_the_end_of_a_secret_makes_no_other_secret() {
    let server = Launch::new(AXUM_MEMORY).start();
    for end in ["\n", "\r\n"] {
        let with = |name, value: &str| (name, format!("{value}{end}"));
        let other = [with("ACCESS_TOKEN_SECRET", ACCESS_SECRET), with("REFRESH_TOKEN_SECRET", REFRESH_SECRET)]
            .into_iter()
            .fold(Launch::new(AXUM_MEMORY), |launch, (name, value)| launch.env(name, value))
            .start();
        // A store in memory knows no token from before its process, so the other one starts first.
        let browser = server.register(&format!("lovelace{}", end.len()));
        other.get("/profile").bearer(&browser.access()).send().expect(200);

        let twice = Launch::new(AXUM_MEMORY).env("REFRESH_TOKEN_SECRET", format!("{ACCESS_SECRET}{end}"));
        refuses(twice, &["ACCESS_TOKEN_SECRET"], &["same secret is used twice"]);
    }
}

#[test]
fn white_space_around_a_secret_is_refused() {
    for name in ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET", "TOKEN_ISSUER"] {
        for secret in [format!(" {ACCESS_SECRET}"), format!("{ACCESS_SECRET} "), format!("{ACCESS_SECRET}\n\n")] {
            let said = refuses(Launch::new(AXUM_MEMORY).env(name, secret), &[name], &["white space"]);
            assert!(!said.contains(ACCESS_SECRET), "the secret itself is in: {said}");
        }
    }
}

#[test]
fn a_well_known_secret_is_refused() {
    let fix = ["32 bytes", "32 bytes", "random", "generate", "openssl", "replace", "your own", "choose"];
    for secret in [
        "a-string-secret-at-least-256-bits-long",
        "your-super-secret-access-key-min-32-chars",
        "your-super-secret-refresh-key-min-32-chars",
        "your_super_secret_access_key",
        "your_super_secret_refresh_key",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "00000000000000000000000000000000",
    ] {
        for name in ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"] {
            refuses(Launch::new(AXUM_MEMORY).env(name, secret), &[name], &fix);
        }
    }
}

#[test]
fn a_lifetime_that_makes_no_sense_is_refused() {
    let fix = ["15m", "7d", "90s", "500ms", "zero", "longer", "at least", "more than", "positive"];
    for name in ["ACCESS_TOKEN_EXPIRY", "REFRESH_TOKEN_EXPIRY", "SESSION_MAX_AGE"] {
        for value in ["0s", "0ms", "soon", "-5m", "15 parsecs", "m", "99999999999999999999d"] {
            refuses(Launch::new(AXUM_MEMORY).env(name, value), &[name], &fix);
        }
    }
}

#[test]
fn a_refresh_lifetime_below_the_access_lifetime_is_refused() {
    let launch = Launch::new(AXUM_MEMORY).env("ACCESS_TOKEN_EXPIRY", "15m");
    refuses(
        launch.env("REFRESH_TOKEN_EXPIRY", "14m"),
        &["REFRESH_TOKEN_EXPIRY", "ACCESS_TOKEN_EXPIRY"],
        &["shorter", "longer", "at least"],
    );
}

#[test]
fn a_grace_over_a_minute_or_of_no_meaning_is_refused() {
    let setting = ["REFRESH_TOKEN_GRACE"];
    let launch = |value: &str| Launch::new(AXUM_MEMORY).env("REFRESH_TOKEN_GRACE", value);
    refuses(launch("61s"), &setting, &["60", "minute"]);
    refuses(launch("1h"), &setting, &["60", "minute"]);
    refuses(launch("briefly"), &setting, &["10s", "90s", "15m", "500ms"]);
    launch("60s").start().is_alive();
    launch("0s").start().is_alive();
}

#[test]
fn an_unknown_delivery_is_refused() {
    for value in ["pigeon", "cookie,pigeon"] {
        let launch = Launch::new(AXUM_MEMORY).env("TOKEN_DELIVERY", value);
        refuses(launch, &["TOKEN_DELIVERY"], &["split", "both"]);
    }
}

#[test]
fn without_secrets_it_starts_and_warns_that_tokens_will_end() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let bare = || Launch::bare(example).env("INSECURE_COOKIES", "1").start();
        let server = bare();
        let warns = |log: String| {
            let log = log.to_lowercase();
            let why = ["secret", "ephemeral"].iter().any(|word| log.contains(word));
            let what = ["process", "restart"].iter().any(|word| log.contains(word));
            (why && what).then_some(())
        };
        poll_until("a warning of ephemeral secrets", || warns(server.log()));

        // The generated secrets are strong, and another process has others.
        let mut browser = server.register("lovelace");
        browser.get("/profile").send().expect(200);
        browser.post("/auth/refresh").send().expect(200);
        let other = bare();
        let foreign = other.get("/profile").bearer(&browser.access()).send();
        foreign.token_refused("token_invalid");
        other.refresh_with(&browser.refresh()).problem(401, "refresh_invalid");
    }
}

#[test]
fn with_secrets_there_is_no_such_warning() {
    let server = Launch::new(AXUM_MEMORY).start();
    server.is_alive();
    let log = server.stop().to_lowercase();
    assert!(!log.contains("ephemeral") && !log.contains("end with the process"), "{log}");
}

#[test]
fn secrets_without_an_issuer_are_enough_for_an_example() {
    let server = Launch::new(AXUM_MEMORY).without("TOKEN_ISSUER").without("TOKEN_AUDIENCE").start();
    let browser = server.register("lovelace");
    let token = crate::forge::Genuine::access(&browser.access());
    assert_eq!(token.claim("iss"), "portcullis-example");
    let aud = token.claim("aud");
    assert!(aud == "portcullis-example" || aud[0] == "portcullis-example", "{aud}");
}
