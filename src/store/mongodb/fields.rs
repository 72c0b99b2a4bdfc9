//! How the fields of a users collection are called.

use crate::store::StoreError;

/// How the fields of a users collection are called, for collections that an app has already.
///
/// [`mongoose`](Self::mongoose) has the names that Express apps with Mongoose use; each can be changed. A field that is not
/// there, or `null`, is as if it had its least value: no name, no roles, token version 0, not disabled. What a document has
/// besides is left as it is.
///
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

/// Both kinds are read either way; they differ in what is written.
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
    /// `email`, `username`, `fullName`, `avatar`, `password`, `role` (one), `tokenVersion`, `disabled`, `createdAt`; and
    /// `emailKey` and `usernameKey`, which are added.
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

    /// What a collection of our own has.
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
        /// The e-mail address as it is looked up: see [`Email::key`](crate::user::Email::key).
        email_key,
        /// The username, as it was registered.
        username,
        /// The username as it is looked up: see [`Username::key`](crate::user::Username::key).
        username_key,
        /// The name to show.
        name,
        /// Where a picture is.
        avatar_url,
        /// The password's hash.
        password_hash,
        /// The token version, a number.
        token_version,
        /// When the user registered, a date; the id tells it where there is none.
        created_at,
    }

    /// A field with one role, a text.
    pub fn role(mut self, field: impl Into<String>) -> Self {
        self.roles = Roles::One(field.into());
        self
    }

    /// A field with the roles, an array of texts.
    pub fn roles(mut self, field: impl Into<String>) -> Self {
        self.roles = Roles::Many(field.into());
        self
    }

    /// A field that is `true` for users who may not sign in.
    pub fn disabled(mut self, field: impl Into<String>) -> Self {
        self.standing = Standing::Disabled(field.into());
        self
    }

    /// A field that is `false` for users who may not sign in.
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

    /// Two meanings of one field, or a path, would have us write over what is not ours.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let all = self.all();
        for (n, field) in all.iter().enumerate() {
            let bad = field.is_empty() || *field == "_id" || field.starts_with('$') || field.contains(['.', '\0']);
            if bad || all.iter().skip(n + 1).any(|other| other == field) {
                let why = "is no field at the top of a document, or stands for two things";
                return Err(StoreError::internal(format!("the field `{field}` of the users collection {why}")));
            }
        }
        Ok(())
    }
}
