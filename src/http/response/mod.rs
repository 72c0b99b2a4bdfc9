//! Writes answers: status, headers, cookies and body.
//!
//! [`responder`] writes answers in the shape that the app chose in [`format`]. [`problem`] has the
//! failures of the standard shape. The other shape, [`envelope`], implements the trait of
//! [`shape`].

pub(crate) mod body;
mod cookie_variants;
pub(crate) mod cookies;
pub(crate) mod delivery;
mod envelope;
pub(crate) mod format;
pub(crate) mod grpc;
pub(crate) mod plain;
pub(crate) mod problem;
pub(crate) mod responder;
pub(crate) mod shape;
pub(crate) mod status;
pub(crate) mod success;
