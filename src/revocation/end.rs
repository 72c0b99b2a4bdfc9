//! Ends sessions: on this node at once, then in the store, and then on the other nodes.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{Revocations, outbox::PendingEnd};
use crate::{
    error::Error,
    event::{EndAllReason, EventKind, FlowRun},
    session::{EndReason, Revocation, Session, SessionId},
    store::{EndAll, StoreError},
    user::UserId,
};

/// How long a feed may take to publish. Without a limit, a feed that hangs would keep each
/// revocation in memory.
const MAX_PUBLISH: Duration = Duration::from_secs(10);

impl Revocations {
    /// Ends a session, on this node at once, and in the store now or as soon as it can be reached.
    /// Returns `false` if the session was not live.
    ///
    /// # Errors
    /// - [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) if the store cannot be
    ///   reached. The outbox keeps the end.
    /// - [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the store fails otherwise.
    pub(crate) async fn end(
        self: &Arc<Self>,
        run: &FlowRun,
        user: UserId,
        id: SessionId,
        reason: EndReason,
    ) -> Result<bool, Error> {
        self.end_each(run, vec![(user, id)], reason).await
    }

    /// Ends several sessions, as [`end`](Self::end) does. Returns whether any of them was live.
    ///
    /// # Errors
    /// Returns the first error of [`end`](Self::end). The other sessions are ended all the same.
    pub(crate) async fn end_each(
        self: &Arc<Self>,
        run: &FlowRun,
        sessions: Vec<(UserId, SessionId)>,
        reason: EndReason,
    ) -> Result<bool, Error> {
        // This node revokes first, so that it admits no further request even if the answer of the
        // store is lost.
        let sessions: Vec<_> = sessions.into_iter().map(|(user, id)| (user, id, self.revoke_session(id))).collect();
        let (this, of) = (Arc::clone(self), run.clone());
        run.run_to_the_end(async move {
            let at = this.shared_now().await;
            let mut result = Ok(false);
            for (user, id, revocation) in sessions {
                of.set_session(&user, id);
                let pending = PendingEnd::Session(user, id, this.ended(reason, at), of.clone());
                match (this.write_or_defer(pending).await, &mut result) {
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

    /// Ends a session whose id came from a client. Returns `false` if the user has no live session
    /// of that id.
    ///
    /// Unlike [`end`](Self::end), it revokes nothing before the store has confirmed the owner of
    /// the session.
    ///
    /// # Errors
    /// Returns the errors of [`end`](Self::end).
    pub(crate) async fn end_named(
        self: &Arc<Self>,
        run: &FlowRun,
        user: UserId,
        id: SessionId,
        reason: EndReason,
    ) -> Result<bool, Error> {
        let (this, of) = (Arc::clone(self), run.clone());
        run.run_to_the_end(async move {
            let at = this.shared_now().await;
            let was_live = this.write_or_defer(PendingEnd::Session(user, id, this.ended(reason, at), of)).await?;
            if was_live {
                this.publish(this.revoke_session(id));
            }
            Ok(was_live)
        })
        .await
    }

    /// Ends all sessions of a user with lower token versions, on this node at once, and in the
    /// store now or as soon as it can be reached. Emits `event`, if there is one, when the store
    /// has ended them.
    ///
    /// # Errors
    /// Returns the errors of [`end`](Self::end).
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
        self.write_or_defer(PendingEnd::All(all, event)).await?;
        self.publish(revocation);
        Ok(())
    }

    /// Ends all sessions of a user with lower token versions, except one, which it returns. If the
    /// store cannot be reached, the outbox ends all of them later without that exception, because
    /// the client gets an error.
    ///
    /// # Errors
    /// Returns the errors of [`end`](Self::end).
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
            self.defer(PendingEnd::All(all, Some((reason, run.clone()))));
        }
        result.map_err(StoreError::of_a_write)
    }

    /// Publishes a revocation to the other nodes, after the store has it. The caller does not wait,
    /// because a feed may hang.
    pub(crate) fn publish(&self, revocation: Revocation) {
        let Some(feed) = self.settings.feed.clone() else { return };
        self.events.tasks.spawn(async move {
            let published = match timeout(MAX_PUBLISH, feed.publish(&revocation)).await {
                Ok(published) => published,
                Err(_) => Err(StoreError::unavailable("the feed did not answer in time")),
            };
            if let Err(error) = published {
                tracing::warn!(
                    target: "portcullis",
                    ?error,
                    "a revocation could not be published: other nodes see it at their next poll"
                );
            }
        });
    }

    /// Writes an end to the store, and tries once more if the store does not answer. Leaves it in
    /// the outbox if that fails too. Returns whether it ended anything.
    async fn write_or_defer(&self, pending: PendingEnd) -> Result<bool, Error> {
        let result = match self.write(&pending).await {
            // A store recognises the end that it has just written, and answers as it did the first
            // time.
            Err(error) if error.is_unavailable() => self.write(&pending).await,
            result => result,
        };
        if result.as_ref().is_err_and(StoreError::is_unavailable) {
            self.defer(pending);
        }
        result.map_err(StoreError::of_a_write)
    }

    /// Writes an end to the store once, and emits the event of what has ended.
    async fn write(&self, pending: &PendingEnd) -> Result<bool, StoreError> {
        match pending {
            PendingEnd::Session(user, id, ended, run) => {
                let result = self.sessions.end(user, id, *ended).await;
                // What the store has answered before no longer counts, whatever it has done now.
                self.set.touch_session(id);
                let was_live = result?;
                if was_live {
                    run.emit_for(EventKind::SessionEnded { reason: ended.reason }, user, *id);
                }
                Ok(was_live)
            }
            PendingEnd::All(all, event) => {
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

    /// Writes an end from the outbox. It is stamped with the current time, because polls of other
    /// nodes read only what has ended lately.
    pub(super) async fn write_late(&self, pending: &PendingEnd) -> Result<(), StoreError> {
        let mut late = pending.clone();
        let now = self.shared_now().await;
        late.restamp(|reason| self.ended(reason, now));
        self.write(&late).await.map(drop)
    }
}
