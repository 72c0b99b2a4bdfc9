//! Logging in with a password.

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
    /// Logs a user in with a password: makes a session and its first pair of tokens.
    ///
    /// An unknown login, a user without a password, a disabled user and a wrong password are one error and cost the same
    /// work. Two store round trips, one more when the stored hash is renewed, and one more where the login
    /// has an [earlier key](Login::earlier).
    ///
    /// An attempt that the throttle refuses is refused whether or not the password is right. Nothing is looked up for it,
    /// unless it brings a refresh token of ours or its user's attempts under another login count against it. Good logins
    /// of one user are counted too: 60 an hour are free.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidCredentials`], whatever of the above it was;
    /// - [`ErrorKind::TooManyAttempts`] as the [throttle](crate::throttle) decides;
    /// - [`ErrorKind::ValidationFailed`] for a password over 1,024 bytes;
    /// - [`ErrorKind::TooManySessions`] where the session limit refuses;
    /// - [`ErrorKind::Overloaded`], [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
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
        let account = Account { login: Some(login.key()), user: id.as_ref() };
        let attempt = Attempt { account, source, ..Attempt::new(Action::Login) };
        let user = self.settle(&attempt, self.user_with_password(run, user, password).await).await?;
        self.open_session(run, user, client, LoginMethod::Password).await
    }

    /// Finds the user of a login under the key that an earlier release made of what was typed, and under today's.
    ///
    /// The earlier key comes first, because of two users with one address by today's rule only one can have today's key.
    /// Both are always looked up, so that the work does not tell which users exist.
    pub(super) async fn user_of(&self, login: &Login) -> Result<Option<U>, Error> {
        let users = &self.0.users;
        let Some(earlier) = login.earlier() else { return Ok(users.find_by_login(login).await?) };
        let found = users.find_by_login(&earlier).await?;
        Ok(found.or(users.find_by_login(login).await?))
    }

    /// Verifies the password of a login's user. Without a user, or with one who may not log in, it costs the same work.
    async fn user_with_password(&self, run: &FlowRun, user: Option<U>, password: Secret<String>) -> Result<U, Error> {
        let reason = match &user {
            None => LoginFailure::UnknownLogin,
            Some(user) => {
                run.is_of(&user.id());
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

    /// Replaces a weaker hash after a good login. The login is good without it, so its failure is only logged.
    async fn renew_hash(&self, run: &FlowRun, user: &U, stored: &str, password: Secret<String>) {
        let renewed = async {
            let hash = self.0.passwords.hash(password).await?;
            Ok::<_, Error>(self.0.users.replace_password_hash(&user.id(), stored, &hash).await?)
        };
        match renewed.await {
            Ok(true) => run.emit(EventKind::HashUpgraded {}),
            // Somebody else was faster, with a hash as good or another password.
            Ok(false) => {}
            Err(error) => tracing::warn!(target: "portcullis", ?error, "a password hash could not be renewed"),
        }
    }
}
