//! Tests the stores over real servers. Each server has a directory of its own, and stops at the end
//! of its test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]

#[path = "../support/auth.rs"]
mod auth;
#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../support/event_log.rs"]
mod event_log;
#[path = "../support/log_buffer.rs"]
mod log_buffer;
#[path = "../support/login.rs"]
mod login;
#[path = "../support/mongodb_process.rs"]
mod mongodb_process;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../support/process.rs"]
mod process;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/redis_process.rs"]
mod redis_process;
#[path = "../support/required_servers.rs"]
mod required_servers;
#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../support/server_process.rs"]
mod server_process;
#[path = "../support/temp_dir.rs"]
mod temp_dir;

#[path = "../../examples/existing_app/admin.rs"]
mod admin;
mod clocks;
mod existing_app;
mod last_release;
#[path = "../../examples/existing_app/members.rs"]
mod members;
mod mongodb;
mod outages;
mod postgres;
mod redis;
mod sql_rules;
mod sqlite;
#[path = "../../examples/existing_app/store.rs"]
mod store;
mod two_engines;
mod user_keys;
