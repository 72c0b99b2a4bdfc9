//! Runs one refresh at a time and shares its outcome ("single flight").
//!
//! The refresh is a task of its own. A request that is dropped does not stop it, and no second
//! request begins another one.

use std::{pin::pin, sync::Arc};

use tokio::{runtime::Handle, sync::watch};

use super::{
    ClientAuth, ClientError, ClientErrorKind,
    backoff::Failure,
    state::{Held, Outcome, Progress},
};

/// The part of a timeout that a request with a valid token waits for the next token.
const PATIENCE: u32 = 4;

impl ClientAuth {
    /// Waits for the refresh that is under way, or starts one because the stale pair cannot be
    /// used.
    ///
    /// Gives up when the refresh is [`Slow`](Progress::Slow), unless `to_the_end` is set.
    pub(super) async fn refresh(&self, stale: Held, to_the_end: bool) -> Outcome {
        let mut progress = self.join_refresh(stale)?;
        let is_enough = |progress: &Progress| match progress {
            Progress::Running => false,
            Progress::Slow => !to_the_end,
            Progress::Done(_) => true,
        };
        let progress = progress.wait_for(is_enough).await.map(|progress| progress.clone());
        match progress {
            Ok(Progress::Done(outcome)) => outcome,
            Ok(_) => Err(ClientError::with_source(ClientErrorKind::Unreachable, "the refresh takes too long")),
            Err(_) => Err(ClientError::new(ClientErrorKind::Interrupted)),
        }
    }

    fn join_refresh(&self, stale: Held) -> Result<watch::Receiver<Progress>, ClientError> {
        let runtime =
            Handle::try_current().map_err(|error| ClientError::with_source(ClientErrorKind::Interrupted, error))?;
        let mut state = self.state();
        if let Some(refresh) = &state.refresh {
            return Ok(refresh.clone());
        }
        let (sender, receiver) = watch::channel(Progress::Running);
        state.refresh = Some(receiver.clone());
        drop(state);
        let task = RefreshTask { client: self.clone(), progress: sender, done: false };
        runtime.spawn(task.run(stale));
        Ok(receiver)
    }

    /// Waits until no refresh is under way.
    pub(super) async fn refresh_done(&self) {
        let refresh = self.state().refresh.clone();
        if let Some(mut progress) = refresh {
            // An error means that the task is gone.
            let _ = progress.wait_for(Progress::is_done).await;
        }
    }

    async fn refreshed(&self, stale: Held) -> Outcome {
        let _exclusive = self.0.exclusive.lock().await;
        let outcome = self.refreshed_exclusively(stale).await;
        let now = self.clock().now();
        // The failure is noted before the lock is released, so that it never counts for a login
        // that waits for the lock. An error that was repeated during a backoff does not prolong it.
        if outcome.is_ok() || self.backoff_error().is_none() {
            self.state().failed = outcome.as_ref().err().map(|error| Failure::new(error, now));
        }
        outcome
    }

    async fn refreshed_exclusively(&self, stale: Held) -> Outcome {
        let held = self.state().held.clone();
        let is_held = match (&held, &stale) {
            (Some(held), Some(stale)) => Arc::ptr_eq(held, stale),
            (None, None) => true,
            _ => false,
        };
        if !is_held {
            // A user has logged in or out during the wait for the lock.
            return Ok(held);
        }
        let unsaved = self.state().unsaved.clone();
        if stale.is_none() && unsaved.is_none() {
            // This is enough in most cases and needs no lock of the storage.
            let stored = self.adopt(self.load().await?);
            if stored.as_ref().is_none_or(|pair| !pair.is_due(self.clock(), self.0.settings.margin)) {
                return Ok(stored);
            }
        }
        let _locked = self.lock_storage().await?;
        let pair = if let Some(unsaved) = unsaved {
            self.persist(unsaved).await?
        } else {
            match (self.load().await?, &stale) {
                (Some(stored), Some(stale)) if stored.is_same_as(stale) => return self.rotate(Arc::clone(stale)).await,
                // Another process has refreshed the session, ended it, or begun another one.
                (stored, _) => self.adopt(stored),
            }
        };
        match pair {
            Some(pair) if pair.is_due(self.clock(), self.0.settings.margin) => self.rotate(pair).await,
            other => Ok(other),
        }
    }
}

/// A refresh under way. If the runtime ends and drops the task, the next call starts another one.
struct RefreshTask {
    client: ClientAuth,
    progress: watch::Sender<Progress>,
    done: bool,
}

impl RefreshTask {
    async fn run(mut self, stale: Held) {
        let outcome = {
            let mut refreshed = pin!(self.client.refreshed(stale));
            let in_time = tokio::time::timeout(self.client.0.settings.timeout / PATIENCE, refreshed.as_mut()).await;
            if let Ok(outcome) = in_time {
                outcome
            } else {
                self.progress.send_replace(Progress::Slow);
                refreshed.await
            }
        };
        // Removed before the outcome is sent, so that a request that cannot use the outcome starts
        // another refresh.
        self.client.state().refresh = None;
        self.done = true;
        self.progress.send_replace(Progress::Done(outcome));
    }
}

impl Drop for RefreshTask {
    fn drop(&mut self) {
        if !self.done {
            self.client.state().refresh = None;
        }
    }
}
