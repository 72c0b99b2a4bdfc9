//! The audit log on the standard output: one JSON line for each event, without secrets.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::server::{ADMIN_PASSWORD, AUDIT_LOG, Launch, PASSWORD, Server, poll_until};

const WRONG: &str = "not the vermilion otter";

/// The lines below the one that says where the server listens.
fn lines(server: &Server) -> Vec<Value> {
    let log = server.log();
    let (_, after) = log.split_once("listening on http://").expect("it listens");
    let lines = after.lines().skip(1).filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).expect("a line is one JSON value")).collect()
}

#[test]
fn every_event_is_one_json_line_and_shows_no_secret() {
    let server = Launch::new(AUDIT_LOG).env("REFRESH_TOKEN_GRACE", "0s").start();
    let mut browser = server.register("lovelace");
    let mut tokens = vec![browser.access(), browser.refresh()];
    let id = browser.get("/profile").send().expect(200).json()["sub"].clone();
    for login in ["lovelace@example.com", WRONG] {
        let body = json!({"login": login, "password": WRONG});
        server.post("/auth/login").json(&body).send().problem(401, "invalid_credentials");
    }
    let mut elsewhere = server.log_in("lovelace");
    tokens.extend([elsewhere.access(), elsewhere.refresh()]);
    let superseded = browser.refresh();
    browser.post("/auth/refresh").send().expect(200);
    tokens.extend([browser.access(), browser.refresh()]);
    server.refresh_with(&superseded).problem(401, "refresh_reused");
    elsewhere.post("/auth/logout").send().expect(204);

    let expected = [
        // The administrator of the environment comes before the first request.
        ("user.registered", json!({})),
        ("user.registered", json!({})),
        ("login.succeeded", json!({"method": "registration"})),
        ("login.failed", json!({"reason": "wrong_password"})),
        ("login.failed", json!({"reason": "unknown_login"})),
        ("login.succeeded", json!({"method": "password"})),
        ("session.refreshed", json!({})),
        ("session.reuse_found", json!({})),
        ("session.ended", json!({"reason": "reuse"})),
        ("session.ended", json!({"reason": "logout"})),
    ];
    let lines = poll_until("every event is written", || {
        let lines = lines(&server);
        (lines.len() >= expected.len()).then_some(lines)
    });
    let emitted: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(emitted, expected.each_ref().map(|(name, _)| *name));
    for (line, (name, own)) in lines.iter().zip(&expected) {
        for (member, value) in own.as_object().expect("an object") {
            assert_eq!(&line[member], value, "{name}");
        }
        assert!(line["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
    }
    for line in &lines[1..] {
        assert_eq!(line["ip"], "127.0.0.1", "{line}");
        let known = line["reason"] != "unknown_login";
        assert_eq!(line["user"], if known { id.clone() } else { Value::Null }, "{line}");
    }
    assert_eq!(lines[6]["session"], lines[2]["session"], "a session goes by one name");
    assert_eq!(lines[8]["session"], lines[2]["session"]);
    assert_eq!(lines[9]["session"], lines[5]["session"]);

    let written = server.stop();
    let signatures = tokens.iter().filter_map(|token| token.rsplit('.').next());
    for secret in signatures.chain([PASSWORD, ADMIN_PASSWORD, WRONG, "$argon2"]) {
        assert!(!written.contains(secret), "{secret} is in: {written}");
    }
}

/// Reads the log as the example describes. Without `jq`, `grep` does the part that matters here.
fn reader() -> (&'static str, [&'static str; 2]) {
    let jq = Command::new("jq").arg("--version").stdout(Stdio::null()).status();
    if jq.is_ok_and(|status| status.success()) { ("jq", ["-R", "fromjson?"]) } else { ("grep", ["-e", "^{"]) }
}

#[test]
fn a_program_that_takes_json_alone_reads_every_event() {
    let (program, arguments) = reader();
    let (server, out) = Launch::new(AUDIT_LOG).piped_into(program, &arguments);
    for name in ["lovelace", "babbage"] {
        server.register(name).post("/auth/logout").send().expect(204);
    }
    poll_until("every event is written", || (server.log().matches("session.ended").count() == 2).then_some(()));
    let written = server.stop();
    let events: Vec<Value> = serde_json::Deserializer::from_str(&out.text())
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("nothing but JSON comes through");
    let emitted: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    let each = ["user.registered", "login.succeeded", "session.ended"];
    assert_eq!(emitted, [&["user.registered"], each.as_slice(), each.as_slice()].concat(), "{written}");
}

#[test]
fn a_closed_pipe_is_logged_once() {
    // It takes the first line and ends.
    let (server, _) = Launch::new(AUDIT_LOG).without("ADMIN_EMAIL").piped_into("head", &["-n", "1"]);
    let lost = "nothing more is recorded";
    server.register("lovelace");
    poll_until("the writer finds out", || {
        server.log_in("lovelace");
        server.log().contains(lost).then_some(())
    });
    server.log_in("lovelace");
    let log = server.stop();
    assert_eq!(log.matches("audit log").count(), 1, "{log}");
}
