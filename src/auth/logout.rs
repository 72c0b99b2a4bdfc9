//! Ending sessions: logout, logout everywhere, one device, all of a user.

use std::pin::pin;

use super::{
    Auth, ClientInfo,
    run::{FlowRun, of_a_write},
    unfinished::Unfinished,
};
use crate::{
    error::{Error, ErrorKind},
    event::{EndAllReason, Operation},
    session::{EndReason, Session, SessionId},
    store::EndAll,
    token::{Claims, Expiry},
    user::{AuthUser, UserId},
};

/// The floor for a user who no longer exists: above every version that a store can hold in a signed 64-bit column.
const ABOVE_ALL_VERSIONS: u64 = i64::MAX.unsigned_abs();

impl<U: AuthUser> Auth<U> {
    /// Logs out: ends the session of the refresh token (of any generation), or else of the access token. Expired tokens
    /// serve; tokens that are not ours and sessions that have ended already are no error. One store round trip.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]: the session has ended on this node, and ends in the
    /// store when it can be reached.
    pub async fn logout(&self, refresh_token: Option<&str>, access_token: Option<&str>) -> Result<(), Error> {
        self.logout_from(refresh_token, access_token, &ClientInfo::unknown()).await
    }

    /// As [`logout`](Self::logout), with where it comes from, for [events](crate::event).
    ///
    /// # Errors
    /// As [`logout`](Self::logout).
    pub async fn logout_from(
        &self,
        refresh_token: Option<&str>,
        access_token: Option<&str>,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        self.logout_presented(refresh_token.as_slice(), access_token.map(str::as_bytes), client).await
    }

    /// Ends the session of each refresh token that is ours, or else of the access token.
    pub(crate) async fn logout_presented(
        &self,
        refresh_tokens: &[&str],
        access_token: Option<&[u8]>,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        let flow = self.flow(Operation::Logout, client);
        self.run(&flow, pin!(self.end_presented(&flow, refresh_tokens, access_token))).await
    }

    async fn end_presented(
        &self,
        flow: &FlowRun,
        refresh_tokens: &[&str],
        access_token: Option<&[u8]>,
    ) -> Result<(), Error> {
        let now = self.now();
        let mut sessions: Vec<_> = refresh_tokens.iter().filter_map(|token| self.session_of(token, now)).collect();
        if sessions.is_empty() {
            let keys = &self.0.issuer.access_keys;
            let claims = access_token.and_then(|token| self.0.verifier.access(keys, token, now, Expiry::Ignored).ok());
            sessions.extend(claims.map(|claims| (claims.subject().clone(), claims.session_id())));
        }
        sessions.dedup();
        // On this node each of them ends, whatever the store can take.
        for (_, id) in &sessions {
            self.revoke_session(*id, now);
        }
        let mut first_failure = Ok(());
        for (user, id) in sessions {
            flow.is_of_session(&user, id);
            let ended = self.end_one(flow, user, id, EndReason::Logout).await;
            first_failure = first_failure.and(ended.map(drop));
        }
        first_failure
    }

    /// Ends a session on this node at once and in the store, now or when it can be reached; `false` where it was not live.
    pub(super) async fn end_one(
        &self,
        flow: &FlowRun,
        user: UserId,
        id: SessionId,
        reason: EndReason,
    ) -> Result<bool, Error> {
        let (auth, of) = (self.clone(), flow.clone());
        self.see_through(flow, async move {
            // First here, so that this node admits nothing more even if the store's answer is lost.
            let ending = auth.revoke_session(id, auth.now());
            let at = auth.shared_now().await;
            let unfinished = Unfinished::Session(user, id, auth.ended(reason, at), of);
            let live = auth.finish(unfinished).await?;
            auth.publish(ending);
            Ok(live)
        })
        .await
    }

