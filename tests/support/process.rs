//! Child processes of tests: a free port, and an environment without settings of the caller's
//! shell.

use std::{net::TcpListener, process::Command};

/// Returns a port of the loopback that no process uses.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Clears the environment of a command. Keeps what a process needs to run at all, and the variable
/// that says where a coverage build writes to.
pub(crate) fn clear_environment(command: &mut Command) {
    command.env_clear();
    for name in ["PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}
