//! [`Tasks`]: work that goes on after its caller has hung up, counted so that a shutdown can wait
//! for it.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{runtime::Handle, sync::Notify};
use tracing::Instrument;

use crate::error::Error;

/// The tasks of an `Auth` that are under way. A clone counts the same tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Arc<Counter>);

#[derive(Debug, Default)]
struct Counter {
    running: AtomicUsize,
    idle: Notify,
}

/// Counts as a task until it is dropped.
struct Running(Arc<Counter>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Tasks {
    /// Runs work that must not stop half-way. When its caller drops it, because the connection is
    /// gone, it goes on as a task.
    ///
    /// Without a Tokio runtime it is awaited in place. The raised token version still ends each
    /// session at its next refresh.
    ///
    /// # Errors
    /// Those of the work, and [`ErrorKind::Internal`](crate::ErrorKind::Internal) where it panics.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let Ok(runtime) = Handle::try_current() else { return work.await };
        let done = runtime.spawn(self.counted(work).in_current_span()).await;
        done.unwrap_or_else(|error| Err(Error::internal(error)))
    }

    /// Starts work that no caller waits for. Without a Tokio runtime it does nothing.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self.counted(work));
        }
    }

    /// Returns the number of tasks that are under way.
    pub(crate) fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// Waits until no task is under way.
    pub(crate) async fn idle(&self) {
        loop {
            // Made before the look, so that no end falls in between.
            let idle = self.0.idle.notified();
            if self.running() == 0 {
                return;
            }
            idle.await;
        }
    }

    fn counted<T, F: Future<Output = T>>(&self, work: F) -> impl Future<Output = T> + use<T, F> {
        self.0.running.fetch_add(1, Ordering::AcqRel);
        let running = Running(Arc::clone(&self.0));
        async move {
            let _running = running;
            work.await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_task_counts_after_its_caller_has_hung_up() {
        let tasks = Tasks::default();
        tasks.idle().await;
        let (go_on, gone_on) = oneshot::channel::<()>();
        let work = tasks.clone();
        let caller = tokio::spawn(async move {
            work.to_the_end(async move {
                let _ = gone_on.await;
                Ok(())
            })
            .await
        });
        while tasks.running() == 0 {
            tokio::task::yield_now().await;
        }
        caller.abort();
        assert!(caller.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(tasks.running(), 1);
        go_on.send(()).unwrap();
        tasks.idle().await;
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test]
    async fn a_task_that_panics_no_longer_counts() {
        let tasks = Tasks::default();
        let result = tasks.to_the_end::<()>(async { panic!("as the test wants") }).await;
        assert_eq!(result.unwrap_err().kind(), crate::ErrorKind::Internal);
        tasks.idle().await;
    }
}
