//! An event sink that a test reads.

use std::sync::{Arc, Mutex};

use portcullis::event::{AuthEvent, EventSink};
use serde_json::Value;

/// Keeps the emitted events.
#[derive(Clone, Default)]
pub(crate) struct EventLog(Arc<Mutex<Vec<AuthEvent>>>);

impl EventSink for EventLog {
    fn record(&self, event: &AuthEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl EventLog {
    /// Returns the events since the last call.
    pub(crate) fn take(&self) -> Vec<AuthEvent> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Returns the events since the last call in short form, each as [`brief`] does.
    pub(crate) fn brief(&self) -> Vec<String> {
        self.take().iter().map(brief).collect()
    }
}

/// Returns `name member=value`, with the members that the kind of event alone has, in alphabetical
/// order.
pub(crate) fn brief(event: &AuthEvent) -> String {
    let Value::Object(members) = serde_json::to_value(event).unwrap() else { panic!("an event is an object") };
    let own = |name: &str| !matches!(name, "at" | "event" | "user" | "session" | "ip" | "user_agent" | "kept");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let own = members.iter().filter(|(name, _)| own(name));
    let mut own: Vec<_> = own.map(|(name, value)| format!(" {name}={}", text(value))).collect();
    own.sort();
    event.name().to_owned() + &own.concat()
}
