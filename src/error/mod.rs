//! One opaque [`Error`] for everything that can go wrong at run time, and the stable codes behind
//! it.
//!
//! An error has what a client may know: its [`kind`](Error::kind), the fields of invalid input, and
//! the time after which a client can try again. Its [`source`](std::error::Error::source) is only
//! for the operator. It is logged through `tracing`.
//!
//! | type | what it is for |
//! |---|---|
//! | [`Error`], [`ErrorKind`] | say what went wrong in a flow |
//! | [`FieldError`] | says what is wrong with one field of a body |
//! | [`BuildError`] | lists the settings with which an `Auth` cannot be built |
//! | [`UnknownName`] | says that a text is not a name of an enum's value |

mod build;
mod error;
mod field;
mod kind;
mod unknown_name;

pub(crate) use self::error::causes;
pub use self::{build::BuildError, error::Error, field::FieldError, kind::ErrorKind, unknown_name::UnknownName};
