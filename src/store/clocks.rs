//! [`SharedClock`]: the clock that all nodes over one store use.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::clock::{CLOCK_SKEW, Clock, Timestamp};

/// Gives the present moment by the clock that all nodes over one store share.
///
/// This is the clock of the store's server. It is the clock of the first [`Auth`](crate::Auth)
/// instead, where there is no server or where the app has set a clock of its own.
///
/// Clones of a store share one `SharedClock`. Several `Auth`s in one process therefore agree on the
/// moment, even if each was built with another clock.
#[derive(Clone, Default)]
pub(crate) struct SharedClock(Arc<OnceLock<First>>);

struct First {
    clock: Arc<dyn Clock>,
    /// How many milliseconds the server was ahead of the app's clock, when the server was first
    /// asked.
    behind: OnceLock<i64>,
}

impl SharedClock {
    /// Keeps the clock of the first `Auth`. Later calls change nothing.
    pub(crate) fn begin(&self, clock: &Arc<dyn Clock>) {
        self.0.get_or_init(|| First { clock: Arc::clone(clock), behind: OnceLock::new() });
    }

    /// Returns the shared moment of a store without a server.
    pub(crate) fn without_server(&self) -> Option<Timestamp> {
        self.0.get().map(|first| first.clock.now())
    }

    /// Returns the shared moment, where it is known without asking the server.
    #[allow(dead_code, reason = "only the stores of databases may have a server")]
    pub(crate) fn known(&self) -> Option<Timestamp> {
        let first = self.0.get().filter(|first| !first.clock.is_machine())?;
        first.behind.get().map(|behind| first.clock.now().moved(*behind))
    }

    /// Returns the shared moment, given that the server's clock shows `server`.
    #[allow(dead_code, reason = "only the stores of databases may have a server")]
    pub(crate) fn with_server(&self, server: Timestamp) -> Timestamp {
        let Some(first) = self.0.get().filter(|first| !first.clock.is_machine()) else { return server };
        let now = first.clock.now();
        let behind = first.behind.get_or_init(|| {
            let is_near = server.since(now).max(now.since(server)) <= CLOCK_SKEW;
            // A clock that differs more belongs to a test, which sets it by hand. It is used as it
            // is.
            if is_near { server.as_millis().saturating_sub(now.as_millis()) } else { 0 }
        });
        now.moved(*behind)
    }
}

impl fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedClock").field("is_known", &self.0.get().is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{ManualClock, SystemClock};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn begun(clock: impl Clock) -> SharedClock {
        let shared = SharedClock::default();
        shared.begin(&(Arc::new(clock) as Arc<dyn Clock>));
        shared.begin(&(Arc::new(ManualClock::new(Timestamp::EPOCH)) as Arc<dyn Clock>));
        shared
    }

    #[test]
    fn the_server_clock_replaces_the_machine_clock() {
        let shared = begun(SystemClock);
        assert_eq!((shared.known(), shared.with_server(NOW)), (None, NOW));
    }

    #[test]
    fn an_app_clock_keeps_its_first_distance_to_the_server() {
        let clock = ManualClock::new(NOW);
        let shared = begun(clock.clone());
        let ahead = NOW.plus(Duration::from_secs(24));
        assert_eq!(shared.with_server(ahead), ahead);
        clock.advance(Duration::from_secs(11));
        let later = Some(ahead.plus(Duration::from_secs(11)));
        assert_eq!((shared.known(), Some(shared.with_server(ahead))), (later, later));
    }

    #[test]
    fn a_clock_set_to_another_time_is_used_as_it_is() {
        let shared = begun(ManualClock::new(NOW));
        assert_eq!(shared.with_server(NOW.minus(Duration::from_secs(61))), NOW);
        assert_eq!(shared.without_server(), Some(NOW));
    }
}
