//! Refresh: the next pair for the holder of the current refresh token.

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

/// How often the user is read again when a password change overtakes a refresh.
const MAX_STALE_READS: usize = 3;

impl<U: AuthUser> Auth<U> {
    /// Exchanges a refresh token for the next pair.
    ///
    /// The user is read afresh, so that roles, disabling and deletion take effect here. The session store then decides in
    /// one atomic operation: see [`decide`](crate::session::decide). Two store round trips.
    ///
    /// # Errors
    /// - [`ErrorKind::RefreshExpired`] for a token of ours past its `exp`;
    /// - [`ErrorKind::RefreshReused`] for one that was used before: its session has ended;
    /// - [`ErrorKind::RefreshInvalid`] for everything else that is not current;
    /// - [`ErrorKind::StoreUnavailable`]: nothing is decided, the same token works when the store is back;
    /// - [`ErrorKind::Internal`].
    pub async fn refresh(&self, refresh_token: &str, client: &ClientInfo) -> Result<LoggedIn<U>, Error> {
        let run = self.begin(Operation::Refresh, client);
        run.run(pin!(self.exchange(&run, refresh_token))).await
    }

    async fn exchange(&self, run: &FlowRun, refresh_token: &str) -> Result<LoggedIn<U>, Error> {
        // Read before the store is asked: an ending that happens meanwhile is later than the token's `iat`.
        let now = self.now();
        let keys = &self.0.issuer.refresh_keys;
        let claims =
            self.0.verifier.refresh(keys, refresh_token, now, Expiry::Checked).map_err(|fault| match fault {
                TokenFault::Expired => ErrorKind::RefreshExpired,
                TokenFault::Invalid => ErrorKind::RefreshInvalid,
            })?;
        run.is_of_session(&claims.subject, claims.session_id);
        let next_token_id = TokenId::random()?;
        for _ in 0..MAX_STALE_READS {
            let user = self.0.users.find_by_id(&claims.subject).await?;
            let Some(user) = user.filter(|user| !user.is_disabled()) else {
                return Err(self.end_for_gone_user(run, &claims).await);
            };
            // Nothing has moved yet: a token that cannot be made must not cost the one that was presented.
            self.check_token_content(&user)?;
            // The grace is counted from here: however long the user took to be read, it is not part of it.
            let at = self.shared_now().await;
            let rotation = self.rotation(&claims, user.token_version(), next_token_id, at);
            let (auth, its, claims) = (self.clone(), run.clone(), claims.clone());
            let moved = async move { auth.move_on(&its, &claims, &rotation).await };
            let Some(session) = run.see_through(moved).await? else {
                continue;
            };
            let tokens = self.tokens(&user, &session, now)?;
            return Ok(LoggedIn { user, tokens });
        }
        Err(Error::new(ErrorKind::StoreUnavailable)
            .with_source("the user store answers older token versions than the sessions have"))
    }

    /// Has the store decide, and does what follows from it: to its end, because a thief who hangs up must not take the alarm
    /// along. `None` where the user was read too early.
    async fn move_on(
        &self,
        run: &FlowRun,
        claims: &RefreshClaims,
        rotation: &Rotation,
    ) -> Result<Option<Session>, Error> {
        let (session, told) = match self.rotate(rotation).await? {
            RotateOutcome::Rotated(session) => (session, EventKind::Refreshed {}),
            RotateOutcome::Replayed(session) => (session, EventKind::Replayed {}),
            RotateOutcome::StaleUser => return Ok(None),
            refused => return Err(self.refusal(run, &refused, claims, rotation.token_version).await),
        };
        run.emit(told);
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

    /// Asks once more where the first answer was lost: the store recognises its own `next_token_id`, and its own ending.
    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, Error> {
        match self.0.sessions.rotate(rotation).await {
            Err(error) if error.is_unavailable() => {
                self.0.sessions.rotate(rotation).await.map_err(StoreError::of_a_write)
            }
            answer => answer.map_err(StoreError::of_a_write),
        }
    }

    async fn end_for_gone_user(&self, run: &FlowRun, claims: &RefreshClaims) -> Error {
        match self.0.revocations.end(run, claims.subject.clone(), claims.session_id, EndReason::UserGone).await {
            Ok(_) => {
                run.emit(EventKind::RefreshRefused { reason: RefreshRefusal::UserGone });
                Error::new(ErrorKind::RefreshInvalid)
            }
            Err(error) => error,
        }
    }

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
                // The flow that raised the version may not have written the end of all yet.
                let reason = EndReason::TokenVersion;
                let _ = self.0.revocations.end_all(user.clone(), version, reason, None).await;
                // A password change of another tab may be about to set new cookies.
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
