//! An example binary as a child process, on a free port of the loopback.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::browser::Browser;
use crate::client::{Request, Response, exchange};
use crate::process::clear_environment;

pub(crate) const AXUM_MEMORY: &str = "axum_memory";
pub(crate) const HYPER_BARE: &str = "hyper_bare";
pub(crate) const AUDIT_LOG: &str = "audit_log";
pub(crate) const WEBSOCKET: &str = "websocket";
pub(crate) const TWO_NODES: &str = "two_nodes";
#[cfg(feature = "sqlx_0_9_sqlite")]
pub(crate) const AXUM_SQLITE: &str = "axum_sqlite";
#[cfg(feature = "sqlx_0_9_sqlite")]
pub(crate) const EXISTING_APP: &str = "existing_app";
#[cfg(feature = "client")]
pub(crate) const SPA_AND_NATIVE: &str = "spa_and_native";
#[cfg(feature = "mongodb_3")]
pub(crate) const AXUM_MONGODB: &str = "axum_mongodb";

pub(crate) const ACCESS_SECRET: &str = "p7Vt3kQ9xLr2Zc8Wm5Yb1Nd6Hf4Js0Ga-flows-access";
pub(crate) const REFRESH_SECRET: &str = "T4uEo8Ri2Pa6Sx0Dv9Gy7Kh5Bm3Cn1Lw-flows-refresh";
pub(crate) const ISSUER: &str = "https://auth.flows.test";
pub(crate) const AUDIENCE: &str = "https://api.flows.test";

/// The password of users whose test is not about passwords.
pub(crate) const PASSWORD: &str = "vermilion otter crossing 7";

pub(crate) const ADMIN_EMAIL: &str = "warden@example.com";
pub(crate) const ADMIN_PASSWORD: &str = "portable lantern for the gate";

const START_DEADLINE: Duration = Duration::from_secs(45);

/// The start of an example. The example gets this environment and nothing of the caller's.
#[derive(Clone)]
pub(crate) struct Launch {
    example: &'static str,
    environment: Vec<(&'static str, String)>,
}

impl Launch {
    /// Fixed secrets, cookies for plain HTTP, no throttle, and an administrator.
    pub(crate) fn new(example: &'static str) -> Self {
        let bare = Launch::bare(example);
        bare.env("ACCESS_TOKEN_SECRET", ACCESS_SECRET)
            .env("REFRESH_TOKEN_SECRET", REFRESH_SECRET)
            .env("TOKEN_ISSUER", ISSUER)
            .env("TOKEN_AUDIENCE", AUDIENCE)
            .env("INSECURE_COOKIES", "1")
            .env("THROTTLE", "off")
            .env("ADMIN_EMAIL", ADMIN_EMAIL)
            .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
    }

    /// Nothing but the address.
    pub(crate) fn bare(example: &'static str) -> Self {
        Launch { example, environment: vec![("ADDR", "127.0.0.1:0".to_owned())] }
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self = self.without(name);
        self.environment.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(kept, _)| *kept != name);
        self
    }

    fn spawn(&self) -> Child {
        let program = locate(self.example);
        let mut command = Command::new(&program);
        clear_environment(&mut command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawned = command.spawn();
        spawned.unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()))
    }

    /// Starts the example. Returns when it has said where it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        let mut child = self.spawn();
        let log = Log::default();
        let (ready, announced) = mpsc::channel();
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let readers = vec![log.collect(stdout, Some(ready)), log.collect(stderr, None)];
        let mut server = Server { child, addr: ([127, 0, 0, 1], 0).into(), log, readers };
        match announced.recv_timeout(START_DEADLINE) {
            Ok(addr) => server.addr = addr,
            Err(why) => panic!(
                "{} did not print \"listening on http://ADDR\" on stdout ({why}); it said:\n{}",
                self.example,
                server.log.text()
            ),
        }
        server
    }

    /// Starts the example with its standard output piped into a program. Returns the output of that
    /// program as well.
    ///
    /// `tee` copies what goes through the pipe to the log of the server.
    #[track_caller]
    pub(crate) fn piped_into(self, program: &str, arguments: &[&str]) -> (Server, Log) {
        let mut child = self.spawn();
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut tee = Command::new("tee")
            .arg("/dev/stderr")
            .stdin(stdout)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a tee");
        let (copy, passed_on) = (tee.stderr.take().expect("it is piped"), tee.stdout.take().expect("it is piped"));
        let mut program = Command::new(program)
            .args(arguments)
            .stdin(passed_on)
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is such a program");
        let written = program.stdout.take().expect("it is piped");
        let (log, out) = (Log::default(), Log::default());
        let (ready, announced) = mpsc::channel();
        let mut readers = vec![log.collect(copy, Some(ready)), log.collect(stderr, None), out.collect(written, None)];
        readers.extend([tee, program].map(|mut one| {
            thread::spawn(move || {
                one.wait().ok();
            })
        }));
        let mut server = Server { child, addr: ([127, 0, 0, 1], 0).into(), log, readers };
        server.addr = announced.recv_timeout(START_DEADLINE).expect("it says where it listens");
        (server, out)
    }

    /// Starts the example with settings that it must refuse. Returns how it ended and what it
    /// wrote.
    #[track_caller]
    pub(crate) fn refuse(self) -> Refusal {
        let mut child = self.spawn();
        let (out, err) = (Log::default(), Log::default());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let readers = [out.collect(stdout, None), err.collect(stderr, None)];
        let deadline = Instant::now() + START_DEADLINE;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the child can be waited for") {
                break Some(status);
            }
            if Instant::now() > deadline || out.text().contains("listening on ") {
                break None;
            }
            thread::sleep(Duration::from_millis(10));
        };
        if status.is_none() {
            child.kill().ok();
            child.wait().ok();
        }
        for reader in readers {
            reader.join().ok();
        }
        let Some(status) = status else {
            panic!("{} started with {:?}", self.example, self.environment);
        };
        Refusal { status, stderr: err.text() }
    }
}

