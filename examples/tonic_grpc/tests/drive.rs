//! The example as its documentation uses it: tokens over HTTP, calls over gRPC, both by the real
//! binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../../../tests/support/process.rs"]
mod process;

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use self::process::clear_environment;

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis-tonic-grpc");
const PASSWORD: &str = "vermilion otter crossing 7";

/// A child process. It ends with this value.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it ended").unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn example() -> Command {
    let mut command = Command::new(BINARY);
    clear_environment(&mut command);
    command
}

struct Server {
    addr: String,
    _running: Running,
}

impl Server {
    fn start() -> Self {
        let mut command = example();
        command.env("ADDR", "127.0.0.1:0").env("THROTTLE", "off").stderr(Stdio::null());
        command.env("ADMIN_EMAIL", "warden@example.com").env("ADMIN_PASSWORD", PASSWORD);
        let mut running = Running::start(&mut command);
        let addr = running.line().strip_prefix("listening on http://").unwrap().to_owned();
        Self { addr, _running: running }
    }

    /// Returns the status and body of a `POST` over HTTP/1.1.
    fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{authorization}\r\n",
            self.addr,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    fn sign(&self, way: &str, email: &str) -> String {
        let (status, body) = self.post(way, None, &json!({ "email": email, "password": PASSWORD }));
        assert!(status < 300, "{status}: {body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    fn logout(&self, token: &str) {
        assert_eq!(self.post("/auth/logout", Some(token), &json!({})).0, 204);
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = example();
        command.env("ADDR", &self.addr).args(arguments);
        command
    }

    /// Returns what the call prints, or its error.
    fn call(&self, arguments: &[&str]) -> Result<String, String> {
        let Output { status, stdout, stderr } = self.client(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
        if status.success() { Ok(text(stdout)) } else { Err(text(stderr)) }
    }

    fn refused(&self, arguments: &[&str], with: &str) {
        let error = self.call(arguments).unwrap_err();
        assert!(error.contains(with), "{error}");
    }
}

#[test]
fn a_token_of_the_endpoints_is_accepted_until_its_logout() {
    let server = Server::start();
    assert_eq!(server.call(&["describe"]).unwrap(), "0 notes");
    server.refused(&["add", "nonsense", "oil the winch"], "Unauthenticated: The access token is not valid");

    let ada = server.sign("/auth/register", "ada@example.com");
    let added = server.call(&["add", &ada, "oil the winch"]).unwrap();
    assert!(added.ends_with(": oil the winch"), "{added}");
    assert_eq!(server.call(&["describe"]).unwrap(), "1 notes");

    server.logout(&ada);
    server.refused(&["add", &ada, "grease the chain"], "Unauthenticated: The session has ended");
    server.refused(&["watch", &ada], "Unauthenticated: The session has ended");
    assert_eq!(server.call(&["describe"]).unwrap(), "1 notes");
}

#[test]
fn one_method_is_for_admins() {
    let server = Server::start();
    let ada = server.sign("/auth/register", "ada@example.com");
    server.call(&["add", &ada, "oil the winch"]).unwrap();
    server.refused(&["clear", &ada], "PermissionDenied: The user lacks the role");
    let warden = server.sign("/auth/login", "warden@example.com");
    assert_eq!(server.call(&["clear", &warden]).unwrap(), "1 notes cleared");
}

#[test]
fn a_note_has_an_end() {
    let server = Server::start();
    let ada = server.sign("/auth/register", "ada@example.com");
    server.refused(&["add", &ada, &"w".repeat(4 * 1024 + 1)], "InvalidArgument: A note has 4096 bytes at most");
    server.call(&["add", &ada, &"w".repeat(4 * 1024)]).unwrap();
    assert_eq!(server.call(&["describe"]).unwrap(), "1 notes");
}

#[test]
fn a_stream_ends_when_its_session_does_and_the_others_go_on() {
    let server = Server::start();
    let (ada, eve) =
        (server.sign("/auth/register", "ada@example.com"), server.sign("/auth/register", "eve@example.com"));
    let mut watching = [&ada, &eve].map(|token| {
        let mut running = Running::start(server.client(&["watch", token]).stderr(Stdio::piped()));
        assert_eq!(running.line(), "watching");
        running
    });
    server.call(&["add", &ada, "oil the winch"]).unwrap();
    for running in &mut watching {
        assert!(running.line().ends_with(": oil the winch"));
    }

    server.logout(&ada);
    let [mut ended, mut goes_on] = watching;
    assert!(ended.lines.next().is_none(), "the watch ends");
    let mut said = String::new();
    ended.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("Unauthenticated: The session has ended"), "{said}");
    server.call(&["add", &eve, "grease the chain"]).unwrap();
    assert!(goes_on.line().ends_with(": grease the chain"));
}

#[test]
fn what_is_no_service_is_not_found() {
    let server = Server::start();
    assert_eq!(server.post("/nothing", None, &json!({})).0, 404);
    assert_eq!(server.post("/auth/logout", None, &json!({})).0, 204);
}
