//! [`KeyError`]: why a key was refused.

use std::fmt;

/// Why a key was refused, and how to fix that. No message repeats a part of a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyError(String);

impl KeyError {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// `fn main() -> Result<(), Box<dyn Error>>` prints `Debug`, so it is the same sentence.
impl fmt::Debug for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KeyError {}
