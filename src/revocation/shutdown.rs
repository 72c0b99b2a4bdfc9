//! The end of a node: what is under way is finished, and what was put aside is written.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::revocations::Revocations;
use crate::error::{Error, ErrorKind};

/// How long a store that refuses is left alone before it is asked again.
const RETRY: Duration = Duration::from_millis(200);

impl Revocations {
    /// Waits until no task is under way and the store has every ending, for at most `deadline`.
    /// Then stops polling.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] where something was not finished at the deadline.
    pub(crate) async fn shut_down(self: &Arc<Self>, deadline: Duration) -> Result<(), Error> {
        self.is_shutting_down.store(true, Ordering::Release);
        let finish = async {
            loop {
                self.events.tasks.idle().await;
                if self.outbox().len() == 0 {
                    return;
                }
                self.write_outbox().await;
                if self.outbox().len() > 0 {
                    sleep(RETRY).await;
                }
            }
        };
        let finished = timeout(deadline, finish).await;
        self.keep(Vec::new());
        finished.map_err(|_| {
            tracing::error!(
                target: "portcullis",
                unwritten_revocations = self.outbox().len(),
                tasks = self.events.tasks.running(),
                "the deadline of the shutdown has passed: what is not finished is lost with this process"
            );
            ErrorKind::StoreUnavailable.into()
        })
    }
}
