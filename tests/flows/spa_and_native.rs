//! A browser with cookies and a command line with a file, at one server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::forge::Genuine;
use crate::process::clear_environment;
use crate::server::{Launch, PASSWORD, SPA_AND_NATIVE, Server, locate};
use crate::temp_dir::TempDir;

/// A machine on which commands are typed. Its home directory is new.
struct Machine {
    server: String,
    home: TempDir,
}

impl Machine {
    fn new(server: &Server) -> Self {
        Machine { server: format!("http://{}", server.addr), home: TempDir::new() }
    }

    fn start(&self, words: &[&str]) -> Child {
        let mut command = Command::new(locate(SPA_AND_NATIVE));
        clear_environment(&mut command);
        command.env("HOME", self.home.path()).env("PASSWORD", PASSWORD);
        command.args(["--server", &self.server]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the command can be started")
    }

    /// What a command says, if it succeeds, and otherwise what it complains of.
    fn run(&self, words: &[&str]) -> Result<String, String> {
        said(self.start(words))
    }

    fn state(&self) -> PathBuf {
        self.home.path().join(".local/state/portcullis-example/session")
    }

    fn stored(&self) -> Value {
        let text = fs::read_to_string(self.state()).expect("there is a session");
        serde_json::from_str(&text).expect("it is JSON")
    }

    /// Makes the access token one that the server refuses.
    fn spoil(&self) {
        let mut stored = self.stored();
        stored["access_token"] = "spoiled".into();
        fs::write(self.state(), stored.to_string()).expect("the state can be written");
    }

    #[track_caller]
    fn is_ada(&self) {
        assert_eq!(self.run(&["whoami"]), Ok(format!("ada@example.com at {}\n", self.server)));
    }
}

fn said(child: Child) -> Result<String, String> {
    let output = child.wait_with_output().expect("the command ends");
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn a_command_line_registers_refreshes_and_logs_out() {
    let server = Launch::new(SPA_AND_NATIVE).start();
    let machine = Machine::new(&server);
    assert!(machine.run(&["whoami"]).unwrap_err().contains("nobody is logged in"));
    assert!(machine.run(&["register", "ada"]).unwrap_err().contains("validation_failed"));
    machine.run(&["register", "ada@example.com"]).expect("she can be registered");
    machine.is_ada();

    let mode = |path: &PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&machine.state()), 0o600);
    assert_eq!(mode(&machine.state().parent().expect("a directory").to_owned()), 0o700);

    let before = machine.stored();
    machine.is_ada();
    assert_eq!(machine.stored(), before, "a good token is left alone");
    machine.spoil();
    machine.is_ada();
    let after = machine.stored();
    assert!(after["access_token"] != "spoiled" && after["refresh_token"] != before["refresh_token"]);
    assert_eq!(mode(&machine.state()), 0o600);

    let sessions = machine.run(&["sessions"]).expect("she is logged in");
    assert!(sessions.lines().count() == 1 && sessions.contains("spa_and_native/1.0"), "{sessions}");
    machine.run(&["login", "ada@example.com"]).expect("she can log in again");
    assert_eq!(machine.run(&["sessions"]).expect("she is logged in").lines().count(), 1, "in the place of the other");

    let kept = machine.stored();
    machine.run(&["logout"]).expect("she can log out");
    assert!(!machine.state().exists());
    assert!(machine.run(&["whoami"]).unwrap_err().contains("nobody is logged in"));
    let token = kept["access_token"].as_str().expect("a token");
    server.get("/profile").bearer(token).send().token_refused("token_revoked");
    machine.run(&["logout"]).expect("it is no error twice");

    let log = server.stop();
    assert!(!log.contains("secret is generated") && !log.contains(token), "{log}");
}

#[test]
fn commands_that_run_at_once_stay_logged_in() {
    let server = Launch::new(SPA_AND_NATIVE).start();
    let machine = Machine::new(&server);
    machine.run(&["register", "ada@example.com"]).expect("she can be registered");
    for round in 0..4 {
        machine.spoil();
        let before = machine.stored();
        let commands: Vec<Child> = (0..4).map(|_| machine.start(&["whoami"])).collect();
        for command in commands {
            assert!(said(command).is_ok_and(|said| said.starts_with("ada@example.com")), "round {round}");
        }
        let generation =
            |stored: &Value| Genuine::refresh(stored["refresh_token"].as_str().expect("a token")).number("gen");
        assert_eq!(generation(&machine.stored()), generation(&before) + 1, "one of them refreshed");
    }
}

#[test]
fn without_a_server_the_command_line_stays_logged_in() {
    let server = Launch::new(SPA_AND_NATIVE).start();
    let machine = Machine::new(&server);
    machine.run(&["register", "ada@example.com"]).expect("she can be registered");
    machine.spoil();
    server.stop();
    for words in [["whoami"], ["logout"]] {
        let complaint = machine.run(&words).unwrap_err();
        assert!(!complaint.contains("nobody is logged in") && !complaint.contains("refresh_token"), "{complaint}");
        assert_eq!(machine.stored()["access_token"], "spoiled");
    }
}

#[test]
fn a_browser_and_a_command_line_are_two_sessions_of_one_user() {
    let server = Launch::new(SPA_AND_NATIVE).start();
    let mut browser = server.register("ada");
    browser.get("/").send().expect(200);
    browser.get("/profile").send().expect(200);
    let machine = Machine::new(&server);
    machine.run(&["login", "ada@example.com"]).expect("she can log in");
    machine.is_ada();
    let sessions = browser.get("/auth/sessions").send().expect(200).json();
    let sessions = sessions["sessions"].as_array().expect("a list");
    assert_eq!(sessions.len(), 2);

    // The browser's tokens stay in cookies, and from there it sends the other one away.
    let refreshed = browser.post("/auth/refresh").send().expect(200).json();
    assert!(refreshed["access_token"].is_null() && refreshed["refresh_token"].is_null(), "{refreshed}");
    let other = sessions.iter().find(|session| session["current"] == false).expect("the other one");
    browser.delete(&format!("/auth/sessions/{}", other["id"].as_str().expect("an id"))).send().expect(204);
    assert!(machine.run(&["whoami"]).unwrap_err().contains("nobody is logged in"));
    assert!(!machine.state().exists(), "what is over is forgotten");
    browser.get("/profile").send().expect(200);
}
