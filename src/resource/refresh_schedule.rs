//! The schedule of fetches of a JWK set.
//!
//! There is one fetch at a time. It runs in a task of its own, so that it goes on when the request
//! that began it is dropped.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};

use super::{
    fetch::Fetcher,
    jwks_url::JwksUrl,
    keys::{ForeignKeys, HeldKeys},
};
use crate::{
    clock::{Clock, Timestamp},
    error::causes,
};

/// A set at a URL, and the state of its fetches.
pub(super) struct Remote {
    fetcher: Fetcher,
    settings: JwksUrl,
    /// The issuer, for the log.
    issuer: String,
    clock: Arc<dyn Clock>,
    /// Replaced by each fetch that succeeds.
    keys: Arc<HeldKeys>,
    state: Mutex<State>,
    /// Number of fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    under_way: bool,
    /// When the last fetch began, whether it succeeded or not.
    tried_at: Option<Timestamp>,
    failed: bool,
    /// When the fetch of the present keys began.
    fetched_at: Option<Timestamp>,
}

/// Why a fetch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// A request came in.
    IfDue,
    /// A token names a key that is not in the set.
    UnknownKey,
    /// The app asks for it.
    Now,
}

impl Remote {
    /// Begins without a fetch. Keys that are present already count as fetched now.
    ///
    /// # Errors
    /// A sentence that names the problem and its fix.
    pub(super) fn new(
        uri: http::Uri,
        settings: JwksUrl,
        issuer: &str,
        clock: Arc<dyn Clock>,
        keys: Arc<HeldKeys>,
    ) -> Result<Self, String> {
        let fetcher = Fetcher::new(uri, settings.timeout)?;
        let fetched_at = keys.get().map(|_| clock.now());
        let state = Mutex::new(State { fetched_at, ..State::default() });
        Ok(Self { fetcher, settings, issuer: issuer.to_owned(), clock, keys, state, ended: watch::Sender::new(0) })
    }

    /// Returns whether the present keys are recent enough to be used.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.state().fetched_at.is_some_and(|at| now.since(at) <= self.settings.max_stale)
    }

    /// Returns whether the last fetch has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// Notes that the app has replaced the set itself.
    pub(super) fn replaced(&self, now: Timestamp) {
        self.state().fetched_at = Some(now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a fetch may begin now, and notes that it has begun.
    fn begins(&self, want: Want, now: Timestamp) -> bool {
        let mut state = self.state();
        // A clock that was set back must not prevent fetches.
        let quiet_for = state.tried_at.filter(|at| *at <= now).map_or(Duration::MAX, |at| now.since(at));
        let least = match want {
            Want::Now => Duration::ZERO,
            Want::IfDue if !state.failed => self.settings.refresh_every,
            Want::IfDue | Want::UnknownKey => self.settings.min_interval,
        };
        if state.under_way || quiet_for < least {
            return false;
        }
        state.under_way = true;
        state.tried_at = Some(now);
        true
    }

    /// Waits until no fetch is under way, and returns whether the last one succeeded.
    pub(super) async fn settled(&self) -> bool {
        let mut ended = self.ended.subscribe();
        if self.state().under_way {
            // `self` has the sender, so this ends when a fetch ends.
            let _ = ended.changed().await;
        }
        !self.state().failed
    }

    /// Begins a fetch where the schedule allows it, and returns whether a fetch is under way.
    pub(super) fn fetch(self: &Arc<Self>, want: Want) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            tracing::error!(target: "portcullis", "a JWK set can be fetched on a tokio runtime only");
            return false;
        };
        let now = self.clock.now();
        if !self.begins(want, now) {
            return self.state().under_way;
        }
        let fetch = FetchUnderWay { remote: Arc::clone(self), succeeded: false };
        runtime.spawn(fetch.run(now));
        true
    }
}

/// Notes at its end that a fetch has ended, also where its task was dropped with the runtime.
struct FetchUnderWay {
    remote: Arc<Remote>,
    succeeded: bool,
}

impl FetchUnderWay {
    async fn run(mut self, began: Timestamp) {
        let remote = &self.remote;
        let document = remote.fetcher.fetch().await;
        match document.and_then(|document| ForeignKeys::parse(&document).map_err(Into::into)) {
            Ok(keys) => {
                remote.keys.replace(keys);
                remote.state().fetched_at = Some(began);
                self.succeeded = true;
            }
            Err(error) => {
                let issuer = &remote.issuer;
                let cause = causes(Some(error.as_ref()));
                tracing::warn!(target: "portcullis", issuer, cause, "the JWK set could not be fetched");
            }
        }
    }
}

impl Drop for FetchUnderWay {
    fn drop(&mut self) {
        let mut state = self.remote.state();
        state.under_way = false;
        state.failed = !self.succeeded;
        drop(state);
        self.remote.ended.send_modify(|count| *count += 1);
    }
}
