//! [`TestUser`]: registers a user in one line.

use super::{PASSWORD, TestAuth};
use crate::{
    auth::{ClientInfo, Registration},
    error::{Error, ErrorKind},
    secret::Secret,
    store::{UserAdmin, UserStore},
    user::{Profile, User},
};

/// A user that is not registered yet. [`TestAuth::user`] makes one.
#[derive(Debug)]
#[must_use = "`create` registers the user"]
pub struct TestUser<'a> {
    test: &'a TestAuth,
    email: String,
    username: Option<String>,
    name: Option<String>,
    password: Secret<String>,
    roles: Vec<String>,
    disabled: bool,
}

impl TestAuth {
    /// Begins a user with this address. [`TestUser::create`] registers the user.
    pub fn user(&self, email: impl Into<String>) -> TestUser<'_> {
        TestUser {
            test: self,
            email: email.into(),
            username: None,
            name: None,
            password: PASSWORD.into(),
            roles: Vec::new(),
            disabled: false,
        }
    }
}

impl TestUser<'_> {
    /// Sets the username. Default: none.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Sets the name to show. Default: none.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the password. Default: [`PASSWORD`].
    pub fn password(mut self, password: impl Into<Secret<String>>) -> Self {
        self.password = password.into();
        self
    }

    /// Adds a role. Default: none.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Disables the user.
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Registers the user as the endpoint does, then sets the roles and disables the user, which no
    /// registration can do.
    ///
    /// # Errors
    /// The same as for [`Auth::register`](crate::Auth::register).
    pub async fn create(self) -> Result<User, Error> {
        let mut registration = Registration::new(self.email, self.password, Profile::default());
        registration.username = self.username;
        registration.fields.name = self.name;
        let id = self.test.auth().register(registration, &ClientInfo::unknown()).await?.id;
        let users = self.test.users().users();
        users.set_roles(&id, &self.roles).await?;
        users.set_disabled(&id, self.disabled).await?;
        users.find_by_id(&id).await?.ok_or_else(|| ErrorKind::Internal.into())
    }
}
