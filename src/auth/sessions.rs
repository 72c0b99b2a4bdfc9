//! Lists the sessions of a user, and ends one: [`Auth::sessions`] and [`Auth::end_session`].

use std::pin::pin;

use super::{Auth, ClientInfo};
use crate::{
    error::{Error, ErrorKind},
    event::{FlowRun, Operation},
    session::{EndReason, Session, SessionId},
    user::{AuthUser, UserId},
};

impl<U: AuthUser> Auth<U> {
    /// Lists the live sessions of a user, the most recently used one first. It takes one store
    /// round trip.
    ///
    /// # Errors
    /// - [`ErrorKind::StoreUnavailable`] if the session store cannot be reached.
    /// - [`ErrorKind::Internal`] if the session store fails otherwise.
    pub async fn sessions(&self, user: &UserId) -> Result<Vec<Session>, Error> {
        let run = self.begin(Operation::ListSessions, &ClientInfo::unknown());
        run.set_user(user);
        let list = async { Ok(self.0.sessions.list(user, self.shared_now().await).await?) };
        let mut sessions = run.run(pin!(list)).await?;
        sessions.sort_by_key(|session| std::cmp::Reverse((session.rotated_at, session.created_at)));
        Ok(sessions)
    }

    /// Ends one session of a user. It takes one store round trip.
    ///
    /// # Errors
    /// - [`ErrorKind::SessionNotFound`] if the user has no live session of this id.
    /// - [`ErrorKind::StoreUnavailable`] if the session store cannot be reached. The session ends
    ///   when the store can be reached again.
    /// - [`ErrorKind::Internal`] if the session store fails otherwise.
    pub async fn end_session(&self, user: &UserId, id: SessionId, client: &ClientInfo) -> Result<(), Error> {
        let run = self.begin(Operation::EndSession, client);
        run.set_session(user, id);
        run.run(pin!(self.end_listed(&run, user, id))).await
    }

    async fn end_listed(&self, run: &FlowRun, user: &UserId, id: SessionId) -> Result<(), Error> {
        let was_live = self.0.revocations.end_named(run, user.clone(), id, EndReason::EndedByUser).await?;
        if was_live { Ok(()) } else { Err(ErrorKind::SessionNotFound.into()) }
    }
}
