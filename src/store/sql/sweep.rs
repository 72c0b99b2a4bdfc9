//! Deletes expired records, a piece at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    connection::on_connection,
    engine::Engine,
    statement::Statement,
    store::{SqlStore, again_if_overtaken},
};
use crate::{clock::Timestamp, store::StoreError};

/// The number of rows of each table that one statement deletes. In SQLite, this blocks other
/// writers for some milliseconds.
const PIECE: u32 = 500;

/// The time between two pieces, in which other writers have their turn.
const PAUSE: Duration = Duration::from_millis(25);

/// The number of logins between two sweeps.
const LOGINS_BETWEEN_SWEEPS: u32 = 64;

/// The number of pieces of such a sweep: 500 rows for each login, which is more than logins leave.
const PIECES: u32 = LOGINS_BETWEEN_SWEEPS;

/// Says when to sweep. The clones of a store share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweeps {
    logins: Arc<AtomicU32>,
    running: Arc<Mutex<()>>,
}

impl Sweeps {
    /// Counts a login. Returns a guard where a sweep is due and none is running.
    fn is_due(&self) -> Option<OwnedMutexGuard<()>> {
        let logins = self.logins.fetch_add(1, Ordering::Relaxed);
        if logins.is_multiple_of(LOGINS_BETWEEN_SWEEPS) {
            Arc::clone(&self.running).try_lock_owned().ok()
        } else {
            None
        }
    }
}

impl<E: Engine> SqlStore<E> {
    /// Deletes all records that have expired by `now`.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        while self.sweep_piece(now).await? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Begins a sweep where one is due. No login waits for it.
    pub(super) fn sweep_after_login(&self, now: Timestamp) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(running) = self.sweeps.is_due() else { return };
        let store = self.clone();
        runtime.spawn(async move {
            let _running = running;
            for _ in 0..PIECES {
                match store.sweep_piece(now).await {
                    Ok(true) => tokio::time::sleep(PAUSE).await,
                    Ok(false) => break,
                    Err(error) => {
                        // No harm is done: expired records count as absent.
                        tracing::warn!(target: "portcullis", ?error, "expired sessions could not be deleted");
                        break;
                    }
                }
            }
        });
    }

    /// Deletes a piece of each table. Returns whether there may be more.
    async fn sweep_piece(&self, now: Timestamp) -> Result<bool, StoreError> {
        let mut is_more = false;
        for statement in E::SWEEPS {
            let deleted = self.sweep_table(statement, now).await?;
            is_more |= deleted >= u64::from(PIECE);
        }
        Ok(is_more)
    }

    async fn sweep_table(&self, statement: &'static str, now: Timestamp) -> Result<u64, StoreError> {
        on_connection!(self, |connection| again_if_overtaken!({
            let statement = Statement::new(statement).bind(now.as_millis()).bind(i64::from(PIECE));
            statement.changes::<E>(connection).await
        }))
    }
}
