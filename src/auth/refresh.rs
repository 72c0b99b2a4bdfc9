//! Refreshes a session: [`Auth::refresh`].

use std::pin::pin;

use super::{Auth, ClientInfo, LoggedIn};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    event::{EventKind, FlowRun, Operation, RefreshRefusal},
    session::{EndReason, RotateOutcome, Rotation, Session, TokenId},
    store::StoreError,
    token::{Expiry, RefreshClaims, TokenFault},
    user::AuthUser,
};

/// Number of reads of the user when password changes overtake a refresh.
const MAX_STALE_READS: usize = 3;

impl<U: AuthUser> Auth<U> {
    /// Exchanges a refresh token for the next pair of tokens.
    ///
    /// Reads the user first, so that new roles, a disabled user and a deleted user take effect
    /// here. The session store then decides in one atomic operation, as
    /// [`decide`](crate::session::decide) describes. It takes two store round trips.
    ///
    /// # Errors
    /// - [`ErrorKind::RefreshExpired`] if the token was valid until its `exp`.
    /// - [`ErrorKind::RefreshReused`] if the token was used before. Its session has ended.
    /// - [`ErrorKind::RefreshInvalid`] if this service did not issue the token, if its session has
    ///   ended or does not exist, if a password change has replaced it, or if the user is deleted
    ///   or disabled.
    /// - [`ErrorKind::StoreUnavailable`] if a store cannot be reached. The same token works when
    ///   the store is back.
    /// - [`ErrorKind::Internal`] if a store fails otherwise, or if the user's claims do not fit
    ///   into a token.
    pub async fn refresh(&self, refresh_token: &str, client: &ClientInfo) -> Result<LoggedIn<U>, Error> {
        let run = self.begin(Operation::Refresh, client);
        run.run(pin!(self.rotate_presented(&run, refresh_token))).await
    }

    async fn rotate_presented(&self, run: &FlowRun, refresh_token: &str) -> Result<LoggedIn<U>, Error> {
        // The time is read before the store is asked. A session that ends meanwhile therefore ends
        // after the `iat` of the new tokens.
        let now = self.now();
        let keys = &self.0.issuer.refresh_keys;
        let claims =
            self.0.verifier.refresh(keys, refresh_token, now, Expiry::Checked).map_err(|fault| match fault {
                TokenFault::Expired => ErrorKind::RefreshExpired,
                TokenFault::Invalid => ErrorKind::RefreshInvalid,
            })?;
        run.set_session(&claims.subject, claims.session_id);
        let next_token_id = TokenId::random()?;
        for _ in 0..MAX_STALE_READS {
            let user = self.0.users.find_by_id(&claims.subject).await?;
            let Some(user) = user.filter(|user| !user.is_disabled()) else {
                return Err(self.end_for_gone_user(run, &claims).await);
            };
            // A token that cannot be made fails here, before the presented token is used up.
            self.check_token_content(&user)?;
            // The grace is counted from here, so that a slow read of the user does not use it up.
            let at = self.shared_now().await;
            let rotation = self.rotation(&claims, user.token_version(), next_token_id, at);
            let (auth, of, claims) = (self.clone(), run.clone(), claims.clone());
            let rotated = async move { auth.rotate(&of, &claims, &rotation).await };
            let Some(session) = run.run_to_the_end(rotated).await? else {
                continue;
            };
            let tokens = self.tokens(&user, &session, now)?;
            return Ok(LoggedIn { user, tokens });
        }
        Err(Error::new(ErrorKind::StoreUnavailable)
            .with_source("the user store answers older token versions than the sessions have"))
    }

    /// Asks the store to rotate the session, and emits the event. It runs to its end even if the
    /// client hangs up, so that a thief cannot suppress the alarm. Returns `None` if the user was
    /// read too early.
    async fn rotate(
        &self,
        run: &FlowRun,
        claims: &RefreshClaims,
        rotation: &Rotation,
    ) -> Result<Option<Session>, Error> {
        let (session, kind) = match self.ask_store(rotation).await? {
            RotateOutcome::Rotated(session) => (session, EventKind::Refreshed {}),
            RotateOutcome::Replayed(session) => (session, EventKind::Replayed {}),
            RotateOutcome::StaleUser => return Ok(None),
            refused => return Err(self.refusal(run, &refused, claims, rotation.token_version).await),
        };
        run.emit(kind);
        Ok(Some(session))
    }

