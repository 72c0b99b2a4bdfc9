//! [`ClockOffset`]: the time that all nodes share, which is that of the server with the sessions.
//!
//! Tokens carry the time of the node. What is written to a session, and decided about it, uses the
//! shared time. Otherwise two tabs that refresh at once on two nodes would be seconds apart.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use super::Revocations;
use crate::clock::{CLOCK_SKEW, Clock, Timestamp};

/// How long a measured difference is used.
const ASK_AGAIN: Duration = Duration::from_secs(600);

/// A clock that differs by so much from the time that has passed was set, and is compared again.
const STEP: Duration = Duration::from_millis(500);

/// Difference between the clock of this node and the shared one.
#[derive(Debug)]
pub(super) struct ClockOffset {
    /// How far the shared clock is ahead of this node's clock, in milliseconds.
    ahead: AtomicI64,
    /// Time of that measurement, in milliseconds by this node's clock.
    asked_at: AtomicI64,
    /// Difference between this node's clock and its monotonic clock at that time, in milliseconds.
    base: AtomicI64,
    was_asked: AtomicBool,
    asking: tokio::sync::Mutex<()>,
}

impl ClockOffset {
    pub(super) fn new() -> Self {
        Self {
            ahead: AtomicI64::new(0),
            asked_at: AtomicI64::new(i64::MIN),
            base: AtomicI64::new(0),
            was_asked: AtomicBool::new(false),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Acquire)
    }

    fn is_due(&self, clock: &dyn Clock) -> bool {
        let (now, asked_at) = (clock.now(), Timestamp::from_millis(self.asked_at.load(Ordering::Acquire)));
        let moved = base(clock).saturating_sub(self.base.load(Ordering::Acquire)).unsigned_abs();
        asked_at > now || now.since(asked_at) >= ASK_AGAIN || Duration::from_millis(moved) >= STEP
    }
}

fn base(clock: &dyn Clock) -> i64 {
    let monotonic = i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX);
    clock.now().as_millis().saturating_sub(monotonic)
}

impl Revocations {
    /// Returns the current time by the shared clock. The first call takes a round trip to the
    /// store.
    pub(crate) async fn shared_now(&self) -> Timestamp {
        let time = &self.shared;
        if !time.was_asked.load(Ordering::Acquire) {
            let _one_at_a_time = time.asking.lock().await;
            if !time.was_asked.load(Ordering::Acquire) {
                self.ask_shared_clock().await;
            }
        }
        self.clock.now().moved(time.ahead())
    }

    /// Compares the clocks if that is due. Each poll calls it.
    pub(super) async fn follow_shared_clock(&self) {
        let time = &self.shared;
        if time.is_due(&*self.clock)
            && let Ok(_one_at_a_time) = time.asking.try_lock()
        {
            self.ask_shared_clock().await;
        }
    }

    async fn ask_shared_clock(&self) {
        let (time, clock) = (&self.shared, &*self.clock);
        let (before, monotonic) = (clock.now(), clock.monotonic());
        let answer = self.sessions.clock().await;
        let trip = clock.monotonic().saturating_sub(monotonic);
        match answer {
            Ok(Some(shared)) => {
                let middle = before.plus(trip / 2);
                if shared.since(middle).max(middle.since(shared)) <= CLOCK_SKEW {
                    let ahead = shared.as_millis().saturating_sub(middle.as_millis());
                    time.ahead.store(ahead, Ordering::Release);
                } else {
                    tracing::warn!(
                        target: "portcullis",
                        node = %middle, store = %shared,
                        "this node's clock and the store's differ by more than a minute: they are not corrected, and other \
                         nodes may refuse the tokens of this one"
                    );
                }
                time.base.store(base(clock), Ordering::Release);
                time.asked_at.store(before.as_millis(), Ordering::Release);
            }
            Ok(None) => {
                time.base.store(base(clock), Ordering::Release);
                time.asked_at.store(before.as_millis(), Ordering::Release);
            }
            // The next poll asks again.
            Err(error) => {
                tracing::debug!(target: "portcullis", ?error, "the clock of the store could not be read");
            }
        }
        time.was_asked.store(true, Ordering::Release);
    }
}
