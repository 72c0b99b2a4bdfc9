//! The stand-in for a MongoDB server: the program `secantusd-py` of the Python package
//! `secantusdb`. MongoDB itself is in no package of the system.

use std::{env, path::PathBuf, process::Command};

use crate::server_process::ServerProcess;

/// Returns the path of the program. The variable `SECANTUSD` comes before `PATH`.
pub(crate) fn stand_in() -> Option<PathBuf> {
    let on_path =
        || env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("secantusd-py")).find(|it| it.is_file());
    env::var_os("SECANTUSD").map(PathBuf::from).or_else(on_path)
}

/// Starts the stand-in. Does not wait until it listens.
pub(crate) fn start_stand_in() -> ServerProcess {
    let program = stand_in().unwrap_or_else(|| {
        panic!(
            "there is no MongoDB to test with: run tests/run, which installs a stand-in, or set \
             SECANTUSD to the secantusd-py of `pip install secantusdb`"
        )
    });
    ServerProcess::start(move |port, directory| {
        let mut command = Command::new(&program);
        command
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--enable-test-commands", "--log-level", "ERROR"])
            .arg("--storage-path")
            .arg(directory.join("data"))
            .current_dir(directory);
        command
    })
}
