//! The stores of real engines, each in a directory of its own that ends with its test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must fail")]

#[cfg(feature = "mongodb_3")]
mod mongodb;
#[cfg(feature = "sqlx_0_9_postgres")]
mod postgres;
#[cfg(any(feature = "mongodb_3", feature = "sqlx_0_9_postgres", feature = "sqlx_0_9_sqlite"))]
mod scratch;
#[cfg(feature = "sqlx_0_9_sqlite")]
mod sqlite;
