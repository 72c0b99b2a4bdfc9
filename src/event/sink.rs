//! [`EventSink`]: receives the events of an `Auth`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::auth_event::AuthEvent;

/// Receives events, for example to write an audit log. The [module](super) lists the events, and
/// says how fast a sink has to be.
///
/// A closure is a sink: `builder.event_sink(|event: &AuthEvent| …)`. A closure also makes a sink of
/// one that is shared or chosen at run time:
///
/// ```
/// use std::sync::Arc;
/// use portcullis::{AuthBuilder, User, event::{AuthEvent, EventSink}};
///
/// fn with_log(builder: AuthBuilder<User>, log: Arc<dyn EventSink>) -> AuthBuilder<User> {
///     builder.event_sink(move |event: &AuthEvent| log.record(event))
/// }
/// ```
pub trait EventSink: Send + Sync + 'static {
    /// Records an event without blocking. The flow that emits the event calls it.
    fn record(&self, event: &AuthEvent);
}

impl<F: Fn(&AuthEvent) + Send + Sync + 'static> EventSink for F {
    fn record(&self, event: &AuthEvent) {
        self(event);
    }
}

/// All sinks of an `Auth`.
#[derive(Default)]
pub(crate) struct Sinks(Vec<Box<dyn EventSink>>);

impl Sinks {
    pub(crate) fn add(&mut self, sink: impl EventSink) {
        self.0.push(Box::new(sink));
    }

    /// Returns whether there is no sink, so that no event need be made.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls every sink. A panic of a sink is caught, because a login must not fail when an audit
    /// log panics.
    pub(crate) fn record(&self, event: &AuthEvent) {
        for sink in &self.0 {
            // A panic may leave the state of the sink inconsistent, and no other code sees that
            // state.
            if catch_unwind(AssertUnwindSafe(|| sink.record(event))).is_err() {
                tracing::error!(target: "portcullis", event = event.name(), "an event sink panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{clock::Timestamp, event::EventKind};

    #[test]
    fn a_sink_that_panics_does_not_stop_the_other_sinks() {
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let mut sinks = Sinks::default();
        sinks.add(|_: &AuthEvent| panic!("the disk is full"));
        let names = Arc::clone(&recorded);
        sinks.add(move |event: &AuthEvent| names.lock().unwrap().push(event.name()));
        sinks.record(&AuthEvent::new(Timestamp::EPOCH, EventKind::Refreshed {}));
        assert_eq!(*recorded.lock().unwrap(), ["session.refreshed"]);
    }
}
