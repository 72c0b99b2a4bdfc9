//! Attempts at passwords, between the throttle and the flows.

use super::{Auth, flow::Flow};
use crate::{
    error::{Error, ErrorKind},
    throttle::{Admission, Attempt, Outcome},
    user::AuthUser,
};

impl<U: AuthUser> Auth<U> {
    /// Lets an attempt go on, or says how long to wait; asked before the work.
    pub(super) async fn admit(&self, flow: &Flow, attempt: &Attempt<'_>) -> Result<(), Error> {
        let Some(throttle) = &self.0.throttle else { return Ok(()) };
        let now = self.now();
        match throttle.admit(attempt, now).await? {
            Admission::Admitted => Ok(()),
            Admission::Delayed(wait) => {
                self.tell_of_throttle(flow, wait, || self.0.refusals_told.is_news(attempt, wait, now));
                Err(Error::new(ErrorKind::TooManyAttempts).with_retry_after(wait))
            }
        }
    }

    /// Tells the throttle how an attempt ended, and hands the result on.
    pub(super) async fn settle<T>(&self, attempt: &Attempt<'_>, result: Result<T, Error>) -> Result<T, Error> {
        if let Some(throttle) = &self.0.throttle {
            let outcome = result.as_ref().map_or_else(|error| outcome_of(error.kind()), |_| Outcome::Succeeded);
            if let Err(error) = throttle.settle(attempt, outcome, self.now()).await {
                tracing::warn!(target: "portcullis", ?error, "the throttle did not learn how an attempt ended");
            }
        }
        result
    }
}

fn outcome_of(kind: ErrorKind) -> Outcome {
    match kind {
        ErrorKind::Internal | ErrorKind::StoreUnavailable | ErrorKind::Overloaded => Outcome::Undecided,
        _ => Outcome::Failed,
    }
}
