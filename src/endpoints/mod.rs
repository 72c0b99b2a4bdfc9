//! The ready endpoints as one tower [`Service`](tower_service::Service): [`Auth::routes`](crate::Auth::routes) returns it.
//!
//! Each endpoint has a file here with its specification and its handler. A specification says what the endpoint's method,
//! path, credentials, bodies and failures are. Everything else is read from it.
//!
//! A new endpoint is a file (with its `mod` line below), a line in `list.rs`, and a variant of
//! [`Endpoint`](crate::http::Endpoint). The compiler asks for each that is missing, and the tests ask for its row in the table
//! of [`Routes`].

mod answer;
mod change_password;
mod delivery;
mod end_session;
mod exchange;
mod jwks;
mod list;
mod login;
mod logout;
mod logout_all;
mod me;
#[cfg(feature = "openapi")]
mod openapi;
#[cfg(feature = "openapi")]
mod openapi_document;
mod refresh;
mod register;
mod service;
mod sessions;
#[cfg(test)]
mod tests;

pub(crate) use self::list::SPECS;
pub use self::service::{ResponseFuture, Routes};
