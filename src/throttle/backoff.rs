//! Calculates how long to wait after a number of failures. It keeps no state.

use std::time::Duration;

use crate::clock::Timestamp;

/// Delays that double from `first` to `cap` once `free` failures are used up, while one failure is
/// forgotten every `leak`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) free: u32,
    pub(super) first: Duration,
    pub(super) cap: Duration,
    pub(super) leak: Duration,
}

impl Rule {
    /// Returns the delay after this many failures.
    fn delay(self, failures: u32) -> Duration {
        match failures.checked_sub(self.free.saturating_add(1)) {
            None => Duration::ZERO,
            Some(over) => self.first.saturating_mul(2_u32.saturating_pow(over)).min(self.cap),
        }
    }

    /// Returns the number of failures that reaches the cap. More are not remembered, so that they
    /// are forgotten in bounded time.
    pub(super) fn most(self) -> u32 {
        let doublings = self.cap.as_millis().div_ceil(self.first.as_millis().max(1)).max(1).next_power_of_two();
        self.free.saturating_add(1).saturating_add(doublings.ilog2())
    }
}

/// A number of failures, kept as the moment at which all will be forgotten, and the moment of the
/// last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    last: Timestamp,
    forgotten_at: Timestamp,
}

impl Count {
    /// Returns the count with one more failure, now.
    pub(super) fn and_one(before: Option<Self>, rule: Rule, now: Timestamp) -> Self {
        let begin = before.map_or(now, |count| count.forgotten_at.max(now));
        let latest = now.plus(rule.leak.saturating_mul(rule.most()));
        Self { last: now, forgotten_at: begin.plus(rule.leak).min(latest) }
    }

    /// Returns the count with one failure fewer, or `None` where none is left.
    pub(super) fn less_one(self, rule: Rule) -> Option<Self> {
        let forgotten_at = self.forgotten_at.minus(rule.leak);
        (forgotten_at > self.last).then_some(Self { forgotten_at, ..self })
    }

    /// Returns the count with a delay that begins now.
    pub(super) fn touched(self, now: Timestamp) -> Self {
        Self { last: now, ..self }
    }

    /// Returns whether any failure is still remembered.
    pub(super) fn is_remembered(self, now: Timestamp) -> bool {
        self.forgotten_at > now
    }

    /// Returns the time that is left to wait. A clock that was set back makes it no longer than the
    /// cap.
    pub(super) fn wait(self, rule: Rule, now: Timestamp) -> Option<Duration> {
        let last = self.last.min(now);
        let until = last.plus(rule.delay(self.failures(rule, last)));
        Some(until.since(now)).filter(|wait| !wait.is_zero())
    }

    fn failures(self, rule: Rule, at: Timestamp) -> u32 {
        let leaks = self.forgotten_at.since(at).as_millis().div_ceil(rule.leak.as_millis().max(1));
        u32::try_from(leaks).unwrap_or(u32::MAX).min(rule.most())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule =
        Rule { free: 2, first: Duration::from_secs(1), cap: Duration::from_secs(10), leak: Duration::from_secs(60) };
    const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// The waits after each of many failures, each tried as soon as it may be.
    fn waits(failures: usize) -> Vec<u64> {
        let (mut count, mut now, mut waits) = (None, NOON, Vec::new());
        for _ in 0..failures {
            let counted = Count::and_one(count, RULE, now);
            let wait = counted.wait(RULE, now).unwrap_or_default();
            waits.push(wait.as_secs());
            now = now.plus(wait);
            count = Some(counted);
        }
        waits
    }

    #[test]
    fn delays_double_after_the_free_failures_up_to_the_cap() {
        assert_eq!(waits(9), [0, 0, 1, 2, 4, 8, 10, 10, 10]);
    }

    #[test]
    fn failures_are_forgotten_one_by_one() {
        let many = (0..100).fold(None, |count, _| Some(Count::and_one(count, RULE, NOON))).unwrap();
        assert_eq!(many.failures(RULE, NOON), 7, "no more than reach the cap");
        assert_eq!(many.failures(RULE, NOON.plus(RULE.leak)), 6);
        let later = NOON.plus(RULE.leak * 5);
        assert_eq!(Count::and_one(Some(many), RULE, later).wait(RULE, later), Some(RULE.first));
        assert_eq!(many.failures(RULE, NOON.plus(RULE.leak * 7)), 0);
    }

    #[test]
    fn a_failure_that_is_taken_back_leaves_nothing() {
        let one = Count::and_one(None, RULE, NOON);
        assert_eq!(one.less_one(RULE), None);
        let two = Count::and_one(Some(one), RULE, NOON);
        assert_eq!(two.less_one(RULE), Some(one));
    }

    #[test]
    fn a_clock_that_steps_never_makes_a_wait_longer_than_the_cap() {
        let many = (0..100).fold(None, |count, _| Some(Count::and_one(count, RULE, NOON))).unwrap();
        for now in [Timestamp::EPOCH, Timestamp::from_millis(i64::MIN), NOON.minus(Duration::from_secs(86_400))] {
            assert_eq!(many.wait(RULE, now), Some(RULE.cap), "{now}");
        }
        assert_eq!(many.wait(RULE, Timestamp::from_millis(i64::MAX)), None);
    }
}
