//! Ending sessions: on this node at once, in the store, and then on the other nodes.

use std::sync::Arc;

use super::{Revocations, outbox::Unfinished};
use crate::{
    error::Error,
    event::{EndAllReason, EventKind, FlowRun},
    session::{EndReason, Revocation, Session, SessionId},
    store::{EndAll, StoreError},
    user::UserId,
};

impl Revocations {
    /// Ends a session on this node at once, and in the store, now or when it can be reached. Returns `false` where the
    /// session was not live.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) and
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal).
    pub(crate) async fn end(
        self: &Arc<Self>,
        run: &FlowRun,
        user: UserId,
        id: SessionId,
        reason: EndReason,
    ) -> Result<bool, Error> {
        self.end_each(run, vec![(user, id)], reason).await
    }

    /// Ends several sessions, as [`end`](Self::end) does. Returns whether any was live.
    ///
    /// # Errors
    /// As for [`end`](Self::end): the first failure. The other sessions are ended all the same.
    pub(crate) async fn end_each(
        self: &Arc<Self>,
        run: &FlowRun,
        sessions: Vec<(UserId, SessionId)>,
        reason: EndReason,
    ) -> Result<bool, Error> {
        // Before the store is asked, so that this node admits nothing more even if the store's answer is lost.
        let sessions: Vec<_> = sessions.into_iter().map(|(user, id)| (user, id, self.revoke_session(id))).collect();
        let (this, of) = (Arc::clone(self), run.clone());
        run.see_through(async move {
            let at = this.shared_now().await;
            let mut result = Ok(false);
            for (user, id, revocation) in sessions {
                of.is_of_session(&user, id);
                let unfinished = Unfinished::Session(user, id, this.ended(reason, at), of.clone());
                match (this.finish(unfinished).await, &mut result) {
                    (Ok(was_live), result) => {
                        this.publish(revocation);
                        if let Ok(any) = result {
                            *any |= was_live;
                        }
                    }
                    (Err(error), Ok(_)) => result = Err(error),
                    (Err(_), Err(_)) => {}
                }
            }
            result
        })
        .await
    }

    /// Ends a session that a client has named by its id. Returns `false` where the user has no live session of that id.
    ///
    /// Unlike [`end`](Self::end), it revokes nothing before the store has said whose session it is.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub(crate) async fn end_named(
        self: &Arc<Self>,
        run: &FlowRun,
        user: UserId,
        id: SessionId,
        reason: EndReason,
    ) -> Result<bool, Error> {
        let (this, of) = (Arc::clone(self), run.clone());
        run.see_through(async move {
            let at = this.shared_now().await;
            let was_live = this.finish(Unfinished::Session(user, id, this.ended(reason, at), of)).await?;
            if was_live {
                this.publish(this.revoke_session(id));
            }
            Ok(was_live)
        })
        .await
    }

    /// Ends all sessions of a user that have lower versions, on this node at once, and in the store, now or when it can
    /// be reached. Emits the event where there is one.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub(crate) async fn end_all(
        &self,
        user: UserId,
        min_version: u64,
        reason: EndReason,
        event: Option<(EndAllReason, FlowRun)>,
    ) -> Result<(), Error> {
        let revocation = self.revoke_versions(&user, min_version);
        let at = self.shared_now().await;
        let all = EndAll::new(user, min_version, self.ended(reason, at));
        self.finish(Unfinished::All(all, event)).await?;
        self.publish(revocation);
        Ok(())
    }

    /// Ends all sessions of a user that have lower versions, except one, which it returns. What the store could not take
    /// is written later without that exception, because the client was told that the change failed.
    ///
    /// # Errors
    /// As for [`end`](Self::end).
    pub(crate) async fn end_others(
        &self,
        all: EndAll,
        (reason, run): (EndAllReason, &FlowRun),
    ) -> Result<Option<Session>, Error> {
        let result = match self.sessions.end_all(&all).await {
            Err(error) if error.is_unavailable() => self.sessions.end_all(&all).await,
            result => result,
        };
        self.set.touch_user(&all.user_id);
        if result.is_ok() {
            self.outbox().forget_covered(&all, true);
        } else if result.as_ref().is_err_and(StoreError::is_unavailable) {
            let EndAll { user_id, min_version, ended, .. } = all;
            let all = EndAll::new(user_id, min_version, ended);
            self.put_aside(Unfinished::All(all, Some((reason, run.clone()))));
        }
        result.map_err(StoreError::of_a_write)
    }

    /// Publishes a revocation to the other nodes, once the store has it. No caller waits for that, because a feed may hang.
    pub(crate) fn publish(&self, revocation: Revocation) {
        let Some(feed) = self.settings.feed.clone() else { return };
        self.events.tasks.spawn(async move {
            if let Err(error) = feed.publish(&revocation).await {
                tracing::warn!(
                    target: "portcullis",
                    ?error,
                    "a revocation could not be published: other nodes see it at their next poll"
                );
            }
        });
    }

    /// Brings an ending into the store, and asks a second time where the store did not answer. The polling task brings
    /// what the store cannot take now. Returns whether it ended anything.
    async fn finish(&self, unfinished: Unfinished) -> Result<bool, Error> {
        let result = match self.bring(&unfinished).await {
            // A store recognises its own ending, and answers as it did the first time.
            Err(error) if error.is_unavailable() => self.bring(&unfinished).await,
            result => result,
        };
        if result.as_ref().is_err_and(StoreError::is_unavailable) {
            self.put_aside(unfinished);
        }
        result.map_err(StoreError::of_a_write)
    }

    /// Asks the store once, and emits what it has ended.
    async fn bring(&self, unfinished: &Unfinished) -> Result<bool, StoreError> {
        match unfinished {
            Unfinished::Session(user, id, ended, run) => {
                let result = self.sessions.end(user, id, *ended).await;
                // What the store has answered before counts no longer, whatever it has done now.
                self.set.touch_session(id);
                let was_live = result?;
                if was_live {
                    run.emit_of(EventKind::SessionEnded { reason: ended.reason }, user, *id);
                }
                Ok(was_live)
            }
            Unfinished::All(all, event) => {
                let result = self.sessions.end_all(all).await;
                self.set.touch_user(&all.user_id);
                result?;
                self.outbox().forget_covered(all, event.is_some());
                if let Some((reason, run)) = event {
                    run.emit(EventKind::SessionsEnded { reason: *reason, kept: None });
                }
                Ok(true)
            }
        }
    }

    /// Brings an ending that was put aside. Other nodes ask for what ended lately, so it ends now.
    pub(super) async fn bring_late(&self, unfinished: &Unfinished) -> Result<(), StoreError> {
        let mut late = unfinished.clone();
        let now = self.shared_now().await;
        late.restamp(|reason| self.ended(reason, now));
        self.bring(&late).await.map(drop)
    }
}
