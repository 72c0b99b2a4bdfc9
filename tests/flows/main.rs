//! Black-box tests: the example binaries as child processes, over real sockets.
//!
//! Each file is a flow, as a client in any language would meet it. Nothing here reaches into the
//! library: what these tests know is the HTTP contract, the environment that the examples read and,
//! for forged tokens, the secrets that the tests themselves chose.

// Every function here is part of a test, though clippy takes only those marked `#[test]` for one.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

#[path = "../support/browser.rs"]
mod browser;
#[path = "../support/checks.rs"]
mod checks;
#[path = "../support/client.rs"]
mod client;
#[path = "../support/forge.rs"]
mod forge;
#[cfg(feature = "mongodb_3")]
#[path = "../support/mongodb_process.rs"]
mod mongodb_process;
#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../support/process.rs"]
mod process;
#[path = "../support/server.rs"]
mod server;
#[cfg(feature = "mongodb_3")]
#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../support/server_process.rs"]
mod server_process;
#[cfg(any(feature = "client", feature = "mongodb_3", feature = "sqlx_0_9_sqlite"))]
#[path = "../support/temp_dir.rs"]
mod temp_dir;

mod audit_log;
mod bad_input;
mod concurrency;
mod cookies;
mod credentials;
mod cross_site;
mod delivery;
mod envelope;
#[cfg(feature = "sqlx_0_9_sqlite")]
mod existing_app;
mod expiry;
mod keys;
#[cfg(feature = "mongodb_3")]
mod mongodb;
mod passwords;
mod refresh;
mod registration;
mod routing;
mod sessions;
mod settings;
#[cfg(feature = "client")]
mod spa_and_native;
#[cfg(feature = "sqlx_0_9_sqlite")]
mod sqlite;
mod throttle;
mod token_claims;
mod token_confusion;
mod two_nodes;
mod websocket;
mod whole_flow;
