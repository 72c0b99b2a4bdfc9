//! Logs in with a password: [`Auth::login`].

use std::pin::pin;

use super::{Auth, ClientInfo, LoginOutcome, throttling::Candidate};
use crate::{
    error::{Error, ErrorKind, FieldError},
    event::{EventKind, FlowRun, LoginFailure, LoginMethod, Operation},
    password::{Verdict, too_long},
    secret::Secret,
    throttle::{Account, Action, Attempt},
    user::{AuthUser, Login},
};

impl<U: AuthUser> Auth<U> {
    /// Logs a user in with a password.
    ///
    /// It takes two store round trips. It takes one more when the stored hash is renewed, and one
    /// more where the login has an [earlier key](Login::earlier).
    ///
    /// An unknown login, a user without a password, a disabled user and a wrong password give the
    /// same error and cost the same work. A client therefore cannot find out who has an account.
    ///
    /// The [throttle](crate::throttle) refuses an attempt whether or not the password is right. A
    /// refused attempt reads from the store only in two cases: the client brings a refresh token of
    /// this service, or the user's attempts under another login count against the attempt.
    /// Successful logins are counted too. A user has 60 an hour without delay.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidCredentials`] if the login is unknown, the password is wrong, the user
    ///   is disabled, or the user has no password.
    /// - [`ErrorKind::TooManyAttempts`] if the [throttle](crate::throttle) delays the attempt. See
    ///   [`Error::retry_after`].
    /// - [`ErrorKind::ValidationFailed`] if `login` is empty or `password` is longer than 1,024
    ///   bytes.
    /// - [`ErrorKind::TooManySessions`] if the session limit refuses another session.
    /// - [`ErrorKind::Overloaded`] if too many passwords wait to be hashed.
    /// - [`ErrorKind::StoreUnavailable`] if a store or the throttle cannot be reached.
    /// - [`ErrorKind::Internal`] if a store fails otherwise, or if the user's claims do not fit
    ///   into a token.
    pub async fn login(
        &self,
        login: &Login,
        password: Secret<String>,
        client: &ClientInfo,
    ) -> Result<LoginOutcome<U>, Error> {
        let run = self.begin(Operation::Login, client);
        run.run(pin!(self.log_in(&run, login, password, client))).await
    }

    async fn log_in(
        &self,
        run: &FlowRun,
        login: &Login,
        password: Secret<String>,
        client: &ClientInfo,
    ) -> Result<LoginOutcome<U>, Error> {
        if let Some(error) = too_long("password", password.expose()) {
            return Err(Error::validation(vec![error]));
        }
        if login.key().is_empty() {
            return Err(Error::validation(vec![FieldError::new("login", "required", "A login is required.")]));
        }
        let Candidate { user, id, source } = self.find_candidate(run, login, client).await?;
        let account = Account { login: Some(login.key()), user: Some(&id) };
        let attempt = Attempt { account, source, ..Attempt::new(Action::Login) };
        let user = self.settle(&attempt, self.user_with_password(run, user, password).await).await?;
        self.open_session(run, user, client, LoginMethod::Password).await
    }

    /// Finds the user of a login. Where the login has an earlier key, which an earlier release
    /// made, it looks up both keys.
    ///
    /// The user under the earlier key wins. Two users may have one address by today's rule, and
    /// only one of them can have today's key. Both keys are always looked up, so that the work does
    /// not reveal which users exist.
    pub(super) async fn user_of(&self, login: &Login) -> Result<Option<U>, Error> {
        let users = &self.0.users;
        let Some(earlier) = login.earlier() else { return Ok(users.find_by_login(login).await?) };
        let found = users.find_by_login(&earlier).await?;
        Ok(found.or(users.find_by_login(login).await?))
    }

    /// Verifies the password of a user. It costs the same work without a user, and for a user who
    /// may not log in.
    async fn user_with_password(&self, run: &FlowRun, user: Option<U>, password: Secret<String>) -> Result<U, Error> {
        let reason = match &user {
            None => LoginFailure::UnknownLogin,
            Some(user) => {
                run.set_user(&user.id());
                match user.password_hash() {
                    _ if user.is_disabled() => LoginFailure::Disabled,
                    None => LoginFailure::NoPassword,
                    Some(_) => LoginFailure::WrongPassword,
                }
            }
        };
        let usable = user.filter(|user| !user.is_disabled());
        let stored = usable.as_ref().and_then(AuthUser::password_hash).map(str::to_owned);
        let verdict = self.0.passwords.verify(password.clone(), stored.as_deref()).await?;
        let (Some(user), Verdict::Match { upgrade }) = (usable, verdict) else {
            run.emit(EventKind::LoginFailed { reason });
            return Err(Error::new(ErrorKind::InvalidCredentials));
        };
        if let (true, Some(stored)) = (upgrade, stored) {
            self.renew_hash(run, &user, &stored, password).await;
        }
        Ok(user)
    }

    /// Replaces a weaker hash after a successful login. The login succeeds without it, so a failure
    /// is only logged.
    async fn renew_hash(&self, run: &FlowRun, user: &U, stored: &str, password: Secret<String>) {
        let renewed = async {
            let hash = self.0.passwords.hash(password).await?;
            Ok::<_, Error>(self.0.users.replace_password_hash(&user.id(), stored, &hash).await?)
        };
        match renewed.await {
            Ok(true) => run.emit(EventKind::HashUpgraded {}),
            // Another login has replaced the hash, or another call has changed the password.
            Ok(false) => {}
            Err(error) => tracing::warn!(target: "portcullis", ?error, "a password hash could not be renewed"),
        }
    }
}
