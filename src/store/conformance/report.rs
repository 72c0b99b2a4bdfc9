//! [`Report`]: the promises that a store kept, and those that it broke.

use std::{fmt, future::Future};

/// The result of a suite: the promises that the store kept, and those that it broke.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Report {
    kept: Vec<&'static str>,
    broken: Vec<Broken>,
}

/// A promise that the store broke.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Broken {
    /// The promise, as a sentence.
    pub promise: &'static str,
    /// What the check saw instead.
    pub seen: String,
}

impl Report {
    /// Returns the promises that the store kept.
    pub fn kept(&self) -> &[&'static str] {
        &self.kept
    }

    /// Returns the promises that the store broke.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Asserts in a test that the store kept every promise.
    ///
    /// # Panics
    /// Panics with the list of broken promises, if there are any.
    #[track_caller]
    pub fn assert_kept(&self) {
        assert!(self.broken.is_empty(), "{self}");
    }

    /// Checks one promise and records the result.
    pub(super) async fn check(&mut self, promise: &'static str, seen: impl Future<Output = Result<(), String>>) {
        match seen.await {
            Ok(()) => self.kept.push(promise),
            Err(seen) => self.broken.push(Broken { promise, seen }),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} promises kept, {} broken", self.kept.len(), self.broken.len())?;
        self.broken.iter().try_for_each(|broken| write!(f, "\n- {}: {}", broken.promise, broken.seen))
    }
}

/// Fails the check where `seen` differs from `expected`.
#[expect(clippy::needless_pass_by_value, reason = "what is compared is made for the comparison")]
pub(super) fn expect<T: PartialEq + fmt::Debug>(what: &str, seen: T, expected: T) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{what} is {seen:?} and should be {expected:?}")) }
}

/// Fails the check where the condition does not hold.
pub(super) fn ensure(holds: bool, seen: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen.into()) }
}

/// Converts a store's error to the failure of a check.
pub(super) fn said(error: impl fmt::Debug) -> String {
    format!("the store failed: {error:?}")
}
