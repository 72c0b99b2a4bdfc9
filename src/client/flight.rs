//! One refresh at a time, in a task of its own: no request that goes away takes it along, and none begins a second one.
//!
//! What is held in memory, and what is stored, changes in the hands of one task at a time. A new pair is stored before it is
//! held, so that what is used can be found again after a crash.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use http::Method;
use serde::Serialize;
use tokio::{runtime::Handle, sync::watch};

use super::{
    ClientAuth, ClientError, ClientErrorKind,
    contract::{self, Answer},
    tokens::{Lineage, Pair},
};
use crate::{clock::Timestamp, error::causes, secret::Secret};

/// The pair that is to be used, or nobody is signed in.
pub(super) type Held = Option<Arc<Pair>>;

type Outcome = Result<Held, ClientError>;

/// What this process knows without asking.
#[derive(Default)]
pub(super) struct State {
    pub(super) held: Held,
    /// What the server has given us and the storage has not taken yet.
    pub(super) unsaved: Option<Unsaved>,
    /// The refresh token of a session that is over, where the storage would not forget it.
    pub(super) over: Option<Secret<String>>,
    pub(super) flight: Option<watch::Receiver<Option<Outcome>>>,
    failed: Option<Failure>,
    /// When the last refresh brought a pair.
    rotated_at: Option<Timestamp>,
}

impl State {
    /// A session begins or ends, and nothing that was before counts for it.
    pub(super) fn begin(&mut self, held: Held) {
        self.held = held;
        self.unsaved = None;
        self.failed = None;
        self.rotated_at = None;
    }
}

/// A refresh that failed, after which there is a rest.
struct Failure {
    error: ClientError,
    at: Timestamp,
    rest: Duration,
}

impl Failure {
    fn new(error: &ClientError, at: Timestamp) -> Self {
        let rest = error.retry_after().unwrap_or_default().clamp(REST, LONGEST_REST);
        Self { error: error.clone(), at, rest }
    }

    fn is_recent(&self, now: Timestamp) -> bool {
        is_within(self.rest, self.at, now)
    }

    /// Whether it was the server's, which is not asked again before the rest is over; a storage is.
    fn is_the_servers(&self) -> bool {
        use ClientErrorKind::{Refused, Unexpected, Unreachable};
        matches!(self.error.kind(), Refused | Unexpected | Unreachable)
    }
}

/// A clock that was set back ends every rest.
fn is_within(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    since <= now && now.since(since) < time
}

