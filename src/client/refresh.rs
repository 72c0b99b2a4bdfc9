//! One refresh at a time, in a task of its own: no request that goes away takes it along, and none begins a second one.
//!
//! What is held in memory, and what is stored, changes in the hands of one task at a time.

use std::{
    pin::pin,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use http::Method;
use serde::Serialize;
use tokio::{runtime::Handle, sync::watch};

use super::{
    ClientAuth, ClientError, ClientErrorKind,
    api::{self, Answer},
    backoff::{Failure, is_within},
    persist::Unsaved,
    tokens::{Lineage, Pair},
};
use crate::{clock::Timestamp, error::causes, secret::Secret};

/// The pair that is to be used, or nobody is signed in.
pub(super) type Held = Option<Arc<Pair>>;

pub(super) type Outcome = Result<Held, ClientError>;

/// What this process knows without asking.
#[derive(Default)]
pub(super) struct State {
    pub(super) held: Held,
    /// What the server has given us and the storage has not taken yet.
    pub(super) unsaved: Option<Unsaved>,
    /// The refresh token of a session that is over, where the storage would not forget it.
    pub(super) over: Option<Secret<String>>,
    pub(super) flight: Option<watch::Receiver<Progress>>,
    failed: Option<Failure>,
    /// What the last refresh brought, and when.
    rotated: Option<(Arc<Pair>, Timestamp)>,
}

impl State {
    /// A session begins or ends, and nothing that was before counts for it.
    pub(super) fn begin(&mut self, held: Held) {
        self.held = held;
        self.unsaved = None;
        self.failed = None;
        self.rotated = None;
    }
}

/// How far a refresh has come.
#[derive(Clone)]
pub(super) enum Progress {
    Begun,
    /// It takes longer than a token that is still good need wait for.
    Late,
    Landed(Outcome),
}

impl Progress {
    fn has_landed(&self) -> bool {
        matches!(self, Self::Landed(_))
    }
}

/// What became of a presented refresh token.
enum Rotated {
    New(Pair),
    Over(ClientError),
    Failed(ClientError),
}

#[derive(Serialize)]
pub(super) struct Presented<'a> {
    pub(super) refresh_token: &'a str,
}

/// A pair that is younger than this and refused is not rotated: the next one would be no better.
const FRESH: Duration = Duration::from_secs(1);
/// What part of a timeout a token that is still good waits for the next one.
const PATIENCE: u32 = 4;
/// How long a process without the lock may take from the answer to a change of the password until it has stored it.
const OVERTAKING: Duration = Duration::from_secs(1);
/// How long a refresh waits for its next try at most: within the server's grace, whose default is ten seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

