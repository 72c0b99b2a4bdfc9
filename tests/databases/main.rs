//! The stores of real engines, each in a directory of its own that ends with its test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]

mod clocks;
mod existing_app;
#[path = "../../examples/existing_app/members.rs"]
mod members;
mod mongodb;
mod outages;
mod postgres;
mod redis;
mod skipped_suites;
mod sql_rules;
mod sqlite;
#[path = "../../examples/existing_app/store.rs"]
mod store;
mod temp_dir;
mod two_engines;
mod user_keys;
