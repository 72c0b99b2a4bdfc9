//! [`FieldError`]: what is wrong with one field of a body.

use std::{borrow::Cow, fmt};

use serde::Serialize;

/// What is wrong with one field of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldError {
    /// The field's name in the body.
    pub field: Cow<'static, str>,
    /// A stable code, for example `required` or `too_short`.
    pub code: Cow<'static, str>,
    /// An English sentence for the person who filled the form. It never repeats the value.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// Describes one problem of one field.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), code: code.into(), message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FieldError {}
