//! The ready endpoints as one tower [`Service`](tower_service::Service): [`Auth::routes`](crate::Auth::routes) returns it.
//!
//! [`Routes`] shows each endpoint with its body and its success.

// Each endpoint has a file here with its specification and its handler. The specification says what its method, path,
// credentials, bodies and failures are. Routing, `Allow`, the cross-site check, the `OpenAPI` document and the texts of the
// envelope are read from it.
//
// A new endpoint is a file (with its `mod` line below), a line in `list.rs`, and a variant of `http::Endpoint`. The compiler
// asks for each that is missing, and the tests ask for its row in the table of `Routes`.

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
