//! [`Report`]: which promises a store kept and which it broke.

use std::{fmt, future::Future};

/// What a store kept and broke of its promises.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Report {
    kept: Vec<&'static str>,
    broken: Vec<Broken>,
}

/// A promise that a store broke.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Broken {
    /// The promise, a sentence.
    pub promise: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl Report {
    /// The promises that were kept.
    pub fn kept(&self) -> &[&'static str] {
        &self.kept
    }

    /// The promises that were broken.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// For a test: passes where every promise was kept.
    ///
    /// # Panics
    /// With the list of broken promises.
    #[track_caller]
    pub fn assert_kept(&self) {
        assert!(self.broken.is_empty(), "{self}");
    }

    /// Checks one promise.
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

/// Fails a check with what was seen.
#[expect(clippy::needless_pass_by_value, reason = "what is compared is made for the comparison")]
pub(super) fn expect<T: PartialEq + fmt::Debug>(what: &str, seen: T, expected: T) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{what} is {seen:?} and should be {expected:?}")) }
}

/// Fails a check where a condition does not hold.
pub(super) fn ensure(holds: bool, seen: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(seen.into()) }
}

/// A store's error ends a check.
pub(super) fn said(error: impl fmt::Debug) -> String {
    format!("the store failed: {error:?}")
}
