//! The properties of the memory store, and the tests of the tests.

mod flaws;
mod memory;
mod reach;
#[cfg(feature = "redis")]
mod redis;
mod regressions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod theft;
