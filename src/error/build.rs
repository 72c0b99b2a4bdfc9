//! [`BuildError`]: why an `Auth` could not be built.

use std::fmt;

/// Settings that are not usable, each with its fix.
///
/// All problems are listed at once, so that a deployment is fixed in one step. No message repeats a
/// secret.
pub struct BuildError {
    problems: Vec<String>,
}

impl BuildError {
    pub(crate) fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    pub(crate) fn one(problem: String) -> Self {
        Self { problems: vec![problem] }
    }

    /// Returns the problems, a sentence each.
    pub fn problems(&self) -> impl ExactSizeIterator<Item = &str> {
        self.problems.iter().map(String::as_str)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the authentication settings are not usable:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

// `fn main() -> Result<(), Box<dyn Error>>` prints `Debug`, so that it is the same list.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BuildError {}
