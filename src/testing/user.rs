//! Users in a line.

use super::{PASSWORD, TestAuth};
use crate::{
    auth::{ClientInfo, Registration},
    error::{Error, ErrorKind},
    secret::Secret,
    store::{UserAdmin, UserStore},
    user::{Profile, User},
};

/// A user to be, in memory: made by [`TestAuth::user`].
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

impl<'a> TestUser<'a> {
    pub(super) fn new(test: &'a TestAuth, email: String) -> Self {
        let password = PASSWORD.into();
        Self { test, email, username: None, name: None, password, roles: Vec::new(), disabled: false }
    }

    /// Gives them a username; none unless set.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Gives them a name to show; none unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Gives them a password; [`PASSWORD`] unless set.
    pub fn password(mut self, password: impl Into<Secret<String>>) -> Self {
        self.password = password.into();
        self
    }

    /// Adds a role; none unless set.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Disables them.
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Registers the user as the endpoint does, and gives them what no registration can ask for.
    ///
    /// # Errors
    /// As of [`Auth::register`](crate::Auth::register).
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
