//! What is answered: status, headers, cookies and body.
//!
//! The standard shape is written by [`problem`] and [`success`]. An app may choose another one by [`format`]. The shape
//! [`envelope`] implements [`shape`], and nothing else knows it.

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
