//! Changes the password of a user who is logged in: [`Auth::change_password`].

use std::pin::pin;

use super::{Auth, ClientInfo, LoggedIn, LoginOutcome};
use crate::{
    error::{Error, ErrorKind},
    event::{EndAllReason, EventKind, FlowRun, LoginMethod, Operation},
    password::{Verdict, too_long},
    secret::Secret,
    session::{EndReason, TokenId},
    store::{EndAll, Keep, StoreError},
    throttle::Attempt,
    token::Claims,
    user::{AuthUser, PasswordHash},
};

impl<U: AuthUser> Auth<U> {
    /// Changes the password of the user of an access token. Ends every other session of the user,
    /// and returns new tokens for this one.
    ///
    /// It takes three store round trips.
    ///
    /// # Errors
    /// - [`ErrorKind::WrongPassword`] if `current` is wrong, or if another call has changed the
    ///   password meanwhile.
    /// - [`ErrorKind::TooManyAttempts`] if the [throttle](crate::throttle) delays the attempt.
    ///   Password changes have a budget apart from logins. See [`Error::retry_after`].
    /// - [`ErrorKind::ValidationFailed`] if the policy refuses `new`, if `new` is known from a
    ///   leak, or if `current` is longer than 1,024 bytes.
    /// - [`ErrorKind::TokenRevoked`] if the user is deleted or disabled, or if their token version
    ///   has changed.
    /// - [`ErrorKind::TooManySessions`] if the session has ended meanwhile, and the session limit
    ///   refuses a new one in its place.
    /// - [`ErrorKind::Overloaded`] if too many passwords wait to be hashed.
    /// - [`ErrorKind::StoreUnavailable`] if a store cannot be reached. The password may have been
    ///   changed. The raised token version then ends each other session at its next refresh.
    /// - [`ErrorKind::Internal`] if a store fails otherwise, or if the user's claims do not fit
    ///   into a token.
    pub async fn change_password(
        &self,
        claims: &Claims,
        current: Secret<String>,
        new: Secret<String>,
        client: &ClientInfo,
    ) -> Result<LoggedIn<U>, Error> {
        let run = self.begin(Operation::ChangePassword, client);
        run.set_session(claims.subject(), claims.session_id());
        run.run(pin!(self.renew_password(&run, claims, current, new, client))).await
    }

    async fn renew_password(
        &self,
        run: &FlowRun,
        claims: &Claims,
        current: Secret<String>,
        new: Secret<String>,
        client: &ClientInfo,
    ) -> Result<LoggedIn<U>, Error> {
        if let Some(error) = too_long("current_password", current.expose()) {
            return Err(Error::validation(vec![error]));
        }
        // Cheap rules come first, so that a password that can never be accepted costs no lookup and
        // no hash.
        self.check_new_password(&new, &[])?;
        let user = self.0.users.find_by_id(claims.subject()).await?;
        let user = user
            .filter(|user| !user.is_disabled() && user.token_version() == claims.token_version())
            .ok_or(ErrorKind::TokenRevoked)?;
        self.check_new_password(&new, &user.names())?;
        let attempt = Attempt::change_password(claims.subject(), claims.session_id());
        self.admit(run, &attempt).await?;
        let stored = self.settle(&attempt, self.current_hash(run, &user, current).await).await?;
        self.0.passwords.check_breaches("new_password", &new).await?;
        // A token that cannot be made fails here, before the password is changed.
        self.check_token_content(&user)?;
        let hash = self.0.passwords.hash(new).await?;
        let (auth, of, claims, client) = (self.clone(), run.clone(), claims.clone(), client.clone());
        run.run_to_the_end(async move { auth.replace_password(&of, user, &stored, &hash, &claims, &client).await })
            .await
    }

    /// Writes the password, and then ends the other sessions.
    async fn replace_password(
        &self,
        run: &FlowRun,
        user: U,
        stored: &str,
        hash: &PasswordHash,
        claims: &Claims,
        client: &ClientInfo,
    ) -> Result<LoggedIn<U>, Error> {
        let id = claims.subject();
        let set = self.0.users.set_password(id, Some(stored), hash).await;
        let Some(version) = set.map_err(StoreError::of_a_write)? else {
            return Err(wrong_password(run));
        };
        run.emit(EventKind::PasswordChanged {});
        // From here on the password is changed, also if a later step fails.
        self.end_others(run, user, version, claims, client).await.map_err(Error::uncertain)
    }

    /// Ends the sessions of lower versions than that of the new password, and returns new tokens
    /// for the caller.
    async fn end_others(
        &self,
        run: &FlowRun,
        user: U,
        version: u64,
        claims: &Claims,
        client: &ClientInfo,
    ) -> Result<LoggedIn<U>, Error> {
        let id = claims.subject();
        let now = self.now();
        // This node revokes old access tokens before it asks the session store, so that it admits
        // none of them if the store fails.
        let revocations = &self.0.revocations;
        let revocation = revocations.revoke_versions(id, version);
        let at = self.shared_now().await;
        let keep = Keep::new(claims.session_id(), TokenId::random()?, self.0.lifetimes.idle, at);
        let all = EndAll::new(id.clone(), version, revocations.ended(EndReason::PasswordChanged, at)).keeping(keep);
        let reason = EndAllReason::PasswordChanged;
        let kept = revocations.end_others(all, (reason, run)).await?;
        run.emit(EventKind::SessionsEnded { reason, kept: kept.as_ref().map(|session| session.id) });
        revocations.publish(revocation);
        if let Some(session) = kept {
            let tokens = self.tokens(&user, &session, now)?;
            return Ok(LoggedIn { user, tokens });
        }
        // A refresh saw the new version before the store moved this session to it, and ended the
        // session. The caller has just given the password, so they get a new session in its place.
        let user = self.0.users.find_by_id(id).await?;
        // A later version means that the user was logged out everywhere meanwhile. That call wins.
        let user = user.filter(|user| user.token_version() == version).ok_or(ErrorKind::TokenRevoked)?;
        match self.open_session(run, user, client, LoginMethod::PasswordChange).await? {
            LoginOutcome::Complete(logged_in) => Ok(logged_in),
        }
    }

    /// Returns the stored hash of the user if `current` is their password.
    async fn current_hash(&self, run: &FlowRun, user: &U, current: Secret<String>) -> Result<String, Error> {
        let stored = user.password_hash().map(str::to_owned);
        let verdict = self.0.passwords.verify(current, stored.as_deref()).await?;
        match (verdict, stored) {
            (Verdict::Match { .. }, Some(stored)) => Ok(stored),
            _ => Err(wrong_password(run)),
        }
    }

    fn check_new_password(&self, new: &Secret<String>, names: &[&str]) -> Result<(), Error> {
        match self.0.passwords.policy().check("new_password", new.expose(), names) {
            Some(error) => Err(Error::validation(vec![error])),
            None => Ok(()),
        }
    }
}

fn wrong_password(run: &FlowRun) -> Error {
    run.emit(EventKind::PasswordChangeFailed {});
    ErrorKind::WrongPassword.into()
}
