//! Tests that the schedules reach every kind of answer.

use portcullis_properties::{
    memory::Memory,
    run::Run,
    schedule::Profile,
    sequential::{Answers, answers},
};

fn assert_reached(answers: &Answers, expected: &[(&str, &[&str])]) {
    for (operation, expected) in expected {
        for answer in *expected {
            let times = answers.get(&(*operation, (*answer).to_owned()));
            assert!(times.is_some(), "no {operation} was answered {answer}: {answers:#?}");
        }
    }
}

#[test]
fn schedules_reach_every_kind_of_answer() {
    let profile = Profile { nodes: 3, faults: true, ..Profile::PLAIN };
    let run = Run { cases: 3072, ..Run::from_env() };
    let answers = answers(&Memory, run, "schedules_reach_every_kind_of_answer", profile);
    let cut_short = ["store_unavailable", "Killed", "HungUp"];
    let answers = answers.unwrap_or_else(|failure| panic!("{failure}"));
    // The use of an access token is not in the list, because its node asks no store after it has
    // started.
    for operation in ["refresh", "login", "logout", "logout all", "poll"] {
        assert_reached(&answers, &[(operation, &cut_short)]);
    }
    assert_reached(
        &answers,
        &[
            ("refresh", &["a pair", "refresh_invalid", "refresh_expired", "refresh_reused"]),
            ("use", &["done", "token_expired", "token_revoked"]),
            ("login", &["a pair", "invalid_credentials", "too_many_sessions"]),
            ("end session", &["done", "session_not_found"]),
            ("find", &["done", "session_not_found"]),
        ],
    );
}

#[test]
fn schedules_with_passwords_reach_every_kind_of_answer() {
    let profile = Profile { passwords: true, faults: true, ..Profile::PLAIN };
    let run = Run { cases: 128, ..Run::from_env() };
    let answers = answers(&Memory, run, "schedules_with_passwords_reach_every_kind_of_answer", profile);
    let answers = answers.unwrap_or_else(|failure| panic!("{failure}"));
    assert_reached(
        &answers,
        &[("change password", &["a pair", "store_unavailable", "wrong_password"]), ("sign in", &["a pair"])],
    );
}