    /// Ends every session of the user whose access token this is. Two store round trips.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub async fn logout_all(&self, claims: &Claims) -> Result<(), Error> {
        self.logout_all_from(claims, &ClientInfo::unknown()).await
    }

    /// As [`logout_all`](Self::logout_all), with where it comes from, for [events](crate::event).
    ///
    /// # Errors
    /// As [`logout_all`](Self::logout_all).
    pub async fn logout_all_from(&self, claims: &Claims, client: &ClientInfo) -> Result<(), Error> {
        let flow = self.flow(Operation::LogoutAll, client);
        flow.is_of_session(claims.subject(), claims.session_id());
        self.run(&flow, pin!(self.end_everything(&flow, claims.subject(), EndAllReason::LogoutAll))).await
    }

    /// Ends every session of a user: for apps that disable, ban or delete users, after they have written that.
    ///
    /// The token version is raised first, so that a refresh or login in flight finds its session ended too. Two store
    /// round trips. This node refuses the user's access tokens at once, others after their next poll.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]: call it again, unless the version was raised and only
    /// the sessions are left; then this node ends them when the store can be reached.
    pub async fn end_sessions_of(&self, user: &UserId) -> Result<(), Error> {
        let flow = self.flow(Operation::EndSessions, &ClientInfo::unknown());
        flow.is_of(user);
        self.run(&flow, pin!(self.end_everything(&flow, user, EndAllReason::ByApp))).await
    }

    async fn end_everything(&self, flow: &FlowRun, user: &UserId, reason: EndAllReason) -> Result<(), Error> {
        let (auth, user, of) = (self.clone(), user.clone(), flow.clone());
        self.see_through(flow, async move {
            let bumped = auth.0.users.bump_token_version(&user).await.map_err(of_a_write)?;
            let min_version = bumped.unwrap_or(ABOVE_ALL_VERSIONS);
            let ending = auth.revoke_versions(&user, min_version, auth.now());
            let at = auth.shared_now().await;
            let all = EndAll::new(user, min_version, auth.ended(EndReason::LogoutAll, at));
            auth.finish(Unfinished::All(all, Some((reason, of)))).await?;
            auth.publish(ending);
            Ok(())
        })
        .await
    }

    /// Lists the user's live sessions, the one used last first.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub async fn sessions(&self, user: &UserId) -> Result<Vec<Session>, Error> {
        let flow = self.flow(Operation::ListSessions, &ClientInfo::unknown());
        flow.is_of(user);
        let list = async { Ok(self.0.sessions.list(user, self.shared_now().await).await?) };
        let mut sessions = self.run(&flow, pin!(list)).await?;
        sessions.sort_by_key(|session| std::cmp::Reverse((session.rotated_at, session.created_at)));
        Ok(sessions)
    }

    /// Ends one session of a user. One store round trip.
    ///
    /// # Errors
    /// [`ErrorKind::SessionNotFound`] where the user has no live session of this id;
    /// [`ErrorKind::StoreUnavailable`]: it ends when the store can be reached; and [`ErrorKind::Internal`].
    pub async fn end_session(&self, user: &UserId, id: SessionId) -> Result<(), Error> {
        self.end_session_from(user, id, &ClientInfo::unknown()).await
    }

    /// As [`end_session`](Self::end_session), with where it comes from, for [events](crate::event).
    ///
    /// # Errors
    /// As [`end_session`](Self::end_session).
    pub async fn end_session_from(&self, user: &UserId, id: SessionId, client: &ClientInfo) -> Result<(), Error> {
        let flow = self.flow(Operation::EndSession, client);
        flow.is_of_session(user, id);
        self.run(&flow, pin!(self.end_listed(&flow, user, id))).await
    }

    async fn end_listed(&self, flow: &FlowRun, user: &UserId, id: SessionId) -> Result<(), Error> {
        let (auth, user, of) = (self.clone(), user.clone(), flow.clone());
        self.see_through(flow, async move {
            let at = auth.shared_now().await;
            // Not `end_one`: an id of somebody else's must not be revoked before the store says whose it is.
            if !auth.finish(Unfinished::Session(user, id, auth.ended(EndReason::EndedByUser, at), of)).await? {
                return Err(ErrorKind::SessionNotFound.into());
            }
            auth.publish(auth.revoke_session(id, auth.now()));
            Ok(())
        })
        .await
    }
}
