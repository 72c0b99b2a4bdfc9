//! A MongoDB server for the example, and what outlives the example.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use std::{env, process};

use serde_json::json;

use crate::forge::Genuine;
use crate::mongodb_process::start_stand_in;
use crate::process::free_port;
use crate::server::{AXUM_MONGODB, Launch, PASSWORD};
use crate::server_process::ServerProcess;

/// The server of `MONGODB_URI`, or one that ends with this value.
pub(crate) struct Mongo {
    authority: String,
    options: String,
    _own: Option<ServerProcess>,
}

fn number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

impl Mongo {
    pub(crate) fn start() -> Self {
        if let Ok(uri) = env::var("MONGODB_URI") {
            let (server, options) = uri.split_once('?').unwrap_or((&uri, ""));
            let authority = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            return Self { authority, options: options.to_owned(), _own: None };
        }
        let mut process = start_stand_in();
        process.wait();
        Self { authority: format!("mongodb://{}", process.addr()), options: String::new(), _own: Some(process) }
    }

    /// The example over a database of its own.
    pub(crate) fn launch(&self) -> Launch {
        let database = format!("portcullis_flows_{}_{}", process::id(), number());
        Launch::new(AXUM_MONGODB).env("MONGODB_URI", format!("{}/{database}?{}", self.authority, self.options))
    }
}

#[test]
fn without_a_server_it_says_what_to_fix() {
    let port = free_port();
    let launch = Launch::new(AXUM_MONGODB).env("MONGODB_URI", format!("mongodb://127.0.0.1:{port}/app"));
    let refusal = launch.refuse();
    assert!(!refusal.status.success());
    assert!(refusal.stderr.contains("MONGODB_URI") && refusal.stderr.contains("running"), "{}", refusal.stderr);
}

const DEVICES: usize = 6;

/// The node is killed again and again while every device refreshes as fast as it can.
#[test]
fn a_node_killed_amid_refreshes_loses_and_doubles_no_session() {
    let mongo = Mongo::start();
    let launch = mongo.launch().env("REFRESH_TOKEN_GRACE", "60s");
    let server = launch.clone().start();
    server.register("lovelace");
    let mut tokens: Vec<String> = (0..DEVICES).map(|_| server.log_in("lovelace").refresh()).collect();
    let sids: Vec<_> = tokens.iter().map(|token| Genuine::refresh(token).claim("sid").clone()).collect();

    let mut server = Some(server);
    for _ in 0..3 {
        let running = server.take().unwrap_or_else(|| launch.clone().start());
        let addr = running.addr;
        let stop = AtomicBool::new(false);
        tokens = thread::scope(|scope| {
            let storm = |token: String| {
                let stop = &stop;
                scope.spawn(move || {
                    let mut token = token;
                    while !stop.load(Ordering::Relaxed) {
                        // What was cut off in the middle has no status, and perhaps no cookie.
                        let request = format!(
                            "POST /auth/refresh HTTP/1.1\r\nhost: {addr}\r\ncookie: refresh_token={token}\r\n\
                             content-length: 0\r\nconnection: close\r\n\r\n"
                        );
                        let Ok(answer) = crate::client::exchange(addr, request.as_bytes(), false) else { continue };
                        if answer.status != 200 {
                            assert_eq!(answer.status, 503, "a refresh in the storm was refused: {answer}");
                            continue;
                        }
                        token = answer.set_cookie("refresh_token").value;
                    }
                    token
                })
            };
            let devices: Vec<_> = tokens.drain(..).map(storm).collect();
            thread::sleep(Duration::from_millis(700));
            // SIGKILL, between any two steps of any request.
            running.stop();
            stop.store(true, Ordering::Relaxed);
            devices.into_iter().map(|device| device.join().expect("a device finishes")).collect()
        });
    }

    let server = launch.clone().start();
    for (token, sid) in tokens.iter().zip(&sids) {
        let answer = server.refresh_with(token).expect(200);
        let next = Genuine::refresh(&answer.set_cookie("refresh_token").value);
        assert_eq!(next.claim("sid"), sid);
        assert!(next.number("gen") > 0);
    }
    let mut browser = server.browser();
    let body = json!({"email": "lovelace@example.com", "password": PASSWORD});
    browser.post("/auth/login").json(&body).send().expect(200);
    let listed = browser.get("/auth/sessions").send().expect(200).json();
    let listed = listed["sessions"].as_array().expect("sessions are listed");
    // The registration's, each device's, and this one.
    assert_eq!(listed.len(), DEVICES + 2);
}
