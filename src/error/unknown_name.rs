//! [`UnknownName`]: a text that names no value of an enum.

/// A text that names none of the values of an enum, such as `pigeon` for a
/// [`Delivery`](crate::http::Delivery).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a known name")]
#[non_exhaustive]
pub struct UnknownName;
