//! A redis-server from the package of the system.

use std::process::{Command, Stdio};

use crate::{required_servers::can_run, server_process::ServerProcess};

/// Returns whether the tests of Redis can run here.
pub(crate) fn can_run_redis() -> bool {
    let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    can_run("Redis", version.is_ok())
}

/// Starts a server with these settings. Does not wait until it listens.
pub(crate) fn start_redis(settings: &[&str]) -> ServerProcess {
    let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
    ServerProcess::start(move |port, directory| {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
        command.arg(directory).args(&settings);
        command
    })
}
