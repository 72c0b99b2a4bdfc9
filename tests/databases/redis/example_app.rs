//! Tests the example app over both engines, as a process that is killed from outside.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Server;
use crate::{postgres, required_servers::can_run};

const SESSIONS: usize = 12;

/// A running example. It is killed when this value is dropped.
struct App {
    child: Child,
    addr: SocketAddr,
}

fn command(database: &str, redis: &str) -> Command {
    // The example is built beside the tests: `target/PROFILE/deps/databases-…` and
    // `target/PROFILE/examples/NAME`.
    let this = std::env::current_exe().unwrap();
    let program = this.ancestors().nth(2).unwrap().join("examples/axum_postgres_redis");
    assert!(
        program.is_file(),
        "{} is missing: run `cargo test` with all features, which builds examples",
        program.display()
    );
    let mut command = Command::new(program);
    // The process gets only what it needs of the environment, and where a coverage build writes to.
    command.env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.envs([
        ("ADDR", "127.0.0.1:0"),
        ("DATABASE_URL", database),
        ("REDIS_URL", redis),
        ("ACCESS_TOKEN_SECRET", "p7Vt3kQ9xLr2Zc8Wm5Yb1Nd6Hf4Js0Ga"),
        ("REFRESH_TOKEN_SECRET", "T4uEo8Ri2Pa6Sx0Dv9Gy7Kh5Bm3Cn1Lw"),
        ("ADMIN_EMAIL", "warden@example.com"),
        ("ADMIN_PASSWORD", "portable lantern for the gate"),
        ("INSECURE_COOKIES", "1"),
        ("THROTTLE", "off"),
        // A process that starts on a busy machine may need some time.
        ("REFRESH_TOKEN_GRACE", "60s"),
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl App {
    fn start(database: &str, redis: &str) -> Self {
        let mut child = command(database, redis).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("it said {line:?}"));
        Self { addr: addr.parse().unwrap(), child }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a request with a token in the cookie of this name. Returns `None` where the app does
    /// not answer.
    fn ask(&self, method: &str, path: &str, cookie: (&str, &str), form: &str) -> Option<Answer> {
        ask(self.addr, method, path, cookie, form)
    }

    fn sign(&self, how: &str, email: &str) -> HashMap<String, String> {
        let form = format!("email={email}&password=open+sesame+42");
        let answer = self.ask("POST", &format!("/auth/{how}"), ("none", ""), &form).unwrap();
        assert!(answer.status < 300, "{how}: {} {}", answer.status, answer.body);
        answer.cookies
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Answer {
    status: u16,
    cookies: HashMap<String, String>,
    body: String,
}

fn ask(addr: SocketAddr, method: &str, path: &str, cookie: (&str, &str), form: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(addr).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let (name, value) = cookie;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nCookie: {name}={value}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let cookies = head.lines().filter_map(|line| {
        let (name, value) =
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))?.1.split_once('=')?;
        Some((name.to_owned(), value.split(';').next()?.to_owned()))
    });
    Some(Answer { status, cookies: cookies.collect(), body: body.to_owned() })
}

/// Returns a refresh token's session, generation and id.
fn claims(token: &str) -> (String, u64, String) {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let text = |name: &str| claims[name].as_str().unwrap().to_owned();
    (text("sid"), claims["gen"].as_u64().unwrap(), text("jti"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_example_loses_and_doubles_no_session() {
    if !Server::can_run() || !can_run("PostgreSQL", postgres::Server::is_installed()) {
        return;
    }
    let (postgres, mut redis) = (postgres::Server::start().await, Server::start().await);
    let (database, sessions) = (postgres.url("postgres"), redis.url());
    let mut app = App::start(&database, &sessions);
    every_flow_works(&app);
    let survivors = kill_during_refreshes(&mut app, || App::start(&database, &sessions));
    // The server of the sessions is killed too. What it answered is in its file.
    redis.kill();
    let token = &survivors[0];
    let answer = app.ask("POST", "/auth/refresh", ("refresh_token", token), "").unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    redis.restart().await;
    for token in &survivors {
        let answer = app.ask("POST", "/auth/refresh", ("refresh_token", token), "").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    it_says_what_is_wrong_and_does_not_start(&database, redis).await;
}

fn every_flow_works(app: &App) {
    let mine = app.sign("register", "ada@example.com");
    let other = app.sign("login", "ada@example.com");
    let status = |method: &str, path: &str, cookie: (&str, &str)| app.ask(method, path, cookie, "").unwrap().status;
    for path in ["/profile", "/account", "/auth/me", "/auth/sessions"] {
        assert_eq!(status("GET", path, ("access_token", &mine["access_token"])), 200, "{path}");
    }
    assert_eq!(status("GET", "/admin", ("access_token", &mine["access_token"])), 403);
    let warden = "email=warden@example.com&password=portable+lantern+for+the+gate";
    let warden = app.ask("POST", "/auth/login", ("none", ""), warden).unwrap().cookies;
    assert_eq!(status("GET", "/admin", ("access_token", &warden["access_token"])), 200);

    let next = app.ask("POST", "/auth/refresh", ("refresh_token", &mine["refresh_token"]), "").unwrap().cookies;
    assert_eq!(claims(&next["refresh_token"]).1, 1);
    assert_eq!(status("POST", "/auth/logout", ("refresh_token", &next["refresh_token"])), 204);
    assert_eq!(status("GET", "/profile", ("access_token", &next["access_token"])), 401);
    assert_eq!(status("POST", "/auth/refresh", ("refresh_token", &next["refresh_token"])), 401);
    assert_eq!(status("POST", "/auth/logout-all", ("access_token", &other["access_token"])), 204);
    assert_eq!(status("POST", "/auth/refresh", ("refresh_token", &other["refresh_token"])), 401);
}

/// Refreshes all sessions as fast as possible, while the process is killed and started again. Then
/// each session refreshes with the last token that its client has. Returns the newest tokens.
fn kill_during_refreshes(app: &mut App, start: impl FnOnce() -> App) -> Vec<String> {
    app.sign("register", "eve@example.com");
    let held: Vec<_> =
        (0..SESSIONS).map(|_| app.sign("login", "eve@example.com").remove("refresh_token").unwrap()).collect();
    let (addr, refreshed) = (app.addr, AtomicUsize::new(0));
    let held: Vec<_> = thread::scope(|scope| {
        let storm: Vec<_> = held
            .into_iter()
            .map(|mut token| {
                let refreshed = &refreshed;
                scope.spawn(move || {
                    while let Some(answer) = ask(addr, "POST", "/auth/refresh", ("refresh_token", &token), "") {
                        assert_eq!(answer.status, 200, "{}", answer.body);
                        token.clone_from(&answer.cookies["refresh_token"]);
                        refreshed.fetch_add(1, Ordering::SeqCst);
                    }
                    token
                })
            })
            .collect();
        let deadline = Instant::now() + Duration::from_secs(60);
        while refreshed.load(Ordering::SeqCst) < SESSIONS * 10 {
            assert!(Instant::now() < deadline, "the app does not answer");
            thread::sleep(Duration::from_millis(5));
        }
        app.kill();
        storm.into_iter().map(|client| client.join().unwrap()).collect()
    });
    *app = start();
    let go_on = |token: &String| {
        let answer = app.ask("POST", "/auth/refresh", ("refresh_token", token), "").unwrap();
        assert_eq!(answer.status, 200, "a session was lost: {}", answer.body);
        answer.cookies["refresh_token"].clone()
    };
    let newest: Vec<_> = held.iter().map(go_on).collect();
    for (token, newest) in held.iter().zip(&newest) {
        // The answer was the one chain that exists, and it is the same again.
        assert_eq!(claims(token).0, claims(newest).0);
        assert_eq!(claims(newest).1, claims(token).1 + 1);
        assert_eq!(claims(&go_on(token)), claims(newest));
    }
    newest
}

async fn it_says_what_is_wrong_and_does_not_start(database: &str, redis: Server) {
    let refusal = |database: &str, redis: &str| {
        let output = command(database, redis).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let said = refusal(database, &redis.url());
    assert!(said.contains("REDIS_URL") && said.contains("maxmemory-policy"), "{said}");
    let url = redis.url();
    drop(redis);
    let said = refusal(database, &url);
    assert!(said.contains("REDIS_URL") && said.contains("not available"), "{said}");
    let said = refusal("postgres://tests@127.0.0.1:1/postgres", &url);
    assert!(said.contains("DATABASE_URL"), "{said}");
}
