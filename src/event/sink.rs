//! Where events go.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::AuthEvent;

/// Takes events, such as into an audit log: see the [module](super) for what is told, and how fast a sink has to be.
///
/// A closure is one: `builder.event_sink(|event: &AuthEvent| …)`. By a closure a sink that is shared, or chosen at run time,
/// becomes one as well:
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
    /// Takes note of an event, without blocking. It is called within the flow that the event tells of.
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

    /// Whether nobody listens, so that no event need be made.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all of them; a sign-in must not fail because an audit log panics.
    pub(crate) fn record(&self, event: &AuthEvent) {
        for sink in &self.0 {
            // What a sink leaves half done is its own, and seen by nobody else.
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
    fn a_sink_that_panics_takes_nobody_down_and_keeps_nothing_from_the_others() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut sinks = Sinks::default();
        sinks.add(|_: &AuthEvent| panic!("the disk is full"));
        let ears = Arc::clone(&heard);
        sinks.add(move |event: &AuthEvent| ears.lock().unwrap().push(event.name()));
        sinks.record(&AuthEvent::new(Timestamp::EPOCH, EventKind::Refreshed {}));
        assert_eq!(*heard.lock().unwrap(), ["session.refreshed"]);
    }
}
