//! Attempts at passwords, between the throttle and the flows.

use super::{Auth, ClientInfo};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    event::FlowRun,
    throttle::{Admission, Attempt, Outcome, Source},
    user::{AuthUser, Login, UserId},
};

/// The user of an admitted login, if there is one, and where the attempt came from.
pub(super) struct Candidate<U> {
    pub(super) user: Option<U>,
    pub(super) id: Option<UserId>,
    pub(super) source: Source,
}

impl<U: AuthUser> Auth<U> {
    /// Lets an attempt go on, or says how long to wait; asked before the work.
    pub(super) async fn admit(&self, run: &FlowRun, attempt: &Attempt<'_>) -> Result<(), Error> {
        self.admit_at(run, attempt, self.now()).await
    }

    /// As [`admit`](Self::admit), at a time that several questions about one attempt share.
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

    /// Finds the user of a login, where the throttle lets the attempt go on.
    ///
    /// The throttle is asked about the login before anything is looked up, and about the user once
    /// they are found. A request with a refresh token of ours is looked up first, because only then
    /// it is known whether the device is this user's.
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
                return Ok(Candidate { user, id: Some(owner), source });
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

    /// Asks about a user, once their login was admitted.
    async fn admit_user(
        &self,
        run: &FlowRun,
        typed: Attempt<'_>,
        user: Option<U>,
        now: Timestamp,
    ) -> Result<Candidate<U>, Error> {
        let id = user.as_ref().map(AuthUser::id);
        if let Some(id) = &id
            && let Err(error) = self.admit_at(run, &typed.with_user(id), now).await
        {
            return self.settle(&typed, Err(error)).await;
        }
        Ok(Candidate { user, id, source: typed.source })
    }
}

fn outcome_of(kind: ErrorKind) -> Outcome {
    match kind {
        // The last one: the throttle refused the user after it had admitted the login.
        ErrorKind::Internal | ErrorKind::StoreUnavailable | ErrorKind::Overloaded | ErrorKind::TooManyAttempts => {
            Outcome::Undecided
        }
        _ => Outcome::Failed,
    }
}