pub(crate) struct Refusal {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

/// Returns the path of an example. Examples are built beside the test binary:
/// `target/PROFILE/examples/NAME` is beside `target/PROFILE/deps/flows-…`.
pub(crate) fn locate(example: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a test knows its own path");
    let profile = this.ancestors().nth(2).expect("a test binary lies in target/PROFILE/deps");
    let mut name = OsString::from(example);
    name.push(std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(name);
    assert!(
        program.is_file(),
        "{} is missing: run `cargo test`, with the features that this example needs, which builds examples \
         (`cargo test --test flows` alone does not: put `cargo build --examples` before it, same profile)",
        program.display()
    );
    program
}

/// The output of a child so far, of both streams.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("no reader panics").clone()
    }

    /// Reads to the end, so that the child never blocks on a full pipe.
    fn collect(&self, stream: impl Read + Send + 'static, ready: Option<mpsc::Sender<SocketAddr>>) -> JoinHandle<()> {
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                let announced = line.trim().strip_prefix("listening on http://");
                let addr = announced.and_then(|addr| addr.trim_end_matches('/').parse().ok());
                if let (Some(ready), Some(addr)) = (&ready, addr) {
                    ready.send(addr).ok();
                }
                let mut text = log.0.lock().expect("no reader panics");
                text.push_str(&line);
                text.push('\n');
            }
        })
    }
}

/// A running example. It ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
    log: Log,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// `axum_memory`, in the usual environment of the tests.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Launch::new(AXUM_MEMORY).start()
    }

    #[track_caller]
    pub(crate) fn with(environment: &[(&'static str, &str)]) -> Self {
        let usual = Launch::new(AXUM_MEMORY);
        environment.iter().fold(usual, |launch, (name, value)| launch.env(name, *value)).start()
    }

    pub(crate) fn host(&self) -> String {
        self.addr.to_string()
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request<'static> {
        Request::new(self.addr, method, target)
    }

    pub(crate) fn get(&self, target: &str) -> Request<'static> {
        self.request("GET", target)
    }

    pub(crate) fn post(&self, target: &str) -> Request<'static> {
        self.request("POST", target)
    }

    pub(crate) fn put(&self, target: &str) -> Request<'static> {
        self.request("PUT", target)
    }

    pub(crate) fn delete(&self, target: &str) -> Request<'static> {
        self.request("DELETE", target)
    }

    /// Sends bytes as they are. There may be no answer: a server may hang up on nonsense.
    pub(crate) fn raw(&self, wire: &[u8]) -> std::io::Result<Response> {
        exchange(self.addr, wire, false)
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.addr)
    }

    /// Registers `NAME`, `NAME@example.com`, and returns the browser that did.
    #[track_caller]
    pub(crate) fn register(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "username": name, "password": PASSWORD});
        browser.post("/auth/register").json(&body).send().expect(201);
        browser
    }

    /// Logs `NAME@example.com` in, in a new browser.
    #[track_caller]
    pub(crate) fn log_in(&self, name: &str) -> Browser {
        self.log_in_as(&format!("{name}@example.com"), PASSWORD)
    }

    #[track_caller]
    pub(crate) fn log_in_as(&self, email: &str, password: &str) -> Browser {
        let mut browser = self.browser();
        let body = json!({"email": email, "password": password});
        browser.post("/auth/login").json(&body).send().expect(200);
        browser
    }

    #[track_caller]
    pub(crate) fn admin(&self) -> Browser {
        self.log_in_as(ADMIN_EMAIL, ADMIN_PASSWORD)
    }

    /// Refreshes with a token that no browser holds.
    #[track_caller]
    pub(crate) fn refresh_with(&self, token: &str) -> Response {
        self.post("/auth/refresh").cookie("refresh_token", token).send()
    }

    /// What the child has written so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Kills the child while others still talk to it.
    #[cfg(feature = "sqlx_0_9_sqlite")]
    pub(crate) fn kill(&self) {
        let killed = Command::new("kill").args(["-KILL", &self.child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "the child can be killed");
    }

    /// Ends the child and returns everything that it wrote.
    pub(crate) fn stop(mut self) -> String {
        self.end();
        self.log.text()
    }

    fn end(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        for reader in self.readers.drain(..) {
            reader.join().ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            eprintln!("--- the server wrote:\n{}---", self.log.text());
        }
    }
}

/// Asks again until there is an answer. For changes that only the clock of the child brings about.
#[track_caller]
pub(crate) fn poll_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
