//! Tests through the public API, with a clock that the test moves.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]

#[path = "../support/auth.rs"]
mod auth;
#[path = "../support/event_log.rs"]
mod event_log;
#[allow(dead_code, reason = "other suites use the rest of it")]
#[path = "../support/log_buffer.rs"]
mod log_buffer;
#[path = "../support/login.rs"]
mod login;
#[path = "../support/temp_dir.rs"]
mod temp_dir;

mod botnets;
mod cache;
#[cfg(feature = "client")]
mod client;
mod clocks;
mod composition;
mod conformance;
mod cookie_changes;
mod cors;
mod crypto_provider;
mod custom_claims;
mod endpoints;
mod events;
mod fixture;
mod full_set;
mod guides;
mod jar;
#[cfg(feature = "jwks_url")]
mod jwks_url;
mod keys;
mod legacy;
mod lifecycle;
mod logins;
#[cfg(feature = "metrics")]
mod metrics;
mod nodes;
#[cfg(feature = "openapi")]
mod openapi;
mod outages;
mod own_users;
mod passwords;
mod resource;
mod responses;
mod restarts;
mod round_trips;
mod secrets;
mod skipped_suites;
mod spans;
mod testing;
mod throttle;
mod throttle_conformance;
mod unknown_user_timing;
mod until_ended;
mod websocket_upgrade;
