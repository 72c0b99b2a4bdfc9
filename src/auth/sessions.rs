//! The user's sessions: listing them and ending one.

use std::pin::pin;

use super::{Auth, ClientInfo};
use crate::{
    error::{Error, ErrorKind},
    event::{FlowRun, Operation},
    session::{EndReason, Session, SessionId},
    user::{AuthUser, UserId},
};

impl<U: AuthUser> Auth<U> {
    /// Lists the user's live sessions, the one used last first. It takes one store round trip.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub async fn sessions(&self, user: &UserId) -> Result<Vec<Session>, Error> {
        let run = self.begin(Operation::ListSessions, &ClientInfo::unknown());
        run.is_of(user);
        let list = async { Ok(self.0.sessions.list(user, self.shared_now().await).await?) };
        let mut sessions = run.run(pin!(list)).await?;
        sessions.sort_by_key(|session| std::cmp::Reverse((session.rotated_at, session.created_at)));
        Ok(sessions)
    }

    /// Ends one session of a user. It takes one store round trip.
    ///
    /// # Errors
    /// - [`ErrorKind::SessionNotFound`] where the user has no live session of this id
    /// - [`ErrorKind::StoreUnavailable`]: the session ends when the store can be reached
    /// - [`ErrorKind::Internal`]
    pub async fn end_session(&self, user: &UserId, id: SessionId, client: &ClientInfo) -> Result<(), Error> {
        let run = self.begin(Operation::EndSession, client);
        run.is_of_session(user, id);
        run.run(pin!(self.end_listed(&run, user, id))).await
    }

    async fn end_listed(&self, run: &FlowRun, user: &UserId, id: SessionId) -> Result<(), Error> {
        let was_live = self.0.revocations.end_named(run, user.clone(), id, EndReason::EndedByUser).await?;
        if was_live { Ok(()) } else { Err(ErrorKind::SessionNotFound.into()) }
    }
}
