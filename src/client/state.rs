//! What a client holds in memory.

use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{
    ClientAuth, ClientError,
    backoff::Failure,
    tokens::{Lineage, Pair},
};
use crate::{clock::Timestamp, secret::Secret};

/// The pair in use. `None` if no user is logged in.
pub(super) type Held = Option<Arc<Pair>>;

/// What a refresh results in.
pub(super) type Outcome = Result<Held, ClientError>;

/// What this process knows without a call to the server or the storage.
#[derive(Default)]
pub(super) struct State {
    pub(super) held: Held,
    /// The pair that the server has issued and the storage has not accepted yet.
    pub(super) unsaved: Option<Unsaved>,
    /// The refresh token of an ended session that the storage failed to remove.
    pub(super) ended: Option<Secret<String>>,
    /// The progress of the refresh that is under way.
    pub(super) refresh: Option<watch::Receiver<Progress>>,
    /// The last refresh, if it failed.
    pub(super) failed: Option<Failure>,
    /// The pair that the last refresh brought, and when.
    pub(super) rotated: Option<(Arc<Pair>, Timestamp)>,
}

impl State {
    /// Replaces the session. Nothing from the one before counts for the new one.
    pub(super) fn begin(&mut self, held: Held) {
        self.held = held;
        self.unsaved = None;
        self.failed = None;
        self.rotated = None;
    }
}

/// A pair that is not stored yet.
#[derive(Clone)]
pub(super) struct Unsaved {
    /// The refresh token that this pair replaces. The storage must hold it, or another process has
    /// stored something since.
    pub(super) presented: Secret<String>,
    pub(super) pair: Arc<Pair>,
    /// Whether a password change brought the pair. No earlier token is valid then.
    pub(super) password_changed: bool,
}

/// How far a refresh has come.
#[derive(Clone)]
pub(super) enum Progress {
    Running,
    /// The refresh takes longer than a request with a valid token waits for it.
    Slow,
    Done(Outcome),
}

impl Progress {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl ClientAuth {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self, pair: Held) {
        self.state().held = pair;
    }

    /// Returns which login the held pair comes from.
    pub(super) fn lineage(&self) -> Option<Lineage> {
        self.state().held.as_ref().map(|pair| pair.lineage)
    }
}
