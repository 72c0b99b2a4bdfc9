//! The same service, with an audit log: what happened, as JSON lines on the standard output.
//!
//! ```sh
//! cargo run --example audit_log | jq -R 'fromjson?'
//! ```
//!
//! The first line says where the service listens. Each line after it is one event. `fromjson?`
//! leaves out lines that are not JSON: `jq .` would end at them. The log of the service goes to the
//! standard error output. So does the message that the audit log cannot be written any more,
//! because its reader has ended.

#[path = "../support/axum_app.rs"]
mod axum_app;
#[path = "../support/mod.rs"]
mod support;

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use portcullis::{
    AuthBuilder,
    event::{AuthEvent, EventSink},
    store::memory::MemoryStore,
};
use support::BoxError;

/// Number of events that wait for a slow standard output.
const BUFFERED: usize = 4096;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let (sender, events) = sync_channel(BUFFERED);
    let store = MemoryStore::new();
    let auth =
        AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?.event_sink(AuditLog(sender)).build()?;
    support::seed_admin(&auth, &store).await?;

    let listener = support::listen().await?;
    thread::spawn(move || {
        if let Err(error) = write_lines(&events) {
            tracing::error!(%error, "the audit log cannot be written: nothing more is recorded");
        }
    });
    let app = axum_app::router(auth, store).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

/// Hands events to the thread that writes them, so that a login does not wait for a disk or a pipe.
struct AuditLog(SyncSender<AuthEvent>);

impl EventSink for AuditLog {
    fn record(&self, event: &AuthEvent) {
        // An app that must not lose one refuses requests here instead, or writes before it answers.
        match self.0.try_send(event.clone()) {
            // The writer has logged why it ended.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                tracing::error!(event = event.name(), "an event is missing from the audit log");
            }
        }
    }
}

fn write_lines(events: &Receiver<AuthEvent>) -> io::Result<()> {
    let mut out = io::stdout();
    for event in events {
        let line = serde_json::to_string(&event)?;
        writeln!(out, "{line}")?;
    }
    Ok(())
}
