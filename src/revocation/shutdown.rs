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
    /// Waits until the store has every revocation and no task is under way, for at most `deadline`.
    /// Polling goes on, because requests may still come.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] where something was not finished at the deadline.
    pub(crate) async fn shut_down(self: &Arc<Self>, deadline: Duration) -> Result<(), Error> {
        self.is_shutting_down.store(true, Ordering::Release);
        let finish = async {
            loop {
                // The outbox comes first, because a task may hang.
                self.write_outbox().await;
                let is_idle = timeout(RETRY, self.events.tasks.idle()).await.is_ok();
                if is_idle && self.outbox().len() == 0 {
                    return;
                }
                if is_idle {
                    sleep(RETRY).await;
                }
            }
        };
        let finished = timeout(deadline, finish).await;
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
