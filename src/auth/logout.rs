//! Logging out: the session of the presented tokens, or all sessions of a user.

use std::{pin::pin, sync::Arc};

use super::{Auth, ClientInfo};
use crate::{
    error::Error,
    event::{EndAllReason, FlowRun, Operation},
    session::EndReason,
    store::StoreError,
    token::{Claims, Expiry},
    user::{AuthUser, UserId},
};

/// The least version for a user who no longer exists. It is above every version that a store can hold in a signed 64-bit
/// column.
const ABOVE_ALL_VERSIONS: u64 = i64::MAX.unsigned_abs();

/// The tokens that a logout brings.
///
/// # Examples
///
/// ```
/// use portcullis::auth::Presented;
///
/// # fn tokens(refresh_token: &str, access_token: &str) {
/// let presented = Presented::refresh(refresh_token).with_access(access_token);
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Presented<'a> {
    refresh: Vec<&'a str>,
    access: Option<&'a [u8]>,
}

impl<'a> Presented<'a> {
    /// Returns a refresh token.
    pub fn refresh(token: &'a str) -> Self {
        Self::default().with_refresh(token)
    }

    /// Returns an access token.
    pub fn access(token: &'a str) -> Self {
        Self::default().with_access(token)
    }

    /// Adds a refresh token. A browser may bring several, as cookies of the same name.
    #[must_use]
    pub fn with_refresh(mut self, token: &'a str) -> Self {
        self.refresh.push(token);
        self
    }

    /// Sets the access token. It counts only where no refresh token is ours.
    #[must_use]
    pub fn with_access(self, token: &'a str) -> Self {
        self.with_access_bytes(Some(token.as_bytes()))
    }

    /// Sets the access token as it was in the request.
    pub(crate) fn with_access_bytes(mut self, token: Option<&'a [u8]>) -> Self {
        self.access = token;
        self
    }
}

/// Shows how many tokens there are, and none of them.
impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented")
            .field("refresh", &self.refresh.len())
            .field("access", &self.access.is_some())
            .finish()
    }
}

impl<U: AuthUser> Auth<U> {
    /// Logs out: ends the session of each refresh token (of any generation), or else of the access token.
    ///
    /// Expired tokens count. Tokens that are not ours and sessions that have ended already are no error. It takes one
    /// store round trip for each session.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) and
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal). The session has ended on this node, and ends in the store when
    /// the store can be reached.
    pub async fn logout(&self, presented: &Presented<'_>, client: &ClientInfo) -> Result<(), Error> {
        let run = self.begin(Operation::Logout, client);
        run.run(pin!(self.end_presented(&run, presented))).await
    }

    async fn end_presented(&self, run: &FlowRun, presented: &Presented<'_>) -> Result<(), Error> {
        let now = self.now();
        let mut sessions: Vec<_> = presented.refresh.iter().filter_map(|token| self.session_of(token, now)).collect();
        if sessions.is_empty() {
            let keys = &self.0.issuer.access_keys;
            let claims =
                presented.access.and_then(|token| self.0.verifier.access(keys, token, now, Expiry::Ignored).ok());
            sessions.extend(claims.map(|claims| (claims.subject().clone(), claims.session_id())));
        }
        sessions.dedup();
        if let Some((user, id)) = sessions.first() {
            run.is_of_session(user, *id);
        }
        self.0.revocations.end_each(run, sessions, EndReason::Logout).await.map(drop)
    }

    /// Ends every session of the user whose access token this is. It takes two store round trips.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) and
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal).
    pub async fn logout_all(&self, claims: &Claims, client: &ClientInfo) -> Result<(), Error> {
        let run = self.begin(Operation::LogoutAll, client);
        run.is_of_session(claims.subject(), claims.session_id());
        run.run(pin!(self.end_everything(&run, claims.subject(), EndAllReason::LogoutAll))).await
    }

    /// Ends every session of a user. Apps call it after they have disabled, banned or deleted the user.
    ///
    /// It raises the token version first, so that a refresh or login in flight finds its session ended too. It takes two
    /// store round trips. This node refuses the user's access tokens at once, other nodes after their next poll.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) and
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal): call it again. Where the version was raised, and only the
    /// sessions are left, this node ends them when the store can be reached.
    pub async fn end_sessions_of(&self, user: &UserId, client: &ClientInfo) -> Result<(), Error> {
        let run = self.begin(Operation::EndSessions, client);
        run.is_of(user);
        run.run(pin!(self.end_everything(&run, user, EndAllReason::ByApp))).await
    }

    async fn end_everything(&self, run: &FlowRun, user: &UserId, reason: EndAllReason) -> Result<(), Error> {
        let (auth, user, of) = (self.clone(), user.clone(), run.clone());
        run.see_through(async move {
            let raised = auth.0.users.bump_token_version(&user).await.map_err(StoreError::of_a_write)?;
            let min_version = raised.unwrap_or(ABOVE_ALL_VERSIONS);
            let revocations = Arc::clone(&auth.0.revocations);
            revocations.end_all(user, min_version, EndReason::LogoutAll, Some((reason, of))).await
        })
        .await
    }
}
