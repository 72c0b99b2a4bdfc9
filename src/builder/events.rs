//! Settings of events: where they are recorded.

use super::AuthBuilder;
use crate::{
    event::{EventSink, Sinks},
    user::AuthUser,
};

/// Settings of events.
///
/// # Defaults
/// - sinks: none
#[derive(Default)]
pub(super) struct EventSettings {
    sinks: Sinks,
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Adds an event sink, such as an audit log. Default: none. See [`event`](crate::event).
    pub fn event_sink(mut self, sink: impl EventSink) -> Self {
        self.events.sinks.add(sink);
        self
    }
}

impl EventSettings {
    pub(super) fn into_sinks(self) -> Sinks {
        self.sinks
    }
}
