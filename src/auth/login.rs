//! Register and log in; every way in ends in `start_session`.

use std::{net::IpAddr, pin::pin};

use super::{
    Auth, ClientInfo,
    run::{FlowRun, of_a_write},
    throttling::Candidate,
};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind, FieldError},
    event::{EventKind, LoginFailure, LoginMethod, Operation, RegistrationRefusal},
    password::{Verdict, too_long},
    secret::Secret,
    session::{AuthLevel, AuthMethods, EndReason, Session, SessionId, TokenId},
    store::{NewSession, StoreError, UniqueField},
    throttle::{Account, Action, Attempt},
    token::{AccessToken, Expiry},
    user::{AuthUser, Email, Login, NewUser, Username},
};

/// A registration as it came in, not yet validated.
#[derive(Debug)]
#[non_exhaustive]
pub struct Registration<R> {
    /// The e-mail address.
    pub email: String,
    /// The username, if one is wanted.
    pub username: Option<String>,
    /// The password.
    pub password: Secret<String>,
    /// The app's own fields.
    pub fields: R,
    /// Where it comes from, by which registrations are counted: leave it out where it may be a proxy's.
    pub ip: Option<IpAddr>,
}

impl<R> Registration<R> {
    /// A registration without a username.
    pub fn new(email: impl Into<String>, password: impl Into<Secret<String>>, fields: R) -> Self {
        Self { email: email.into(), username: None, password: password.into(), fields, ip: None }
    }

    /// Adds a username.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }
}

/// A user and the tokens of their session.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoggedIn<U> {
    /// The user, as read from the store.
    pub user: U,
    /// The session's current pair.
    pub tokens: TokenPair,
}

/// Names the user by id only: an app's own `Debug` may print the password hash.
impl<U: AuthUser> std::fmt::Debug for LoggedIn<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedIn").field("user", &self.user.id()).field("tokens", &self.tokens).finish()
    }
}

/// A pair of tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenPair {
    /// The access token, to be sent as `Authorization: Bearer`.
    pub access_token: Secret<String>,
    /// When the access token expires, in whole seconds as its `exp`.
    pub access_expires_at: Timestamp,
    /// The refresh token, to be sent to get the next pair.
    pub refresh_token: Secret<String>,
    /// When the refresh token expires, in whole seconds as its `exp`.
    pub refresh_expires_at: Timestamp,
    /// When the pair was issued, in milliseconds.
    pub issued_at: Timestamp,
    /// The session that both belong to.
    pub session_id: SessionId,
}