    fn rotation(&self, claims: &RefreshClaims, token_version: u64, next_token_id: TokenId, now: Timestamp) -> Rotation {
        Rotation {
            user_id: claims.subject.clone(),
            session_id: claims.session_id,
            generation: claims.generation,
            token_id: claims.token_id,
            token_version,
            next_token_id,
            now,
            grace: self.0.lifetimes.grace,
            idle: self.0.lifetimes.idle,
            tombstone: self.0.revocations.tombstone(),
        }
    }

    /// Asks the store, and once more where the first answer was lost. The store recognises its own
    /// `next_token_id` and the session that it has just ended.
    async fn ask_store(&self, rotation: &Rotation) -> Result<RotateOutcome, Error> {
        match self.0.sessions.rotate(rotation).await {
            Err(error) if error.is_unavailable() => {
                self.0.sessions.rotate(rotation).await.map_err(StoreError::of_a_write)
            }
            answer => answer.map_err(StoreError::of_a_write),
        }
    }

    /// Ends the session of a user who is deleted or disabled, and returns the error for the client.
    async fn end_for_gone_user(&self, run: &FlowRun, claims: &RefreshClaims) -> Error {
        match self.0.revocations.end(run, claims.subject.clone(), claims.session_id, EndReason::UserGone).await {
            Ok(_) => {
                run.emit(EventKind::RefreshRefused { reason: RefreshRefusal::UserGone });
                Error::new(ErrorKind::RefreshInvalid)
            }
            Err(error) => error,
        }
    }

    /// Emits the events of a refused refresh, revokes the session on this node, and returns the
    /// error for the client.
    async fn refusal(&self, run: &FlowRun, outcome: &RotateOutcome, claims: &RefreshClaims, version: u64) -> Error {
        let (user, session) = (&claims.subject, claims.session_id);
        let revocations = &self.0.revocations;
        let reason = match outcome {
            RotateOutcome::Ended(reason) => RefreshRefusal::Ended(*reason),
            RotateOutcome::Superseded => RefreshRefusal::Superseded,
            _ => RefreshRefusal::Unknown,
        };
        match outcome {
            RotateOutcome::Reused => {
                run.emit(EventKind::ReuseFound {});
                run.emit(EventKind::SessionEnded { reason: EndReason::Reuse });
            }
            RotateOutcome::Foreign => run.emit(EventKind::ForeignToken {}),
            _ => run.emit(EventKind::RefreshRefused { reason }),
        }
        match outcome {
            RotateOutcome::Reused => {
                tracing::warn!(target: "portcullis", %user, %session, "a refresh token was used twice: the session has ended");
                revocations.publish(revocations.revoke_session(session));
                ErrorKind::RefreshReused.into()
            }
            RotateOutcome::Ended(EndReason::TokenVersion) => {
                // The flow that raised the version may not have ended all sessions in the store
                // yet.
                let reason = EndReason::TokenVersion;
                let _ = self.0.revocations.end_all(user.clone(), version, reason, None).await;
                // The client must keep its cookies, because a password change in another tab may be
                // about to set new ones.
                Error::new(ErrorKind::RefreshInvalid).overtaken()
            }
            RotateOutcome::Ended(reason) => {
                revocations.revoke_session(session);
                let reused = *reason == EndReason::Reuse;
                if reused { ErrorKind::RefreshReused.into() } else { ErrorKind::RefreshInvalid.into() }
            }
            RotateOutcome::Superseded => Error::new(ErrorKind::RefreshInvalid).overtaken(),
            RotateOutcome::Foreign => {
                tracing::error!(
                    target: "portcullis",
                    %user, %session,
                    "a refresh token has our signature and an id that its session never gave: the key has leaked, or the \
                     store was restored from a backup"
                );
                ErrorKind::RefreshInvalid.into()
            }
            _ => ErrorKind::RefreshInvalid.into(),
        }
    }
}
