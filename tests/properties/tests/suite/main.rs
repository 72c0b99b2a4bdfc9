//! The properties of the memory store, and the tests of the properties themselves.

#[cfg(feature = "redis")]
#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../../../support/process.rs"]
mod process;
#[cfg(feature = "redis")]
#[path = "../../../support/redis_process.rs"]
mod redis_process;
#[cfg(feature = "redis")]
#[path = "../../../support/required_servers.rs"]
mod required_servers;
#[cfg(feature = "redis")]
#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../../../support/server_process.rs"]
mod server_process;
#[cfg(feature = "redis")]
#[path = "../../../support/temp_dir.rs"]
mod temp_dir;

mod flaws;
mod memory;
mod reach;
#[cfg(feature = "redis")]
mod redis;
mod regressions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod theft;
