//! [`Clock`], [`SystemClock`], and [`ManualClock`] for tests. No other file reads the time.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How far the clocks of nodes may differ from the clock that they share: 60 s.
///
/// Revocations are remembered for this much longer than an access token lives. Tokens may be issued
/// this much in the future. A clock that differs by no more is corrected where a session is
/// written.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. Its arithmetic saturates and never panics.
///
/// It is serialized and displayed as RFC 3339 in UTC (`2026-01-02T03:04:05.678Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The beginning of 1970.
    pub const EPOCH: Self = Self(0);

    /// Returns the moment this many milliseconds after the beginning of 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the moment this many whole seconds after the beginning of 1970.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Returns the milliseconds since the beginning of 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the beginning of 1970, rounded down. A JWT's `NumericDate`
    /// has this form (RFC 7519 §2).
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the moment that is later by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the moment that is earlier by `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns the moment moved by this many milliseconds, backwards where they are negative.
    pub(crate) fn moved(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns how long after `earlier` this moment is, or zero where it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|moment| moment.format(&Rfc3339).ok());
        // Years past 9999 have no RFC 3339 form.
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Source of the time. An app or a test can give its own with
/// [`AuthBuilder::clock`](crate::AuthBuilder::clock).
pub trait Clock: Send + Sync + 'static {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;

    /// Returns the time since some fixed moment. It never goes back. Only the durations of
    /// [metrics](crate::event#metrics) use it, and security never depends on it.
    ///
    /// Default: [`now`](Self::now), to the millisecond.
    fn monotonic(&self) -> Duration {
        self.now().since(Timestamp::EPOCH)
    }

    /// Returns whether this is the clock of the machine. Default: no.
    ///
    /// The clock of the machine is compared again and again with that of the server that keeps the
    /// sessions. Another clock, such as one that a test moves, is compared once and then trusted.
    fn is_machine(&self) -> bool {
        false
    }
}

/// The operating system's clock, which [`Auth`](crate::Auth) uses by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 counts as 1970. Every token is then from the future and refused.
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH.plus(elapsed)
    }

    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let start = *START;
        Instant::now().saturating_duration_since(start)
    }

    fn is_machine(&self) -> bool {
        true
    }
}

/// A clock that stands still until it is moved. Clones share one time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use portcullis::clock::{Clock, ManualClock, Timestamp};
/// let clock = ManualClock::new(Timestamp::from_secs(1_767_322_845));
/// clock.advance(Duration::from_millis(678));
/// assert_eq!(clock.now().to_string(), "2026-01-02T03:00:45.678Z");
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Returns a clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.as_millis())))
    }

    /// Moves the clock forwards.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn is_machine(&self) -> bool {
        (**self).is_machine()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Timestamp::EPOCH.since(end), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(i64::MIN).minus(Duration::from_secs(1)).as_millis(), i64::MIN);
    }

    #[test]
    fn a_reading_for_durations_moves_with_its_clock() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        let before = clock.monotonic();
        clock.advance(Duration::from_millis(250));
        assert_eq!(clock.monotonic(), before + Duration::from_millis(250));
        let before = SystemClock.monotonic();
        assert!(Arc::new(SystemClock).monotonic() >= before);
    }

    #[test]
    fn a_moment_past_the_calendar_is_shown_as_a_number() {
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), i64::MAX.to_string());
    }
}
