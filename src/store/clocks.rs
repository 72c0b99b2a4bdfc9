//! The clock that the nodes over one store share.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

#[cfg(any(test, feature = "sqlx_0_9_postgres", feature = "redis_1", feature = "mongodb_3"))]
use crate::clock::CLOCK_SKEW;
use crate::clock::{Clock, Timestamp};

/// Which clock a store goes by: its server's, or that of the first [`Auth`](crate::Auth) over it where there is no server or
/// where that clock is an app's own.
///
/// Clones of a store share it, so that several `Auth`s in one process agree whatever clocks they were given.
#[derive(Clone, Default)]
pub(crate) struct SharedClock(Arc<OnceLock<First>>);

struct First {
    clock: Arc<dyn Clock>,
    /// By how many milliseconds the server was ahead of a clock of an app's own, when it was asked.
    #[cfg(any(test, feature = "sqlx_0_9_postgres", feature = "redis_1", feature = "mongodb_3"))]
    behind: OnceLock<i64>,
}

impl SharedClock {
    /// Notes the clock of an `Auth`; the first one counts.
    pub(crate) fn begin(&self, clock: &Arc<dyn Clock>) {
        self.0.get_or_init(|| First {
            clock: Arc::clone(clock),
            #[cfg(any(test, feature = "sqlx_0_9_postgres", feature = "redis_1", feature = "mongodb_3"))]
            behind: OnceLock::new(),
        });
    }

    /// The shared moment of a store without a server.
    pub(crate) fn without_server(&self) -> Option<Timestamp> {
        self.0.get().map(|first| first.clock.now())
    }

    /// The shared moment, where no server has to be asked for it.
    #[cfg(any(test, feature = "sqlx_0_9_postgres", feature = "redis_1", feature = "mongodb_3"))]
    pub(crate) fn known(&self) -> Option<Timestamp> {
        let first = self.0.get().filter(|first| !first.clock.is_machine())?;
        first.behind.get().map(|behind| first.clock.now().moved(*behind))
    }

    /// The shared moment, where the server says that it is `server`.
    #[cfg(any(test, feature = "sqlx_0_9_postgres", feature = "redis_1", feature = "mongodb_3"))]
    pub(crate) fn with_server(&self, server: Timestamp) -> Timestamp {
        let Some(first) = self.0.get().filter(|first| !first.clock.is_machine()) else { return server };
        let now = first.clock.now();
        let behind = first.behind.get_or_init(|| {
            let is_near = server.since(now).max(now.since(server)) <= CLOCK_SKEW;
            // A clock of another age is a test's, which moves it by hand.
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
    fn a_machines_clock_gives_way_to_the_servers() {
        let shared = begun(SystemClock);
        assert_eq!((shared.known(), shared.with_server(NOW)), (None, NOW));
    }

    #[test]
    fn a_clock_of_an_app_keeps_its_distance_to_the_server() {
        let clock = ManualClock::new(NOW);
        let shared = begun(clock.clone());
        let ahead = NOW.plus(Duration::from_secs(24));
        assert_eq!(shared.with_server(ahead), ahead);
        clock.advance(Duration::from_secs(11));
        let later = Some(ahead.plus(Duration::from_secs(11)));
        assert_eq!((shared.known(), Some(shared.with_server(ahead))), (later, later));
    }

    #[test]
    fn a_clock_of_another_age_is_believed() {
        let shared = begun(ManualClock::new(NOW));
        assert_eq!(shared.with_server(NOW.minus(Duration::from_secs(61))), NOW);
        assert_eq!(shared.without_server(), Some(NOW));
    }
}
