//! One opaque [`Error`] for everything that can go wrong at run time, and the stable codes behind
//! it.
//!
//! An error says what a client may know: its [`kind`](Error::kind), the fields of invalid input,
//! and after how long an overloaded service can be asked again. What only the operator may know is
//! kept as [`source`](std::error::Error::source) and is logged through `tracing`.

mod build;
mod error;
mod field;
mod kind;
mod unknown_name;

pub(crate) use self::error::causes;
pub use self::{build::BuildError, error::Error, field::FieldError, kind::ErrorKind, unknown_name::UnknownName};
