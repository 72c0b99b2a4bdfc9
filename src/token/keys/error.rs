//! Why a key was not taken.

use std::fmt;

/// A key that cannot be used, and the mend. No message repeats any of a private key.
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

// What `fn main() -> Result<(), Box<dyn Error>>` prints: the sentence, not a structure.
impl fmt::Debug for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KeyError {}