impl<U: AuthUser> Auth<U> {
    /// Adds a user; no session is made, so that an app can first confirm the address.
    ///
    /// One store round trip. The password is hashed before the insert, whether or not the address is taken.
    ///
    /// # Errors
    /// - [`ErrorKind::ValidationFailed`] with every field that is not valid, or a password that is known from a leak;
    /// - [`ErrorKind::TooManyAttempts`] as the [throttle](crate::throttle) decides;
    /// - [`ErrorKind::EmailTaken`] or [`ErrorKind::UsernameTaken`] as the store's unique index decides;
    /// - [`ErrorKind::Overloaded`] where too many passwords wait to be hashed;
    /// - [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub async fn register(&self, registration: Registration<U::Registration>) -> Result<U, Error> {
        let client = ClientInfo { ip: registration.ip, ..ClientInfo::unknown() };
        self.register_from(registration, &client).await
    }

    /// As [`register`](Self::register), with more known of where it comes from.
    pub(crate) async fn register_from(
        &self,
        registration: Registration<U::Registration>,
        client: &ClientInfo,
    ) -> Result<U, Error> {
        let flow = self.flow(Operation::Register, client);
        self.run(&flow, pin!(self.add_user(&flow, registration))).await
    }

    async fn add_user(&self, flow: &FlowRun, registration: Registration<U::Registration>) -> Result<U, Error> {
        let Registration { email, username, password, fields, ip } = registration;
        let mut errors = Vec::new();
        let email = email.parse::<Email>().map_err(|error| errors.push(error)).ok();
        let username = username.map(|text| text.parse::<Username>().map_err(|error| errors.push(error)).ok());
        let mut names = U::names_in(&fields);
        names.extend(email.as_ref().map(Email::as_str));
        names.extend(username.as_ref().and_then(|name| name.as_ref().map(Username::as_str)));
        errors.extend(self.0.passwords.policy().check("password", password.expose(), &names));
        errors.extend(U::check_registration(&fields));
        let (Some(email), true) = (email, errors.is_empty()) else {
            return Err(Error::validation(errors));
        };
        let attempt = Attempt::register(ip.map(Into::into));
        self.admit(flow, &attempt).await?;
        let created = async {
            self.0.passwords.check_breaches("password", &password).await?;
            let password_hash = self.0.passwords.hash(password).await?;
            let new = NewUser::new(email, username.flatten(), password_hash, fields, self.now());
            let created = self.0.users.create(new).await;
            self.tell_of_registration(flow, &created);
            created.map_err(of_a_write)
        };
        self.settle(&attempt, created.await).await
    }

    fn tell_of_registration(&self, flow: &FlowRun, created: &Result<U, StoreError>) {
        let reason = match created.as_ref().map_err(StoreError::duplicate_field) {
            Ok(user) => {
                flow.is_of(&user.id());
                return self.tell(flow, EventKind::Registered {});
            }
            Err(Some(UniqueField::Email)) => RegistrationRefusal::EmailTaken,
            Err(Some(UniqueField::Username)) => RegistrationRefusal::UsernameTaken,
            Err(None) => return,
        };
        self.tell(flow, EventKind::RegistrationRefused { reason });
    }

    /// Logs a user in: a new session and its first pair of tokens.
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
    ) -> Result<LoggedIn<U>, Error> {
        let flow = self.flow(Operation::Login, client);
        self.run(&flow, pin!(self.log_in(&flow, login, password, client))).await
    }

    async fn log_in(
        &self,
        flow: &FlowRun,
        login: &Login,
        password: Secret<String>,
        client: &ClientInfo,
    ) -> Result<LoggedIn<U>, Error> {
        if let Some(error) = too_long("password", password.expose()) {
            return Err(Error::validation(vec![error]));
        }
        if login.key().is_empty() {
            return Err(Error::validation(vec![FieldError::new("login", "required", "A login is required.")]));
        }
        let Candidate { user, id, source } = self.find_candidate(flow, login, client).await?;
        let account = Account { login: Some(login.key()), user: id.as_ref() };
        let attempt = Attempt { account, source, ..Attempt::new(Action::Login) };
        let user = self.settle(&attempt, self.user_with_password(flow, user, password).await).await?;
        let tokens = self.add_session(flow, &user, client, LoginMethod::Password).await?;
        Ok(LoggedIn { user, tokens })
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
    async fn user_with_password(&self, flow: &FlowRun, user: Option<U>, password: Secret<String>) -> Result<U, Error> {
        let reason = match &user {
            None => LoginFailure::UnknownLogin,
            Some(user) => {
                flow.is_of(&user.id());
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
            self.tell(flow, EventKind::LoginFailed { reason });
            return Err(Error::new(ErrorKind::InvalidCredentials));
        };
        if let (true, Some(stored)) = (upgrade, stored) {
            self.renew_hash(flow, &user, &stored, password).await;
        }
        Ok(user)
    }

    /// Makes a session for a user whom the app has authenticated by other means, and its first pair of tokens.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidCredentials`] for a disabled user, [`ErrorKind::TooManySessions`],
    /// [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`].
    pub async fn start_session(&self, user: &U, client: &ClientInfo) -> Result<TokenPair, Error> {
        self.start_session_by(user, client, LoginMethod::App).await
    }

    /// As [`start_session`](Self::start_session), by means that are known here.
    pub(crate) async fn start_session_by(
        &self,
        user: &U,
        client: &ClientInfo,
        method: LoginMethod,
    ) -> Result<TokenPair, Error> {
        let flow = self.flow(Operation::StartSession, client);
        self.run(&flow, pin!(self.add_session(&flow, user, client, method))).await
    }

    pub(super) async fn add_session(
        &self,
        flow: &FlowRun,
        user: &U,
        client: &ClientInfo,
        method: LoginMethod,
    ) -> Result<TokenPair, Error> {
        let owner = user.id();
        flow.is_of(&owner);
        if user.is_disabled() {
            self.tell(flow, EventKind::LoginFailed { reason: LoginFailure::Disabled });
            return Err(Error::new(ErrorKind::InvalidCredentials));
        }
        let at = self.shared_now().await;
        let now = self.now();
        let lifetimes = self.0.lifetimes;
        let absolute_expires_at = at.plus(lifetimes.absolute);
        let session = Session {
            id: SessionId::random()?,
            user_id: owner.clone(),
            // As it was read before the password was verified: a password change in between makes this session
            // dead on arrival.
            token_version: user.token_version(),
            generation: 0,
            token_id: TokenId::random()?,
            previous_token_id: None,
            auth_time: at,
            // An app that starts a session has verified the user by means that are not known here.
            amr: if matches!(method, LoginMethod::App) { AuthMethods::default() } else { AuthMethods::PASSWORD },
            acr: AuthLevel::Aal1,
            restamped_generation: None,
            created_at: at,
            rotated_at: at,
            expires_at: at.plus(lifetimes.idle).min(absolute_expires_at),
            absolute_expires_at,
            ended: None,
            user_agent: client.user_agent(),
            ip: client.ip,
        };
        let tokens = self.tokens(user, &session, now)?;
        let mut new = NewSession::new(session, self.0.session_limit, self.tombstone());
        new.replaces = client.refresh_token.as_ref().and_then(|token| self.session_of(token.expose(), now));
        let (id, replaced) = (new.session.id, new.replaces.clone());
        let created = self.0.sessions.create(new).await.map_err(|error| {
            if error.is_too_many_sessions() {
                self.tell(flow, EventKind::LoginFailed { reason: LoginFailure::TooManySessions });
            }
            of_a_write(error)
        })?;
        flow.is_of_session(&owner, id);
        if created.dead_on_arrival {
            self.tell(flow, EventKind::LoginFailed { reason: LoginFailure::Superseded });
            self.publish(self.revoke_session(id, now));
        } else {
            self.tell(flow, EventKind::LoggedIn { method });
        }
        // Whoever raised the version has not come to end them.
        for id in created.outdated {
            self.publish(self.revoke_session(id, now));
            self.tell_of(flow, EventKind::SessionEnded { reason: EndReason::TokenVersion }, &owner, id);
        }
        for id in created.ended {
            self.publish(self.revoke_session(id, now));
            match &replaced {
                Some((user, replaced)) if *replaced == id => {
                    self.tell_of(flow, EventKind::SessionEnded { reason: EndReason::SignedInAgain }, user, id);
                }
                _ => self.tell_of(flow, EventKind::SessionEnded { reason: EndReason::Limit }, &owner, id),
            }
        }
        Ok(tokens)
    }

    /// The pair of a session at its current generation, with the roles that the user has now.
    pub(super) fn tokens(&self, user: &U, session: &Session, now: Timestamp) -> Result<TokenPair, Error> {
        let custom = self.check_token_content(user)?;
        let access = self.0.issuer.access(&AccessToken { session, roles: &user.roles(), custom: &custom }, now)?;
        let refresh = self.0.issuer.refresh(session, now)?;
        Ok(TokenPair {
            access_token: access.token,
            access_expires_at: access.expires_at,
            refresh_token: refresh.token,
            refresh_expires_at: refresh.expires_at,
            issued_at: now,
            session_id: session.id,
        })
    }

    /// The app's own claims of a user, once it is known that they and the roles fit into a token.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where they do not.
    pub(super) fn check_token_content(&self, user: &U) -> Result<String, Error> {
        let custom = self.0.custom_claims.as_ref().map(|claims| claims(user)).transpose();
        let custom = custom.map_err(Error::internal)?.unwrap_or_default();
        self.0.issuer.check_size(&user.id(), &user.roles(), &custom)?;
        Ok(custom)
    }

    /// Which session a refresh token of ours belongs to, of any generation and expired too.
    pub(super) fn session_of(&self, token: &str, now: Timestamp) -> Option<(crate::user::UserId, SessionId)> {
        let keys = &self.0.issuer.refresh_keys;
        let claims = self.0.verifier.refresh(keys, token, now, Expiry::Ignored).ok()?;
        Some((claims.subject, claims.session_id))
    }

    /// Replaces a weaker hash after a good login. The login is good without it, so its failure is only logged.
    async fn renew_hash(&self, flow: &FlowRun, user: &U, stored: &str, password: Secret<String>) {
        let renewed = async {
            let hash = self.0.passwords.hash(password).await?;
            Ok::<_, Error>(self.0.users.replace_password_hash(&user.id(), stored, &hash).await?)
        };
        match renewed.await {
            Ok(true) => self.tell(flow, EventKind::HashUpgraded {}),
            // Somebody else was faster, with a hash as good or another password.
            Ok(false) => {}
            Err(error) => tracing::warn!(target: "portcullis", ?error, "a password hash could not be renewed"),
        }
    }
}
