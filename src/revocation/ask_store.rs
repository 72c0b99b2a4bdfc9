//! Asking the store about sessions while this node cannot say by itself what has ended.
//!
//! A node is unsure while its set of endings is full, and while polls fail for longer than is
//! allowed. Each guarded request would then cost a call of the store, at the moment at which the
//! store has the most to do. Three rules keep that small:
//!
//! - What the store has answered about a session counts for as long as the time between two polls.
//!   Endings on other nodes reach a node no sooner in its best state. An ending on this node counts
//!   at once.
//! - One question is under way for each session. Other requests with the same session wait for its
//!   answer.
//! - At most [`MAX_QUESTIONS`] questions are under way. A request beyond that is refused, with the
//!   time after which it may come back.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::watch;

use super::{
    live_answers::{Answer, MAX_QUESTIONS, Outcome},
    revocations::Revocations,
};
use crate::{
    error::{Error, ErrorKind},
    event::{FlowRun, Operation},
    metrics,
    session::SessionId,
    token::Claims,
    user::UserId,
};

/// What a request does to learn about a session.
enum Turn {
    Ask(Question),
    Wait(watch::Receiver<Outcome>),
    Refuse,
}

/// A question that is under way until it is dropped.
struct Question {
    revocations: Arc<Revocations>,
    id: SessionId,
    outcome: watch::Sender<Outcome>,
}

impl Question {
    /// Asks the store, keeps its answer, and passes it on to the requests that wait.
    async fn ask(self, user: UserId) -> Result<Answer, Error> {
        let result = self.ask_store(user).await;
        self.outcome.send_replace(Some(result.as_ref().copied().map_err(Error::kind)));
        result
    }

    async fn ask_store(&self, user: UserId) -> Result<Answer, Error> {
        let revocations = &self.revocations;
        // Before the store is asked, because an ending may come while it answers.
        let epoch = revocations.set.epoch(&self.id, &user);
        let asked_at = revocations.clock.now();
        revocations.live_answers.asked.fetch_add(1, Ordering::Relaxed);
        metrics::store_question();
        let version = revocations.live_version(&user, &self.id).await?;
        let answer = Answer { version, asked_at, epoch };
        revocations.live_answers.keep(self.id, answer);
        Ok(answer)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.revocations.live_answers.questions().remove(&self.id);
    }
}

impl Revocations {
    /// Asks the store for a session. Returns its token version, or `None` where it is not live.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub(crate) async fn live_version(self: &Arc<Self>, user: &UserId, id: &SessionId) -> Result<Option<u64>, Error> {
        let now = self.shared_now().await;
        let session = self.sessions.find(user, id, now).await?;
        Ok(session.filter(|session| session.is_live(now)).map(|session| session.token_version))
    }

    /// Returns whether the store calls the session of an access token live, or called it live less
    /// than a poll's length ago.
    ///
    /// # Errors
    /// - [`ErrorKind::Overloaded`] where too many questions are under way
    /// - [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]. They are not remembered.
    pub(crate) async fn is_live(self: &Arc<Self>, claims: &Claims) -> Result<bool, Error> {
        let (id, user, version) = (claims.session_id(), claims.subject(), claims.token_version());
        loop {
            let epoch = self.set.epoch(&id, user);
            let (now, counts_for) = (self.clock.now(), self.settings.poll_interval);
            if let Some(answer) = self.live_answers.recall(&id, epoch, now, counts_for) {
                return Ok(answer.is_live(version));
            }
            match self.take_turn(id) {
                Turn::Ask(question) => {
                    let run = FlowRun::begin(&self.events, Operation::CheckSession, None, None);
                    run.set_session(user, id);
                    let user = user.clone();
                    // The requests that wait need the answer even where the first one hangs up.
                    let ask = async move { run.watch(pin!(question.ask(user))).await };
                    let answer = self.events.tasks.to_the_end(ask).await?;
                    return Ok(answer.is_live(version));
                }
                Turn::Wait(mut outcome) => {
                    // It closes without an outcome where the runtime of the question has ended.
                    let Ok(outcome) = outcome.wait_for(Option::is_some).await.map(|outcome| *outcome) else { continue };
                    match outcome {
                        // It is too old after a revocation, or where the store took long to answer.
                        Some(Ok(answer)) if answer.counts(self.set.epoch(&id, user), self.clock.now(), counts_for) => {
                            return Ok(answer.is_live(version));
                        }
                        Some(Err(kind)) => return Err(kind.into()),
                        Some(Ok(_)) | None => {}
                    }
                }
                Turn::Refuse => return Err(ErrorKind::Overloaded.into()),
            }
        }
    }

    fn take_turn(self: &Arc<Self>, id: SessionId) -> Turn {
        let mut questions = self.live_answers.questions();
        if let Some(outcome) = questions.get(&id) {
            return Turn::Wait(outcome.clone());
        }
        if questions.len() >= MAX_QUESTIONS {
            return Turn::Refuse;
        }
        let (outcome, receiver) = watch::channel(None);
        questions.insert(id, receiver);
        Turn::Ask(Question { revocations: Arc::clone(self), id, outcome })
    }
}
