//! Ending sessions: logout, logout everywhere, one device, all of a user.

use super::{Auth, to_the_end};
use crate::{
    error::{Error, ErrorKind},
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
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]: the session may not have ended.
    pub async fn logout(&self, refresh_token: Option<&str>, access_token: Option<&str>) -> Result<(), Error> {
        let now = self.now();
        let issuer = &self.0.issuer;
        let by_refresh = refresh_token.and_then(|token| {
            let claims = self.0.verifier.refresh(&issuer.refresh_keys, token, now, Expiry::Ignored).ok()?;
            Some((claims.subject, claims.session_id))
        });
        let by_access = || {
            let claims = self.0.verifier.access(&issuer.access_keys, access_token?, now, Expiry::Ignored).ok()?;
            Some((claims.subject().clone(), claims.session_id()))
        };
        let Some((user, session)) = by_refresh.or_else(by_access) else {
            return Ok(());
        };
        // First here, so that this node admits nothing more even if the store's answer is lost.
        let ending = self.revoke_session(session, now);
        self.0.sessions.end(&user, &session, self.ended(EndReason::Logout, now)).await?;
        self.publish(&ending).await;
        Ok(())
    }

    /// Ends every session of the user whose access token this is. Two store round trips.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub async fn logout_all(&self, claims: &Claims) -> Result<(), Error> {
        self.end_sessions_of(claims.subject()).await
    }

    /// Ends every session of a user: for apps that disable, ban or delete users, after they have written that.
    ///
    /// The token version is raised first, so that a refresh or login in flight finds its session ended too. Two store
    /// round trips. This node refuses the user's access tokens at once, others after their next poll.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`]: call it again.
    pub async fn end_sessions_of(&self, user: &UserId) -> Result<(), Error> {
        let (auth, user) = (self.clone(), user.clone());
        to_the_end(async move {
            let min_version = auth.0.users.bump_token_version(&user).await?.unwrap_or(ABOVE_ALL_VERSIONS);
            let now = auth.now();
            let ending = auth.revoke_versions(&user, min_version, now);
            let all = EndAll::new(user, min_version, auth.ended(EndReason::LogoutAll, now));
            auth.0.sessions.end_all(&all).await?;
            auth.publish(&ending).await;
            Ok(())
        })
        .await
    }

    /// Lists the user's live sessions, the one used last first.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub async fn sessions(&self, user: &UserId) -> Result<Vec<Session>, Error> {
        let mut sessions = self.0.sessions.list(user, self.now()).await?;
        sessions.sort_by_key(|session| std::cmp::Reverse((session.rotated_at, session.created_at)));
        Ok(sessions)
    }

    /// Ends one session of a user.
    ///
    /// # Errors
    /// [`ErrorKind::SessionNotFound`] where the user has no live session of this id;
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub async fn end_session(&self, user: &UserId, id: SessionId) -> Result<(), Error> {
        let now = self.now();
        if !self.0.sessions.end(user, &id, self.ended(EndReason::EndedByUser, now)).await? {
            return Err(ErrorKind::SessionNotFound.into());
        }
        let ending = self.revoke_session(id, now);
        self.publish(&ending).await;
        Ok(())
    }
}