/// A pair that is yet to be stored.
#[derive(Clone)]
pub(super) struct Unsaved {
    /// What the storage has to hold for this pair to follow it.
    pub(super) presented: Secret<String>,
    pub(super) pair: Arc<Pair>,
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

/// The least time from a refresh that failed to the next one.
const REST: Duration = Duration::from_secs(1);
/// The longest time that a server may ask for.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// A pair that is younger than this and refused is not rotated: the next one would be no better.
const FRESH: Duration = Duration::from_secs(1);
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
        let held = self.state().held.clone();
        match self.refresh(held).await {
            // Nothing is lost yet: the server may be back before it expires.
            Err(error) => self.still_good().map(Some).ok_or(error),
            outcome => outcome,
        }
    }

    /// The pair to use after the server has refused this one, for what was refused: another session's is none.
    pub(super) async fn after(&self, refused: &Arc<Pair>) -> Outcome {
        let pair = self.in_place_of(refused).await?;
        Ok(pair.filter(|pair| pair.lineage == refused.lineage))
    }

    async fn in_place_of(&self, refused: &Arc<Pair>) -> Outcome {
        let is_fresh = |rotated_at| is_within(FRESH, rotated_at, self.clock().now());
        // The flight that we meet may have begun before this pair was there.
        for _ in 0..2 {
            let held = self.state().held.clone();
            match &held {
                Some(pair) if Arc::ptr_eq(pair, refused) => {}
                _ => return Ok(held),
            }
            let rotated_at = self.state().rotated_at;
            if rotated_at.is_some_and(is_fresh) {
                return Ok(None);
            }
            match self.refresh(held).await? {
                Some(pair) if Arc::ptr_eq(&pair, refused) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }

    /// What came of the last refresh, while its rest lasts, or else of another one.
    async fn refresh(&self, stale: Held) -> Outcome {
        match self.resting() {
            Some(error) => Err(error),
            None => self.fly(stale).await,
        }
    }

    fn resting(&self) -> Option<ClientError> {
        let now = self.clock().now();
        let state = self.state();
        let failure = state.failed.as_ref().filter(|failure| failure.is_the_servers() && failure.is_recent(now))?;
        // What has to be stored does not wait for the server.
        state.unsaved.is_none().then(|| failure.error.clone())
    }

    /// Waits for the refresh that is under way, or for one that begins now because this pair will not do.
    async fn fly(&self, stale: Held) -> Outcome {
        let mut landing = self.join(stale)?;
        let landed = landing.wait_for(Option::is_some).await;
        let outcome = landed.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err(ClientError::new(ClientErrorKind::Interrupted)))
    }

    fn join(&self, stale: Held) -> Result<watch::Receiver<Option<Outcome>>, ClientError> {
        let runtime =
            Handle::try_current().map_err(|error| ClientError::with_source(ClientErrorKind::Interrupted, error))?;
        let mut state = self.state();
        if let Some(flight) = &state.flight {
            return Ok(flight.clone());
        }
        let (landed, landing) = watch::channel(None);
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
            let _ = landing.wait_for(Option::is_some).await;
        }
    }

    async fn refreshed(&self, stale: Held) -> Outcome {
        let _alone = self.0.alone.lock().await;
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
        let _locked = self.0.storage.lock().await.map_err(ClientError::storage)?;
        if let Some(unsaved) = unsaved {
            return self.keep(unsaved, false).await;
        }
        let stored = self.load().await?;
        match (stored, &stale) {
            (Some(stored), Some(stale)) if stored.is_same_as(stale) => self.rotate(Arc::clone(stale)).await,
            // Another process has refreshed meanwhile, or signed out, or somebody else in.
            (stored, _) => match self.adopt(stored) {
                Some(pair) if pair.is_due(self.clock(), self.0.settings.margin) => self.rotate(pair).await,
                other => Ok(other),
            },
        }
    }

    /// Takes over what is stored, unless it is what the storage would not forget.
    pub(super) fn adopt(&self, stored: Option<Pair>) -> Held {
        let mut state = self.state();
        let is_over = |pair: &Pair| state.over.as_ref().is_some_and(|over| over.expose() == pair.refresh.expose());
        let stored = stored.filter(|pair| !is_over(pair)).map(Arc::new);
        state.held.clone_from(&stored);
        stored
    }

    /// Presents the refresh token until there is an answer that says something, and keeps what comes of it.
    async fn rotate(&self, pair: Arc<Pair>) -> Outcome {
        match self.present(&pair).await {
            Rotated::New(new) => {
                self.state().rotated_at = Some(self.clock().now());
                self.keep(Unsaved { presented: pair.refresh.clone(), pair: Arc::new(new) }, true).await
            }
            Rotated::Failed(error) => Err(error),
            Rotated::Over(error) => {
                // Ours may be over because another process has signed in anew.
                let stored = self.load().await?;
                if stored.as_ref().is_some_and(|stored| !stored.is_same_as(&pair)) {
                    return Ok(self.adopt(stored));
                }
                tracing::info!(target: "portcullis", code = error.code(), "the session is over");
                if let Err(error) = self.0.storage.clear().await {
                    let cause = causes(Some(error.as_ref()));
                    tracing::warn!(target: "portcullis", cause, "the tokens of a session that is over stay stored");
                    self.state().over = Some(pair.refresh.clone());
                }
                self.hold(None);
                Ok(None)
            }
        }
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

    /// Stores a new pair, and only then holds it. What cannot be stored waits, unused, for the next try: the server counts
    /// on it now, so it must not be lost while this process lives.
    pub(super) async fn keep(&self, unsaved: Unsaved, at_once: bool) -> Outcome {
        self.state().unsaved = Some(unsaved.clone());
        let Unsaved { presented, pair } = unsaved;
        let kept = match self.load().await {
            Ok(Some(stored)) if stored.refresh.expose() == presented.expose() => None,
            // Another process was faster, and what it stored is no older than ours.
            Ok(Some(stored)) => self.adopt(Some(stored)),
            // Another process has signed out, and the session with it.
            Ok(None) if at_once => {
                self.hold(None);
                self.state().unsaved = None;
                return Ok(None);
            }
            Err(error) if at_once => return Err(error),
            // A save that failed may have left nothing, or half of something.
            Ok(None) | Err(_) => None,
        };
        if kept.is_none() {
            self.save(&pair).await?;
            self.hold(Some(Arc::clone(&pair)));
        }
        self.state().unsaved = None;
        Ok(kept.or(Some(pair)))
    }

    pub(super) async fn save(&self, pair: &Pair) -> Result<(), ClientError> {
        let text = pair.to_text(&self.0.server).ok_or_else(no_pair)?;
        self.0.storage.save(&text).await.map_err(ClientError::storage)
    }

    pub(super) async fn load(&self) -> Result<Option<Pair>, ClientError> {
        let text = self.0.storage.load().await.map_err(ClientError::storage)?;
        text.map(|text| Pair::from_text(&text, &self.0.server)).transpose().map_err(ClientError::storage)
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
        let request = contract::request(method, uri, &self.0.user_agent, bearer.and_then(Pair::bearer), body)?;
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
    landed: watch::Sender<Option<Outcome>>,
    done: bool,
}

impl Flight {
    async fn fly(mut self, stale: Held) {
        let outcome = self.client.refreshed(stale).await;
        let now = self.client.clock().now();
        let mut state = self.client.state();
        state.failed = outcome.as_ref().err().map(|error| Failure::new(error, now));
        // Before anybody hears of it: whoever comes now and is not content begins another one.
        state.flight = None;
        drop(state);
        self.done = true;
        self.landed.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.done {
            self.client.state().flight = None;
        }
    }
}
