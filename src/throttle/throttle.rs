//! [`Throttle`]: decides whether an attempt may go on.

use std::time::Duration;

use async_trait::async_trait;

use super::Attempt;
use crate::{clock::Timestamp, store::StoreError};

/// Decides whether an attempt at a password may go on.
///
/// [`admit`](Self::admit) is called before the work. [`settle`](Self::settle) is called afterwards,
/// unless the caller hung up. Therefore count the attempt when it is admitted, and take it back
/// when it succeeds. Of a thousand guesses sent at once, the later ones must see the earlier ones.
///
/// # A login has up to two steps
///
/// 1. With its [`login`](super::Account::login) alone, before anything is looked up.
/// 2. With its [`user`](super::Account::user) as well, once the user is found. The second step
///    counts by the user what the first one has counted by the login. Both have the same time.
///
/// Where the request brings a [`device`](super::Source::device), there is one step with all three,
/// and it counts by all of them. `settle` is called once, with what the last admitted step had.
/// Where the second step refuses, the first is settled with [`Outcome::Undecided`].
///
/// # Errors
/// [`StoreError::unavailable`] where a shared store cannot be reached. An error of `admit` fails
/// the attempt with 503. An error of `settle` is logged, and the attempt keeps its result.
#[async_trait]
pub trait Throttle: Send + Sync + 'static {
    /// Counts an attempt and admits it, or says how long to wait. A refused attempt is not counted,
    /// so that asking prolongs no delay.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where a shared store cannot be reached.
    async fn admit(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admission, StoreError>;

    /// Records how an admitted attempt ended.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where a shared store cannot be reached.
    async fn settle(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) -> Result<(), StoreError>;
}

/// Answer of a [`Throttle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The attempt goes on.
    Admitted,
    /// The attempt is answered 429 `too_many_attempts`, with this time as its `Retry-After`.
    Delayed(Duration),
}

/// How an admitted attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The password was right, or the user was registered.
    Succeeded,
    /// The password was wrong, or the registration refused.
    Failed,
    /// An outage or overload on our side, or a refusal of the second step. The attempt is not
    /// counted, because the guesser has learned nothing.
    Undecided,
}
