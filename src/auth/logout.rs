//! Logs out: [`Auth::logout`], [`Auth::logout_all`] and [`Auth::end_sessions_of`].

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

/// Lowest accepted token version for a user who no longer exists. A store can hold no higher
/// version in a signed 64-bit column.
const ABOVE_ALL_VERSIONS: u64 = i64::MAX.unsigned_abs();

/// Tokens that a logout ends the sessions of.
///
/// # Examples
///
/// A client that holds only its refresh token:
///
/// ```
/// use portcullis::auth::Presented;
///
/// let presented = Presented::refresh("the refresh token");
/// ```
///
/// A request that brings both tokens. The access token is used only if no refresh token is valid:
///
/// ```
/// use portcullis::auth::Presented;
///
/// let presented = Presented::refresh("the refresh token").with_access("the access token");
/// ```
#[derive(Clone, Default)]
pub struct Presented<'a> {
    refresh: Vec<&'a str>,
    access: Option<&'a [u8]>,
}

impl<'a> Presented<'a> {
    /// Presents a refresh token.
    pub fn refresh(token: &'a str) -> Self {
        Self::default().with_refresh(token)
    }

    /// Presents an access token.
    pub fn access(token: &'a str) -> Self {
        Self::default().with_access(token)
    }

    /// Adds a refresh token. A browser may send several, as cookies of the same name.
    #[must_use]
    pub fn with_refresh(mut self, token: &'a str) -> Self {
        self.refresh.push(token);
        self
    }

    /// Sets the access token. It is used only if this service has issued none of the refresh
    /// tokens.
    #[must_use]
    pub fn with_access(self, token: &'a str) -> Self {
        self.with_access_bytes(Some(token.as_bytes()))
    }

    /// Sets the access token, in the bytes of the request.
    pub(crate) fn with_access_bytes(mut self, token: Option<&'a [u8]>) -> Self {
        self.access = token;
        self
    }
}

/// Shows how many tokens there are, and never a token.
impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented")
            .field("refresh", &self.refresh.len())
            .field("access", &self.access.is_some())
            .finish()
    }
}

impl<U: AuthUser> Auth<U> {
    /// Logs out: ends the session of each presented refresh token. Without a refresh token of this
    /// service, it ends the session of the access token.
    ///
    /// A token of any generation is enough, also an expired one. A token of another service and a
    /// session that has already ended are no error. It takes one store round trip for each session.
    ///
    /// # Errors
    /// - [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) if the session store
    ///   cannot be reached. The session has ended on this node. It ends in the store when the store
    ///   can be reached again.
    /// - [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the session store fails otherwise.
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
            run.set_session(user, *id);
        }
        self.0.revocations.end_each(run, sessions, EndReason::Logout).await.map(drop)
    }

    /// Logs out everywhere: ends every session of the user of an access token. It takes two store
    /// round trips.
    ///
    /// # Errors
    /// - [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) if a store cannot be
    ///   reached. Call it again. If the token version was raised, this node ends the sessions in
    ///   the store when the store can be reached again.
    /// - [`ErrorKind::Internal`](crate::ErrorKind::Internal) if a store fails otherwise.
    pub async fn logout_all(&self, claims: &Claims, client: &ClientInfo) -> Result<(), Error> {
        let run = self.begin(Operation::LogoutAll, client);
        run.set_session(claims.subject(), claims.session_id());
        run.run(pin!(self.end_everything(&run, claims.subject(), EndAllReason::LogoutAll))).await
    }

    /// Ends every session of a user. An app calls it after it has disabled, banned or deleted the
    /// user.
    ///
    /// It raises the token version before it ends the sessions, so that a refresh or a login that
    /// runs at the same time ends too. It takes two store round trips. This node refuses the user's
    /// access tokens at once, other nodes after their next poll.
    ///
    /// # Errors
    /// - [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) if a store cannot be
    ///   reached. Call it again. If the token version was raised, this node ends the sessions in
    ///   the store when the store can be reached again.
    /// - [`ErrorKind::Internal`](crate::ErrorKind::Internal) if a store fails otherwise.
    pub async fn end_sessions_of(&self, user: &UserId, client: &ClientInfo) -> Result<(), Error> {
        let run = self.begin(Operation::EndSessions, client);
        run.set_user(user);
        run.run(pin!(self.end_everything(&run, user, EndAllReason::ByApp))).await
    }

    async fn end_everything(&self, run: &FlowRun, user: &UserId, reason: EndAllReason) -> Result<(), Error> {
        let (auth, user, of) = (self.clone(), user.clone(), run.clone());
        run.run_to_the_end(async move {
            let raised = auth.0.users.bump_token_version(&user).await.map_err(StoreError::of_a_write)?;
            let min_version = raised.unwrap_or(ABOVE_ALL_VERSIONS);
            let revocations = Arc::clone(&auth.0.revocations);
            revocations.end_all(user, min_version, EndReason::LogoutAll, Some((reason, of))).await
        })
        .await
    }
}
