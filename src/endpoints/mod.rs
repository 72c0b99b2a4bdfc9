//! The ready endpoints as one tower [`Service`](tower_service::Service), which
//! [`Auth::routes`](crate::Auth::routes) returns.
//!
//! [`Routes`] lists each endpoint with its body and its success.

// Each endpoint has a file in this folder with its specification and its handler. The specification
// declares its method, path, credentials, bodies and failures. These read it: routing, the header
// `Allow`, the cross-site check, the `OpenAPI` document, and the texts of the envelope.
//
// A new endpoint needs a file with a `mod` line below, a line in `list.rs`, and a variant of
// `http::Endpoint`. If one of them is missing, the crate does not compile. A test fails if the
// endpoint has no row in the table of `Routes`.

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
