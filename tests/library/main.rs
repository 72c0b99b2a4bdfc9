//! Tests through the public API, with a clock that is moved by hand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]

mod conformance;
mod endpoints;
mod equal_work;
mod fixture;
mod legacy;
mod nodes;
mod outages;
mod own_users;
mod passwords;
mod round_trips;
mod secrets;
mod throttle;
