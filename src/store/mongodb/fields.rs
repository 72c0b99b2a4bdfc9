//! [`UserFields`]: the names of the fields in a users collection.

use crate::store::StoreError;

/// The names of the fields in a users collection that an app already has.
///
/// [`mongoose`](Self::mongoose) has the names that Express apps with Mongoose use. Each name can be
/// changed. A field that is missing or `null` counts as its lowest value: no name, no roles, token
/// version 0, not disabled. Other fields of a document are never changed.
///
/// # Examples
/// ```
/// use portcullis::store::mongodb::UserFields;
/// let fields = UserFields::mongoose().name("displayName").roles("groups").enabled("isActive");
/// ```
#[derive(Clone, Debug)]
pub struct UserFields {
    pub(super) email: String,
    pub(super) email_key: String,
    pub(super) username: String,
    pub(super) username_key: String,
    pub(super) name: String,
    pub(super) avatar_url: String,
    pub(super) password_hash: String,
    pub(super) roles: Roles,
    pub(super) token_version: String,
    pub(super) standing: Standing,
    pub(super) created_at: String,
}

/// How roles are written. Both forms are read.
#[derive(Clone, Debug)]
pub(super) enum Roles {
    One(String),
    Many(String),
}

#[derive(Clone, Debug)]
pub(super) enum Standing {
    Disabled(String),
    Enabled(String),
}

impl Roles {
    pub(super) fn field(&self) -> &str {
        let (Self::One(field) | Self::Many(field)) = self;
        field
    }
}

impl Standing {
    pub(super) fn field(&self) -> &str {
        let (Self::Disabled(field) | Self::Enabled(field)) = self;
        field
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        $($(#[$doc])*
        pub fn $field(mut self, field: impl Into<String>) -> Self {
            self.$field = field.into();
            self
        })*
    };
}

impl UserFields {
    /// Returns the names that Express apps with Mongoose use: `email`, `username`, `fullName`,
    /// `avatar`, `password`, `role` (one role), `tokenVersion`, `disabled` and `createdAt`. The
    /// fields `emailKey` and `usernameKey` are added.
    pub fn mongoose() -> Self {
        Self {
            email: "email".into(),
            email_key: "emailKey".into(),
            username: "username".into(),
            username_key: "usernameKey".into(),
            name: "fullName".into(),
            avatar_url: "avatar".into(),
            password_hash: "password".into(),
            roles: Roles::One("role".into()),
            token_version: "tokenVersion".into(),
            standing: Standing::Disabled("disabled".into()),
            created_at: "createdAt".into(),
        }
    }

    /// Returns the names in a collection of this crate.
    pub(super) fn own() -> Self {
        Self {
            email: "email".into(),
            email_key: "email_key".into(),
            username: "username".into(),
            username_key: "username_key".into(),
            name: "name".into(),
            avatar_url: "avatar_url".into(),
            password_hash: "password_hash".into(),
            roles: Roles::Many("roles".into()),
            token_version: "token_version".into(),
            standing: Standing::Disabled("disabled".into()),
            created_at: "created_at".into(),
        }
    }

    names! {
        /// The e-mail address, as it was registered.
        email,
        /// The form in which the e-mail address is looked up. See
        /// [`Email::key`](crate::user::Email::key).
        email_key,
        /// The username, as it was registered.
        username,
        /// The form in which the username is looked up. See
        /// [`Username::key`](crate::user::Username::key).
        username_key,
        /// The name to show.
        name,
        /// The address of a picture.
        avatar_url,
        /// The password's hash.
        password_hash,
        /// The token version, a number.
        token_version,
        /// When the user registered, a date. Where it is missing, it is read from the object id.
        created_at,
    }

    /// Sets a field with one role, a text.
    pub fn role(mut self, field: impl Into<String>) -> Self {
        self.roles = Roles::One(field.into());
        self
    }

    /// Sets a field with the roles, an array of texts.
    pub fn roles(mut self, field: impl Into<String>) -> Self {
        self.roles = Roles::Many(field.into());
        self
    }

    /// Sets a field that is `true` for users who may not log in.
    pub fn disabled(mut self, field: impl Into<String>) -> Self {
        self.standing = Standing::Disabled(field.into());
        self
    }

    /// Sets a field that is `false` for users who may not log in.
    pub fn enabled(mut self, field: impl Into<String>) -> Self {
        self.standing = Standing::Enabled(field.into());
        self
    }

    pub(super) fn all(&self) -> [&str; 11] {
        [
            &self.email,
            &self.email_key,
            &self.username,
            &self.username_key,
            &self.name,
            &self.avatar_url,
            &self.password_hash,
            self.roles.field(),
            &self.token_version,
            self.standing.field(),
            &self.created_at,
        ]
    }

    /// Refuses names that would overwrite other data: a path, or one field with two meanings.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let all = self.all();
        for (n, field) in all.iter().enumerate() {
            let bad = field.is_empty() || *field == "_id" || field.starts_with('$') || field.contains(['.', '\0']);
            if bad || all.iter().skip(n + 1).any(|other| other == field) {
                let why = "is not a field at the top of a document, or has two meanings";
                return Err(StoreError::internal(format!("the field `{field}` of the users collection {why}")));
            }
        }
        Ok(())
    }
}
