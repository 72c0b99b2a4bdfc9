//! Without the feature `metrics`: nothing is counted.

use std::time::Duration;

use super::revocation_state::RevocationState;
use crate::clock::Clock;

#[derive(Clone, Copy)]
pub(crate) struct Stopwatch;

impl Stopwatch {
    pub(crate) fn start(_: &dyn Clock) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "the recorder's stopwatch needs it")]
    pub(crate) fn elapsed(self, _: &dyn Clock) -> Duration {
        Duration::ZERO
    }
}

pub(crate) struct Waiting;

impl Waiting {
    pub(crate) fn begin() -> Self {
        Self
    }
}

/// The queue drops it to end the waiting. Without `Drop` the compiler warns about that `drop`.
impl Drop for Waiting {
    fn drop(&mut self) {}
}

pub(crate) fn describe() {}

pub(crate) fn event(_: &'static str, _: Option<&'static str>) {}

pub(crate) fn flow(_: &'static str, _: &'static str, _: Duration) {}

pub(crate) fn hash(_: Duration, _: Duration) {}

#[derive(Debug, Default)]
pub(crate) struct RevocationGauges {}

impl RevocationGauges {
    #[expect(clippy::unused_self, reason = "the recorder's gauges need it")]
    pub(crate) fn set(&self, _: RevocationState) {}
}

pub(crate) fn polled(_: usize) {}

pub(crate) fn lost_revocation() {}

pub(crate) fn store_question() {}