impl ClientAuth {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self, pair: Held) {
        self.state().held = pair;
    }

    fn still_good(&self) -> Held {
        self.state().held.clone().filter(|pair| !pair.is_expired(self.clock()))
    }

    /// The pair to use now, where nothing has to be waited for.
    pub(super) fn usable_now(&self) -> Held {
        let state = self.state();
        if state.unsaved.is_some() {
            // Every call is a chance to store it.
            return None;
        }
        let now = self.clock().now();
        let is_resting = state.failed.as_ref().is_some_and(|failure| failure.is_recent(now));
        let is_usable = |pair: &Arc<Pair>| {
            let is_due = pair.is_due(self.clock(), self.0.settings.margin);
            !is_due || is_resting && !pair.is_expired(self.clock())
        };
        state.held.clone().filter(is_usable)
    }

    /// Whose session this process holds, as far as it knows without asking.
    pub(super) fn lineage(&self) -> Option<Lineage> {
        self.state().held.as_ref().map(|pair| pair.lineage)
    }

    /// The pair to use now for what belongs to that session. Where it has been replaced, it is over.
    pub(super) async fn usable_in(&self, lineage: Option<Lineage>) -> Outcome {
        let pair = self.usable().await?;
        Ok(pair.filter(|pair| lineage.is_none_or(|lineage| lineage == pair.lineage)))
    }

    /// The pair to use now, refreshed where it is about to expire.
    pub(super) async fn usable(&self) -> Outcome {
        if let Some(pair) = self.usable_now() {
            return Ok(Some(pair));
        }
        loop {
            let is_good = self.still_good().is_some();
            let held = self.state().held.clone();
            let error = match self.fly(held, !is_good).await {
                Err(error) => error,
                outcome => return outcome,
            };
            match self.still_good() {
                // Nothing is lost yet: the server may be back before it expires.
                Some(pair) => return Ok(Some(pair)),
                // It has expired while we waited.
                None if is_good => {}
                None => return Err(error),
            }
        }
    }

    /// The pair to use after the server has refused this one, for what was refused: another session's is none.
    pub(super) async fn after(&self, refused: &Arc<Pair>) -> Outcome {
        let pair = self.in_place_of(refused).await?;
        Ok(pair.filter(|pair| pair.lineage == refused.lineage))
    }

    async fn in_place_of(&self, refused: &Arc<Pair>) -> Outcome {
        // The flight that we meet may have begun before this pair was there.
        for _ in 0..2 {
            let held = self.state().held.clone();
            match &held {
                Some(pair) if Arc::ptr_eq(pair, refused) => {}
                _ => return Ok(held),
            }
            if self.is_fresh(refused) {
                return Ok(None);
            }
            match self.fly(held, true).await? {
                Some(pair) if Arc::ptr_eq(&pair, refused) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }

    fn is_fresh(&self, pair: &Arc<Pair>) -> bool {
        let now = self.clock().now();
        let state = self.state();
        state.rotated.as_ref().is_some_and(|(new, at)| Arc::ptr_eq(new, pair) && is_within(FRESH, *at, now))
    }

    fn resting(&self) -> Option<ClientError> {
        let now = self.clock().now();
        let state = self.state();
        let failure = state.failed.as_ref().filter(|failure| failure.is_the_servers() && failure.is_recent(now))?;
        // What has to be stored does not wait for the server.
        state.unsaved.is_none().then(|| failure.error.clone())
    }

    /// Waits for the refresh that is under way, or for one that begins now because this pair will not do; unless it is to
    /// the end, then for so long as it is not late.
    async fn fly(&self, stale: Held, to_the_end: bool) -> Outcome {
        let mut landing = self.join(stale)?;
        let is_enough = |progress: &Progress| match progress {
            Progress::Begun => false,
            Progress::Late => !to_the_end,
            Progress::Landed(_) => true,
        };
        let progress = landing.wait_for(is_enough).await.map(|progress| progress.clone());
        match progress {
            Ok(Progress::Landed(outcome)) => outcome,
            Ok(_) => Err(ClientError::with_source(ClientErrorKind::Unreachable, "it takes too long")),
            Err(_) => Err(ClientError::new(ClientErrorKind::Interrupted)),
        }
    }

    fn join(&self, stale: Held) -> Result<watch::Receiver<Progress>, ClientError> {
        let runtime =
            Handle::try_current().map_err(|error| ClientError::with_source(ClientErrorKind::Interrupted, error))?;
        let mut state = self.state();
        if let Some(flight) = &state.flight {
            return Ok(flight.clone());
        }
        let (landed, landing) = watch::channel(Progress::Begun);
        state.flight = Some(landing.clone());
        drop(state);
        let flight = Flight { client: self.clone(), landed, done: false };
        runtime.spawn(flight.fly(stale));
        Ok(landing)
    }

    /// Waits until no refresh is under way.
    pub(super) async fn landed(&self) {
        let flight = self.state().flight.clone();
        if let Some(mut landing) = flight {
            // An error is that its task is gone.
            let _ = landing.wait_for(Progress::has_landed).await;
        }
    }

    async fn refreshed(&self, stale: Held) -> Outcome {
        let _alone = self.0.alone.lock().await;
        let outcome = self.refreshed_alone(stale).await;
        let now = self.clock().now();
        // Before somebody signs in, whom it does not concern.
        // An answer that was given out of a rest does not prolong it.
        if outcome.is_ok() || self.resting().is_none() {
            self.state().failed = outcome.as_ref().err().map(|error| Failure::new(error, now));
        }
        outcome
    }

    async fn refreshed_alone(&self, stale: Held) -> Outcome {
        let held = self.state().held.clone();
        let is_held = match (&held, &stale) {
            (Some(held), Some(stale)) => Arc::ptr_eq(held, stale),
            (None, None) => true,
            _ => false,
        };
        if !is_held {
            // Somebody has signed in or out while we waited.
            return Ok(held);
        }
        let unsaved = self.state().unsaved.clone();
        if stale.is_none() && unsaved.is_none() {
            // Most often that is all, and nobody need wait for it.
            let stored = self.adopt(self.load().await?);
            if stored.as_ref().is_none_or(|pair| !pair.is_due(self.clock(), self.0.settings.margin)) {
                return Ok(stored);
            }
        }
        let _locked = self.locked().await?;
        let pair = if let Some(unsaved) = unsaved {
            self.keep(unsaved).await?
        } else {
            match (self.load().await?, &stale) {
                (Some(stored), Some(stale)) if stored.is_same_as(stale) => return self.rotate(Arc::clone(stale)).await,
                // Another process has refreshed meanwhile, or signed out, or somebody else in.
                (stored, _) => self.adopt(stored),
            }
        };
        match pair {
            Some(pair) if pair.is_due(self.clock(), self.0.settings.margin) => self.rotate(pair).await,
            other => Ok(other),
        }
    }

    /// Presents the refresh token until there is an answer that says something, and keeps what comes of it.
    async fn rotate(&self, pair: Arc<Pair>) -> Outcome {
        // Only the server is left alone: what another process stored meanwhile has been looked at.
        if let Some(error) = self.resting() {
            return Err(error);
        }
        match self.present(&pair).await {
            Rotated::New(new) => {
                let (new, now) = (Arc::new(new), self.clock().now());
                self.state().rotated = Some((Arc::clone(&new), now));
                self.keep(Unsaved { presented: pair.refresh.clone(), pair: new, password_changed: false }).await
            }
            Rotated::Failed(error) => Err(error),
            Rotated::Over(error) => self.end_of(&pair, &error).await,
        }
    }

    /// The session of this pair is over, as far as the server says, or only the pair is.
    async fn end_of(&self, pair: &Pair, error: &ClientError) -> Outcome {
        let mut stored = self.load().await?;
        if error.code() == Some("refresh_invalid") && stored.as_ref().is_some_and(|stored| stored.is_same_as(pair)) {
            // A change of the password outdates it, and what came of that may be about to be stored.
            tokio::time::sleep(OVERTAKING).await;
            stored = self.load().await?;
        }
        match stored {
            // Another process has signed in anew, or changed the password.
            Some(stored) if !stored.is_same_as(pair) => return Ok(self.adopt(Some(stored))),
            Some(_) => {
                tracing::info!(target: "portcullis", code = error.code(), "the session is over");
                if let Err(error) = self.clear().await {
                    let cause = causes(Some(&error));
                    tracing::warn!(target: "portcullis", cause, "the tokens of a session that is over stay stored");
                    self.state().over = Some(pair.refresh.clone());
                }
            }
            // Another process has signed out.
            None => {}
        }
        self.hold(None);
        Ok(None)
    }

    async fn present(&self, pair: &Pair) -> Rotated {
        let body = Presented { refresh_token: pair.refresh.expose() };
        let mut tried = 0;
        loop {
            tried += 1;
            let asked_at = self.clock().now();
            let (error, open) = match self.ask(Method::POST, "refresh", None, &body, 1).await {
                Ok(answer) if answer.ends_the_session() => {
                    return answer.done().map_or_else(Rotated::Over, |()| Rotated::Failed(no_pair()));
                }
                Ok(answer) => {
                    let open = answer.leaves_open();
                    match answer.tokens(pair.lineage, asked_at) {
                        Ok((_, Some(pair))) => return Rotated::New(pair),
                        Ok((_, None)) => return Rotated::Failed(no_pair()),
                        Err(error) => (error, open),
                    }
                }
                // The answer may be lost, and the token rotated: within its grace the server gives the same answer again.
                Err(error) => (error, true),
            };
            let pause = match (error.retry_after(), tried) {
                (Some(wait), _) => wait,
                (None, 1) => Duration::ZERO,
                (None, _) => Duration::from_secs(1),
            };
            if !open || tried >= self.0.settings.attempts || pause > LONGEST_PAUSE {
                return Rotated::Failed(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks one of our endpoints, within so many times the timeout.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&Pair>,
        body: &impl Serialize,
        timeouts: u32,
    ) -> Result<Answer, ClientError> {
        let uri = format!("{}/{path}", self.0.base);
        let request = api::request(method, uri, &self.0.user_agent, bearer.and_then(Pair::bearer), body)?;
        let answer = tokio::time::timeout(self.0.settings.timeout * timeouts, (self.0.send)(request)).await;
        answer.unwrap_or_else(|_| Err(ClientError::with_source(ClientErrorKind::Unreachable, "it took too long")))
    }
}

fn no_pair() -> ClientError {
    ClientError::with_source(ClientErrorKind::Unexpected, "the answer brings no tokens")
}

/// A refresh under way. It lands also where its task was dropped with the runtime.
struct Flight {
    client: ClientAuth,
    landed: watch::Sender<Progress>,
    done: bool,
}

impl Flight {
    async fn fly(mut self, stale: Held) {
        let outcome = {
            let mut refreshed = pin!(self.client.refreshed(stale));
            let in_time = tokio::time::timeout(self.client.0.settings.timeout / PATIENCE, refreshed.as_mut()).await;
            if let Ok(outcome) = in_time {
                outcome
            } else {
                self.landed.send_replace(Progress::Late);
                refreshed.await
            }
        };
        // Before anybody hears of it: whoever comes now and is not content begins another one.
        self.client.state().flight = None;
        self.done = true;
        self.landed.send_replace(Progress::Landed(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.done {
            self.client.state().flight = None;
        }
    }
}
