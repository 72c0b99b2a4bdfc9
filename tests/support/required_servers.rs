//! What happens to the tests of a server that this machine does not have.

use std::{env, io::Write};

/// Returns whether the tests of a server can run.
///
/// Where servers are required (`CI`, and under `tests/run`), a missing one is a failure. Elsewhere
/// its tests are left out with a message.
pub(crate) fn can_run(server: &str, is_installed: bool) -> bool {
    if is_installed {
        return true;
    }
    let required =
        ["CI", "PORTCULLIS_REQUIRE_SERVERS"].iter().any(|name| env::var_os(name).is_some_and(|it| !it.is_empty()));
    assert!(!required, "{server} is not installed: tests/run installs it");
    // Not `eprintln!`, whose output is shown for failures only.
    let _ = writeln!(std::io::stderr(), "LEFT OUT: a test of {server}, which is not installed: tests/run installs it");
    false
}
