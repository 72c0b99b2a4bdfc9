//! Starts sessions: [`Auth::start_session`]. Every way to log in ends here, and no other code makes
//! sessions.

use std::pin::pin;

use super::{Auth, ClientInfo, LoggedIn, LoginOutcome};
use crate::{
    error::{Error, ErrorKind},
    event::{EventKind, FlowRun, LoginFailure, LoginMethod, Operation},
    session::{AuthLevel, AuthMethods, EndReason, Session, SessionId, TokenId},
    store::NewSession,
    user::AuthUser,
};

impl<U: AuthUser> Auth<U> {
    /// Logs in a user who was authenticated by the app itself: makes a session and its first pair
    /// of tokens.
    ///
    /// It takes one store round trip. If the user's sessions are ended while this call runs, the
    /// new session ends at once, and its tokens are refused.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidCredentials`] if the user is disabled.
    /// - [`ErrorKind::TooManySessions`] if the session limit refuses another session.
    /// - [`ErrorKind::StoreUnavailable`] if the session store cannot be reached.
    /// - [`ErrorKind::Internal`] if the session store fails otherwise, or if the user's claims do
    ///   not fit into a token.
    pub async fn start_session(&self, user: &U, client: &ClientInfo) -> Result<LoginOutcome<U>, Error> {
        self.start_session_by(user, client, LoginMethod::App).await
    }

    /// Does what [`start_session`](Self::start_session) does, for a login whose method is known.
    pub(crate) async fn start_session_by(
        &self,
        user: &U,
        client: &ClientInfo,
        method: LoginMethod,
    ) -> Result<LoginOutcome<U>, Error> {
        let run = self.begin(Operation::StartSession, client);
        run.run(pin!(self.open_session(&run, user.clone(), client, method))).await
    }

    /// Makes a session and its first pair of tokens. It checks that the user is not disabled, and
    /// then the session limit.
    pub(super) async fn open_session(
        &self,
        run: &FlowRun,
        user: U,
        client: &ClientInfo,
        method: LoginMethod,
    ) -> Result<LoginOutcome<U>, Error> {
        let owner = user.id();
        run.set_user(&owner);
        if user.is_disabled() {
            run.emit(EventKind::LoginFailed { reason: LoginFailure::Disabled });
            return Err(Error::new(ErrorKind::InvalidCredentials));
        }
        let at = self.shared_now().await;
        let now = self.now();
        let (lifetimes, revocations) = (self.0.lifetimes, &self.0.revocations);
        let absolute_expires_at = at.plus(lifetimes.absolute);
        let session = Session {
            id: SessionId::random()?,
            user_id: owner.clone(),
            // The version was read before the password was verified. If the password is changed in
            // between, the store ends this session at once.
            token_version: user.token_version(),
            generation: 0,
            token_id: TokenId::random()?,
            previous_token_id: None,
            auth_time: at,
            // An app that starts a session has authenticated the user by a method that is not known
            // here.
            amr: if matches!(method, LoginMethod::App) { AuthMethods::default() } else { AuthMethods::PASSWORD },
            acr: AuthLevel::Aal1,
            restamped_generation: None,
            created_at: at,
            rotated_at: at,
            expires_at: at.plus(lifetimes.idle).min(absolute_expires_at),
            absolute_expires_at,
            ended: None,
            user_agent: client.kept_user_agent(),
            ip: client.ip,
        };
        let tokens = self.tokens(&user, &session, now)?;
        let mut new = NewSession::new(session, self.0.session_limit, revocations.tombstone());
        new.replaces = client.refresh_token.as_ref().and_then(|token| self.session_of(token.expose(), now));
        let (id, replaced) = (new.session.id, new.replaces.clone());
        let created = self.0.sessions.create(new).await.map_err(|error| {
            if error.is_too_many_sessions() {
                run.emit(EventKind::LoginFailed { reason: LoginFailure::TooManySessions });
            }
            error.of_a_write()
        })?;
        run.set_session(&owner, id);
        if created.ended_at_once {
            run.emit(EventKind::LoginFailed { reason: LoginFailure::Superseded });
            revocations.publish(revocations.revoke_session(id));
        } else {
            run.emit(EventKind::LoggedIn { method });
        }
        // The flow that raised the version may not have ended these sessions in the store yet.
        for id in created.outdated {
            revocations.publish(revocations.revoke_session(id));
            run.emit_for(EventKind::SessionEnded { reason: EndReason::TokenVersion }, &owner, id);
        }
        for id in created.ended {
            revocations.publish(revocations.revoke_session(id));
            match &replaced {
                Some((user, replaced)) if *replaced == id => {
                    run.emit_for(EventKind::SessionEnded { reason: EndReason::LoggedInAgain }, user, id);
                }
                _ => run.emit_for(EventKind::SessionEnded { reason: EndReason::Limit }, &owner, id),
            }
        }
        Ok(LoginOutcome::Complete(LoggedIn { user, tokens }))
    }
}
