//! Asks the throttle about attempts at passwords, and reports their results to it.

use super::{Auth, ClientInfo};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    event::FlowRun,
    throttle::{Admission, Attempt, Outcome, Source},
    user::{AuthUser, Login, UserId},
};

/// User of an admitted login, if one was found, and the source of the attempt.
pub(super) struct Candidate<U> {
    pub(super) user: Option<U>,
    /// Id that the throttle counts by. An unknown login has one too, which no user has.
    pub(super) id: UserId,
    pub(super) source: Source,
}

impl<U: AuthUser> Auth<U> {
    /// Asks the throttle, before the work, whether an attempt may go on.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyAttempts`] with the time to wait, or the error of the throttle.
    pub(super) async fn admit(&self, run: &FlowRun, attempt: &Attempt<'_>) -> Result<(), Error> {
        self.admit_at(run, attempt, self.now()).await
    }

    /// Asks as [`admit`](Self::admit) does. Several questions about one attempt share the time
    /// `now`.
    async fn admit_at(&self, run: &FlowRun, attempt: &Attempt<'_>, now: Timestamp) -> Result<(), Error> {
        let Some(throttle) = &self.0.throttle else { return Ok(()) };
        match throttle.admit(attempt, now).await? {
            Admission::Admitted => Ok(()),
            Admission::Delayed(wait) => {
                run.emit_throttled(wait, || self.0.throttle_events.is_first(attempt, wait, now));
                Err(Error::new(ErrorKind::TooManyAttempts).with_retry_after(wait))
            }
        }
    }

    /// Reports the result of an attempt to the throttle, and returns that result.
    pub(super) async fn settle<T>(&self, attempt: &Attempt<'_>, result: Result<T, Error>) -> Result<T, Error> {
        if let Some(throttle) = &self.0.throttle {
            let outcome = result.as_ref().map_or_else(|error| outcome_of(error.kind()), |_| Outcome::Succeeded);
            if let Err(error) = throttle.settle(attempt, outcome, self.now()).await {
                tracing::warn!(target: "portcullis", ?error, "the result of an attempt could not be reported to the throttle");
            }
        }
        result
    }

    /// Finds the user of a login, if the throttle admits the attempt.
    ///
    /// The throttle is asked about the login before the user is looked up, and about the user once
    /// they are found. If the client brings a refresh token of this service, the user is looked up
    /// first, because only then it is known whether the device is this user's.
    pub(super) async fn find_candidate(
        &self,
        run: &FlowRun,
        login: &Login,
        client: &ClientInfo,
    ) -> Result<Candidate<U>, Error> {
        let now = self.now();
        let typed = Attempt::login(login.key(), client.counted_ip().map(Into::into));
        let held = client.refresh_token.as_ref().filter(|_| self.0.throttle.is_some());
        if let Some((owner, session)) = held.and_then(|token| self.session_of(token.expose(), now)) {
            let user = self.user_of(login).await?;
            if user.as_ref().is_some_and(|user| user.id() == owner) {
                let attempt = typed.with_user(&owner).with_device(session);
                self.admit_at(run, &attempt, now).await?;
                let source = attempt.source;
                return Ok(Candidate { user, id: owner, source });
            }
            self.admit_at(run, &typed, now).await?;
            return self.admit_user(run, typed, user, now).await;
        }
        self.admit_at(run, &typed, now).await?;
        match self.user_of(login).await {
            Ok(user) => self.admit_user(run, typed, user, now).await,
            Err(error) => self.settle(&typed, Err(error)).await,
        }
    }

    /// Asks the throttle about the user, after it has admitted their login. An unknown login is
    /// asked about as well, because a shared throttle is a round trip that a client could measure.
    async fn admit_user(
        &self,
        run: &FlowRun,
        typed: Attempt<'_>,
        user: Option<U>,
        now: Timestamp,
    ) -> Result<Candidate<U>, Error> {
        let id = user.as_ref().map_or_else(|| id_of_unknown(&typed), AuthUser::id);
        if let Err(error) = self.admit_at(run, &typed.with_user(&id), now).await {
            return self.settle(&typed, Err(error)).await;
        }
        Ok(Candidate { user, id, source: typed.source })
    }
}

/// Returns the id by which an unknown login is counted. No store gives such an id to a user.
fn id_of_unknown(typed: &Attempt<'_>) -> UserId {
    UserId::from(format!("\0unknown:{}", typed.account.login.unwrap_or_default()))
}

fn outcome_of(kind: ErrorKind) -> Outcome {
    match kind {
        // `TooManyAttempts`: the throttle refused the user after it had admitted the login.
        ErrorKind::Internal | ErrorKind::StoreUnavailable | ErrorKind::Overloaded | ErrorKind::TooManyAttempts => {
            Outcome::Undecided
        }
        _ => Outcome::Failed,
    }
}
