//! With the feature `metrics`: counts and times go to the recorder that the app has installed.
//! Without a recorder they go nowhere.
//!
//! Labels are words of this crate and never parts of a request, so that their number is bounded.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::metrics::{Gauge, Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::revocation_state::RevocationState;
use crate::clock::Clock;

const EVENTS: &str = "portcullis_events_total";
const FLOWS: &str = "portcullis_flow_duration_seconds";
const HASHES: &str = "portcullis_hash_duration_seconds";
const HASH_WAITS: &str = "portcullis_hash_wait_seconds";
const HASH_QUEUE: &str = "portcullis_hash_queue_length";
const REVOKED: &str = "portcullis_revocations";
const REVOKED_CAPACITY: &str = "portcullis_revocations_capacity";
const REVOKED_FULL: &str = "portcullis_revocations_full";
const POLL_ENTRIES: &str = "portcullis_poll_entries_total";
const FEED_UP: &str = "portcullis_feed_up";
const UNWRITTEN: &str = "portcullis_unwritten_revocations";
const LOST: &str = "portcullis_lost_revocations_total";
const QUESTIONS: &str = "portcullis_store_questions_total";
const STORE_CALLS: &str = "portcullis_store_duration_seconds";

/// Catches a panic of the recorder. It must not stop a flow, least of all between a write and what
/// has to follow it.
fn guarded<T>(record: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(record)).ok()
}

/// Describes each metric and its unit to the recorder that is installed by now.
pub(crate) fn describe() {
    guarded(describe_all);
}

fn describe_all() {
    describe_counter!(EVENTS, Unit::Count, "Events, by name and reason");
    describe_histogram!(FLOWS, Unit::Seconds, "How long flows take, by operation and outcome");
    describe_histogram!(HASHES, Unit::Seconds, "How long a password takes to be hashed, once it is its turn");
    describe_histogram!(HASH_WAITS, Unit::Seconds, "How long a password waits for its turn to be hashed");
    describe_gauge!(HASH_QUEUE, Unit::Count, "How many passwords wait to be hashed");
    describe_gauge!(REVOKED, Unit::Count, "Ended sessions and users with ended sessions in memory, by kind");
    describe_gauge!(REVOKED_CAPACITY, Unit::Count, "Room for each kind of them");
    describe_gauge!(REVOKED_FULL, Unit::Count, "1 while guards ask the store because an ending found no room");
    describe_counter!(POLL_ENTRIES, Unit::Count, "Endings that polls have read");
    describe_gauge!(FEED_UP, Unit::Count, "1 while the revocation feed is subscribed");
    describe_gauge!(UNWRITTEN, Unit::Count, "Endings that the store could not take yet");
    describe_counter!(LOST, Unit::Count, "Endings that the store will never get");
    describe_counter!(QUESTIONS, Unit::Count, "Sessions that guards have asked the store about, unsure what has ended");
    describe_histogram!(STORE_CALLS, Unit::Seconds, "How long calls to stores take, by store, call and outcome");
}

/// Measures with [`Clock::monotonic`].
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Duration);

impl Stopwatch {
    pub(crate) fn start(clock: &dyn Clock) -> Self {
        Self(clock.monotonic())
    }

    pub(crate) fn elapsed(self, clock: &dyn Clock) -> Duration {
        clock.monotonic().saturating_sub(self.0)
    }
}

/// Counts one more password in the queue, until it is dropped, on any thread.
pub(crate) struct Waiting(Option<Gauge>);

impl Waiting {
    pub(crate) fn begin() -> Self {
        Self(guarded(|| {
            let waiting = gauge!(HASH_QUEUE);
            waiting.increment(1.0);
            waiting
        }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        guarded(|| self.0.as_ref().map(|waiting| waiting.decrement(1.0)));
    }
}

pub(crate) fn event(name: &'static str, reason: Option<&'static str>) {
    let reason = reason.map(|reason| Label::from_static_parts("reason", reason));
    let labels: Vec<_> = [Label::from_static_parts("event", name)].into_iter().chain(reason).collect();
    guarded(|| counter!(EVENTS, labels).increment(1));
}

pub(crate) fn flow(operation: &'static str, outcome: &'static str, took: Duration) {
    guarded(|| histogram!(FLOWS, "operation" => operation, "outcome" => outcome).record(took));
}

pub(crate) fn hash(waited: Duration, took: Duration) {
    guarded(|| {
        histogram!(HASH_WAITS).record(waited);
        histogram!(HASHES).record(took);
    });
}

pub(crate) fn store(store: &'static str, call: &'static str, outcome: &'static str, took: Duration) {
    guarded(|| histogram!(STORE_CALLS, "store" => store, "call" => call, "outcome" => outcome).record(took));
}

/// What one `Auth` adds to the gauges of revocations. Several in one process add up.
#[derive(Debug, Default)]
pub(crate) struct RevocationGauges(Mutex<RevocationState>);

impl RevocationGauges {
    pub(crate) fn set(&self, state: RevocationState) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), state);
        // Outside of the lock, because the recorder is the app's.
        guarded(|| change_gauges(&before, &state));
    }
}

impl Drop for RevocationGauges {
    fn drop(&mut self) {
        self.set(RevocationState::default());
    }
}

#[expect(clippy::cast_precision_loss, reason = "a recorder takes floating point numbers")]
fn change_gauges(before: &RevocationState, now: &RevocationState) {
    let change = |gauge: Gauge, before: usize, now: usize| {
        if before != now {
            gauge.increment(now as f64 - before as f64);
        }
    };
    change(gauge!(REVOKED, "kind" => "session"), before.sessions, now.sessions);
    change(gauge!(REVOKED, "kind" => "user"), before.users, now.users);
    change(gauge!(REVOKED_CAPACITY), before.capacity, now.capacity);
    change(gauge!(REVOKED_FULL), before.is_full.into(), now.is_full.into());
    change(gauge!(FEED_UP), before.is_feed_up.into(), now.is_feed_up.into());
    change(gauge!(UNWRITTEN), before.unwritten_revocations, now.unwritten_revocations);
}

pub(crate) fn polled(entries: usize) {
    guarded(|| counter!(POLL_ENTRIES).increment(entries as u64));
}

pub(crate) fn lost_revocation() {
    guarded(|| counter!(LOST).increment(1));
}

pub(crate) fn store_question() {
    guarded(|| counter!(QUESTIONS).increment(1));
}
