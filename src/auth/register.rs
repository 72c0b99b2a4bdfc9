//! Registering: adds a user.

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
}

impl<R> Registration<R> {
    /// Returns a registration without a username.
    pub fn new(email: impl Into<String>, password: impl Into<Secret<String>>, fields: R) -> Self {
        Self { email: email.into(), username: None, password: password.into(), fields }
    }

    /// Adds a username.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }
}

impl<U: AuthUser> Auth<U> {
    /// Adds a user. It makes no session, so that an app can first confirm the address. To log the user in, call
    /// [`start_session`](Self::start_session).
    ///
    /// It takes one store round trip. The password is hashed before the insert, whether or not the address is taken.
    ///
    /// # Errors
    /// - [`ErrorKind::ValidationFailed`](crate::ErrorKind::ValidationFailed) with every field that is not valid, or a
    ///   password that is known from a leak
    /// - [`ErrorKind::TooManyAttempts`](crate::ErrorKind::TooManyAttempts) as the [throttle](crate::throttle) decides
    /// - [`ErrorKind::EmailTaken`](crate::ErrorKind::EmailTaken) or
    ///   [`ErrorKind::UsernameTaken`](crate::ErrorKind::UsernameTaken) as the store's unique index decides
    /// - [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) where too many passwords wait to be hashed
    /// - [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) and
    ///   [`ErrorKind::Internal`](crate::ErrorKind::Internal)
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

/// Emits what came of a registration.
fn emit_registration<U: AuthUser>(run: &FlowRun, created: &Result<U, StoreError>) {
    let reason = match created.as_ref().map_err(StoreError::duplicate_field) {
        Ok(user) => {
            run.is_of(&user.id());
            return run.emit(EventKind::Registered {});
        }
        Err(Some(UniqueField::Email)) => RegistrationRefusal::EmailTaken,
        Err(Some(UniqueField::Username)) => RegistrationRefusal::UsernameTaken,
        Err(None) => return,
    };
    run.emit(EventKind::RegistrationRefused { reason });
}
