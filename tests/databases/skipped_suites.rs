//! What becomes of the tests of an engine that this machine does not have.

use std::{env, io::Write};

/// Whether the tests of an engine can run. Where servers are required (`CI`, and under `tests/run`) a missing one is a
/// failure; elsewhere the tests are left out, which is said.
pub(crate) fn can_run(engine: &str, is_there: bool) -> bool {
    if is_there {
        return true;
    }
    let required =
        ["CI", "PORTCULLIS_REQUIRE_SERVERS"].iter().any(|name| env::var_os(name).is_some_and(|it| !it.is_empty()));
    assert!(!required, "{engine} is not installed: tests/run installs it");
    // Not `eprintln!`, whose output is shown for failures only.
    let _ = writeln!(std::io::stderr(), "LEFT OUT: a test of {engine}, which is not installed: tests/run installs it");
    false
}
