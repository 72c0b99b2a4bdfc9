//! Deletes what has expired, a little at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many rows of each table one statement deletes: in SQLite this blocks other writers, for some milliseconds.
pub(super) const PIECE: u32 = 500;

/// How long the others have the database between two pieces.
pub(super) const PAUSE: Duration = Duration::from_millis(25);

/// After how many logins expired records are looked for.
const LOGINS_BETWEEN_SWEEPS: u32 = 64;

/// How many pieces are deleted then: 500 rows for each login, more than logins leave behind.
pub(super) const PIECES: u32 = LOGINS_BETWEEN_SWEEPS;

/// When to sweep, shared by the clones of a store.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweeps {
    logins: Arc<AtomicU32>,
    running: Arc<Mutex<()>>,
}

impl Sweeps {
    /// Counts a login. Answers a guard where a sweep is due and none is running.
    pub(super) fn is_due(&self) -> Option<OwnedMutexGuard<()>> {
        let logins = self.logins.fetch_add(1, Ordering::Relaxed);
        if logins.is_multiple_of(LOGINS_BETWEEN_SWEEPS) {
            Arc::clone(&self.running).try_lock_owned().ok()
        } else {
            None
        }
    }
}
