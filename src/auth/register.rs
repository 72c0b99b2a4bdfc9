//! Registers users: [`Auth::register`] and [`Registration`].

use std::pin::pin;

use super::{Auth, ClientInfo};
use crate::{
    error::Error,
    event::{EventKind, FlowRun, Operation, RegistrationRefusal},
    secret::Secret,
    store::{StoreError, UniqueField},
    throttle::Attempt,
    user::{AuthUser, Email, NewUser, Username},
};

/// Fields of a new user, not yet validated.
#[derive(Debug)]
#[non_exhaustive]
pub struct Registration<R> {
    /// E-mail address.
    pub email: String,
    /// Username. Default: none.
    pub username: Option<String>,
    /// Password.
    pub password: Secret<String>,
    /// Fields that the app's own user type adds.
    pub fields: R,
}

impl<R> Registration<R> {
    /// Makes a registration without a username.
    pub fn new(email: impl Into<String>, password: impl Into<Secret<String>>, fields: R) -> Self {
        Self { email: email.into(), username: None, password: password.into(), fields }
    }

    /// Sets the username.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }
}

impl<U: AuthUser> Auth<U> {
    /// Adds a user. It starts no session, so that an app can first confirm the e-mail address. To
    /// log the user in, call [`start_session`](Self::start_session).
    ///
    /// It takes one store round trip. The password is hashed before the insert, whether or not the
    /// address is taken, so that both cost the same work.
    ///
    /// # Errors
    /// - [`ErrorKind::ValidationFailed`](crate::ErrorKind::ValidationFailed) if fields are not
    ///   valid, or if the password is known from a leak. [`Error::fields`] lists all of them.
    /// - [`ErrorKind::TooManyAttempts`](crate::ErrorKind::TooManyAttempts) if the
    ///   [throttle](crate::throttle) delays the registration. See [`Error::retry_after`].
    /// - [`ErrorKind::EmailTaken`](crate::ErrorKind::EmailTaken) or
    ///   [`ErrorKind::UsernameTaken`](crate::ErrorKind::UsernameTaken) if the unique index of the
    ///   store finds another user.
    /// - [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) if too many passwords wait to be
    ///   hashed.
    /// - [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) if the user store, the
    ///   breach check or the throttle cannot be reached. The user may have been added.
    /// - [`ErrorKind::Internal`](crate::ErrorKind::Internal) if one of them fails otherwise.
    pub async fn register(&self, registration: Registration<U::Registration>, client: &ClientInfo) -> Result<U, Error> {
        let run = self.begin(Operation::Register, client);
        run.run(pin!(self.add_user(&run, registration, client))).await
    }

    async fn add_user(
        &self,
        run: &FlowRun,
        registration: Registration<U::Registration>,
        client: &ClientInfo,
    ) -> Result<U, Error> {
        let Registration { email, username, password, fields } = registration;
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
        let attempt = Attempt::register(client.counted_ip().map(Into::into));
        self.admit(run, &attempt).await?;
        let created = async {
            self.0.passwords.check_breaches("password", &password).await?;
            let password_hash = self.0.passwords.hash(password).await?;
            let new = NewUser::new(email, username.flatten(), password_hash, fields, self.now());
            let created = self.0.users.create(new).await;
            emit_registration(run, &created);
            created.map_err(StoreError::of_a_write)
        };
        self.settle(&attempt, created.await).await
    }
}

/// Emits the event of a registration, or of its refusal.
fn emit_registration<U: AuthUser>(run: &FlowRun, created: &Result<U, StoreError>) {
    let reason = match created.as_ref().map_err(StoreError::duplicate_field) {
        Ok(user) => {
            run.set_user(&user.id());
            return run.emit(EventKind::Registered {});
        }
        Err(Some(UniqueField::Email)) => RegistrationRefusal::EmailTaken,
        Err(Some(UniqueField::Username)) => RegistrationRefusal::UsernameTaken,
        Err(None) => return,
    };
    run.emit(EventKind::RegistrationRefused { reason });
}
