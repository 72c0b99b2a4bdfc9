//! Tests through the public API, with a clock that is moved by hand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on must fail")]

mod cache;
mod composition;
mod conformance;
mod cors;
mod endpoints;
mod equal_work;
mod fixture;
mod guides;
#[cfg(feature = "jwks_url")]
mod jwks_url;
mod keys;
mod left_out;
mod legacy;
mod nodes;
#[cfg(feature = "openapi")]
mod openapi;
mod outages;
mod own_claims;
mod own_users;
mod passwords;
mod provider;
mod resource;
mod responses;
mod round_trips;
mod secrets;
mod testing;
mod throttle;
mod upgrades;
