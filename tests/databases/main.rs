//! The stores of real engines, each in a directory of its own that ends with its test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]

mod clocks;
mod existing_app;
mod faults;
mod left_out;
#[path = "../../examples/existing_app/members.rs"]
mod members;
mod mixed;
mod mongodb;
mod postgres;
mod redis;
mod scratch;
mod sql_rules;
mod sqlite;
#[path = "../../examples/existing_app/store.rs"]
mod store;
mod user_keys;
