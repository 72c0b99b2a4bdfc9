//! [`LiveAnswers`]: what the store has answered about sessions, and the questions that are under
//! way.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quick_cache::sync::Cache;
use tokio::sync::watch;

use super::set::Epoch;
use crate::{clock::Timestamp, error::ErrorKind, session::SessionId};

/// Most answers that are kept, about 4 MB. The one that was used longest ago goes first.
const MAX_ANSWERS: usize = 65_536;

/// Most questions that are under way. A store that answers within 5 ms answers 50,000 a second. A
/// store that answers none within its timeout makes no more requests than these wait for it.
pub(super) const MAX_QUESTIONS: usize = 256;

/// What the store has answered about a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// The session's token version, or `None` where it is not live.
    pub(super) version: Option<u64>,
    pub(super) asked_at: Timestamp,
    /// The endings that had found no room when the store was asked.
    pub(super) epoch: Epoch,
}

impl Answer {
    /// Returns whether no revocation has come meanwhile, and the answer is young enough. A clock
    /// that was set back does not say how old it is.
    pub(super) fn counts(self, epoch: Epoch, now: Timestamp, counts_for: Duration) -> bool {
        self.epoch == epoch && self.asked_at <= now && now.since(self.asked_at) < counts_for
    }

    /// Returns whether a token of this version belongs to a live session.
    pub(super) fn is_live(self, version: u64) -> bool {
        self.version.is_some_and(|of_session| of_session <= version)
    }
}

/// How a question came out, for the requests that wait for it.
pub(super) type Outcome = Option<Result<Answer, ErrorKind>>;

/// Answers of the store, and the questions that are under way. It takes no room before the first
/// question.
#[derive(Debug, Default)]
pub(super) struct LiveAnswers {
    answers: OnceLock<Cache<SessionId, Answer>>,
    questions: Mutex<HashMap<SessionId, watch::Receiver<Outcome>>>,
    pub(super) asked: AtomicU64,
}

impl LiveAnswers {
    /// Returns the answer that still counts.
    pub(super) fn recall(&self, id: &SessionId, epoch: Epoch, now: Timestamp, counts_for: Duration) -> Option<Answer> {
        self.answers.get()?.get(id).filter(|answer| answer.counts(epoch, now, counts_for))
    }

    /// Returns how many questions the store has been asked.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Keeps an answer.
    pub(super) fn keep(&self, id: SessionId, answer: Answer) {
        self.answers.get_or_init(|| Cache::new(MAX_ANSWERS)).insert(id, answer);
    }

    pub(super) fn questions(&self) -> MutexGuard<'_, HashMap<SessionId, watch::Receiver<Outcome>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
