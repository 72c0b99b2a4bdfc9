//! When a JWK set is fetched, and by whom: one fetch at a time, in a task of its own, so that no request that goes away
//! takes it along.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};

use super::{Inner, JwksUrl, fetch::Fetcher, keys::ForeignKeys};
use crate::{clock::Timestamp, error::causes};

/// An address, and what is known of its document.
pub(super) struct Remote {
    fetcher: Fetcher,
    settings: JwksUrl,
    state: Mutex<State>,
    /// Counts the fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    under_way: bool,
    /// When the last fetch began, good or bad.
    tried_at: Option<Timestamp>,
    failed: bool,
    /// From when the keys are that we hold.
    fetched_at: Option<Timestamp>,
}

/// Why a fetch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// A request came in.
    IfDue,
    /// A token names a key that is not in the set.
    UnknownKey,
    /// The app says so.
    Now,
}

impl Remote {
    /// # Errors
    /// A sentence with the mend.
    pub(super) fn new(uri: http::Uri, settings: JwksUrl, held_since: Option<Timestamp>) -> Result<Self, String> {
        let fetcher = Fetcher::new(uri, settings.timeout)?;
        let state = Mutex::new(State { fetched_at: held_since, ..State::default() });
        Ok(Self { fetcher, settings, state, ended: watch::Sender::new(0) })
    }

    /// Whether the keys that we hold still count.
    pub(super) fn holds_good(&self, now: Timestamp) -> bool {
        self.state().fetched_at.is_some_and(|at| now.since(at) <= self.settings.max_stale)
    }

    /// Whether the last fetch has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// The app has handed over a set of its own accord.
    pub(super) fn replaced(&self, now: Timestamp) {
        self.state().fetched_at = Some(now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a fetch may begin now; notes that it has.
    fn begins(&self, want: Want, now: Timestamp) -> bool {
        let mut state = self.state();
        // A clock that was set back must not keep us from fetching.
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

    /// Waits until no fetch is under way, and says whether the last one was good.
    pub(super) async fn settled(&self) -> bool {
        let mut ended = self.ended.subscribe();
        if self.state().under_way {
            // The sender is ours, so this ends when a fetch does.
            let _ = ended.changed().await;
        }
        !self.state().failed
    }
}

impl Inner {
    /// Begins a fetch where one is wanted and allowed; says whether there is one to be waited for.
    pub(super) fn fetch(self: &Arc<Self>, remote: &Arc<Remote>, want: Want) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            tracing::error!(target: "portcullis", "a JWK set can be fetched on a tokio runtime only");
            return false;
        };
        let now = self.clock.now();
        if !remote.begins(want, now) {
            return remote.state().under_way;
        }
        let ending = Ending { remote: Arc::clone(remote), good: false };
        runtime.spawn(Arc::clone(self).fetch_once(ending, now));
        true
    }

    async fn fetch_once(self: Arc<Self>, mut ending: Ending, began: Timestamp) {
        let document = ending.remote.fetcher.fetch().await;
        match document.and_then(|document| ForeignKeys::parse(&document).map_err(Into::into)) {
            Ok(keys) => {
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
                ending.remote.state().fetched_at = Some(began);
                ending.good = true;
            }
            Err(error) => {
                let issuer = &self.profile.issuer;
                let cause = causes(Some(error.as_ref()));
                tracing::warn!(target: "portcullis", issuer, cause, "the JWK set could not be fetched");
            }
        }
    }
}

/// Says that a fetch has ended, also where its task was dropped with the runtime.
struct Ending {
    remote: Arc<Remote>,
    good: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.remote.state();
        state.under_way = false;
        state.failed = !self.good;
        drop(state);
        self.remote.ended.send_modify(|count| *count += 1);
    }
}
