//! Every property, of sessions in Redis; left out where there is no redis-server, unless servers are required.

use std::{
    env,
    io::{self, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use portcullis_properties::{properties, redis::Redis, run::Run};

/// A server that keeps nothing and ends with its value.
struct Server(Child, u16);

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server does not start ({error}): run tests/run, or install it"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not start");
            thread::sleep(Duration::from_millis(20));
        }
        Self(child, port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_property_holds_of_redis() {
    let required =
        ["CI", "PORTCULLIS_REQUIRE_SERVERS"].iter().any(|name| env::var_os(name).is_some_and(|it| !it.is_empty()));
    if !required && Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        let _ =
            writeln!(io::stderr(), "LEFT OUT: the properties of Redis, which is not installed: tests/run installs it");
        return;
    }
    let server = Server::start();
    if let Err(failure) =
        properties::suite(&Redis(format!("redis://127.0.0.1:{}/", server.1)), Run::from_env().sparing(32))
    {
        panic!("{failure}");
    }
}
