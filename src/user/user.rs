//! [`User`]: the user of the ready stores.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{auth_user::AuthUser, id::UserId, new_user::NewUser};
use crate::{clock::Timestamp, error::FieldError};

/// A user with everything that the ready stores and endpoints need. It is for apps that have no
/// users table yet.
///
/// It is not `Serialize`, because its hash must not reach a client. Answer with
/// [`public()`](AuthUser::public), which serializes. Import the trait [`AuthUser`] for it.
#[derive(Clone)]
#[non_exhaustive]
pub struct User {
    /// Id of the user. It is never given to another user.
    pub id: UserId,
    /// E-mail address, as it was registered.
    pub email: String,
    /// Username, as it was registered.
    pub username: Option<String>,
    /// The name to show.
    pub name: Option<String>,
    /// Address of a picture.
    pub avatar_url: Option<String>,
    /// Roles that access tokens carry. The app sets them, a client never does.
    pub roles: Vec<String>,
    /// Hash of the password, as a PHC string. `None` for a user without a password.
    pub password_hash: Option<String>,
    /// Token version. Raising it makes every token of the user invalid.
    pub token_version: u64,
    /// Whether the user is disabled. A disabled user cannot log in.
    pub disabled: bool,
    /// When the user registered, in milliseconds.
    pub created_at: Timestamp,
}

impl User {
    /// Makes a user of a registration. The token version is 0, there are no roles, and the user is
    /// not disabled.
    pub fn from_new(id: UserId, new: NewUser<Profile>) -> Self {
        Self {
            id,
            email: new.email.as_str().to_owned(),
            username: new.username.map(|username| username.as_str().to_owned()),
            name: given(new.registration.name),
            avatar_url: given(new.registration.avatar_url),
            roles: Vec::new(),
            password_hash: new.password_hash.map(|hash| hash.as_str().to_owned()),
            token_version: 0,
            disabled: false,
            created_at: new.created_at,
        }
    }
}

/// What a registration may contain besides the e-mail address, the username and the password.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The name to show, at most 200 characters.
    pub name: Option<String>,
    /// Address of a picture: an `https:` or `http:` address of at most 2,048 bytes.
    pub avatar_url: Option<String>,
}

/// What clients see of a [`User`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are those of `User`")]
pub struct PublicUser {
    pub id: String,
    pub email: String,
    pub username: Option<String>,
    pub name: Option<String>,
    pub avatar_url: Option<String>,
    pub roles: Vec<String>,
    pub created_at: Timestamp,
}

impl AuthUser for User {
    type Registration = Profile;
    type Public = PublicUser;

    fn id(&self) -> UserId {
        self.id.clone()
    }

    fn password_hash(&self) -> Option<&str> {
        self.password_hash.as_deref()
    }

    fn token_version(&self) -> u64 {
        self.token_version
    }

    fn is_disabled(&self) -> bool {
        self.disabled
    }

    fn roles(&self) -> Vec<&str> {
        self.roles.iter().map(String::as_str).collect()
    }

    fn public(&self) -> PublicUser {
        PublicUser {
            id: self.id.as_str().to_owned(),
            email: self.email.clone(),
            username: self.username.clone(),
            name: self.name.clone(),
            avatar_url: self.avatar_url.clone(),
            roles: self.roles.clone(),
            created_at: self.created_at,
        }
    }

    fn names(&self) -> Vec<&str> {
        [Some(self.email.as_str()), self.username.as_deref(), self.name.as_deref()].into_iter().flatten().collect()
    }

    fn names_in(profile: &Profile) -> Vec<&str> {
        profile.name.as_deref().into_iter().collect()
    }

    fn check_registration(profile: &Profile) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(name) = profile.name.as_deref().filter(|name| !name.is_empty()) {
            if name.trim().is_empty() {
                errors.push(FieldError::new("name", "blank", "The name is blank."));
            } else if name.chars().count() > 200 {
                errors.push(FieldError::new("name", "too_long", "The name has more than 200 characters."));
            } else if name.chars().any(char::is_control) {
                errors.push(FieldError::new("name", "invalid_name", "The name has control characters."));
            }
        }
        if let Some(url) = profile.avatar_url.as_deref().filter(|url| !url.is_empty()) {
            if url.len() > 2048 {
                errors.push(FieldError::new("avatar_url", "too_long", "The address has more than 2,048 bytes."));
            } else if !is_web_address(url) {
                // An address with `javascript:` or `data:` could run code in the browser of a user
                // who looks at the picture.
                errors.push(FieldError::new("avatar_url", "invalid_url", "This is not an http or https address."));
            }
        }
        errors
    }
}

/// Replaces an empty text by `None`, because HTML forms send an empty text for a field without
/// input.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn is_web_address(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|h| !h.is_empty())
    })
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("email", &self.email)
            .field("username", &self.username)
            .field("name", &self.name)
            .field("roles", &self.roles)
            .field("password_hash", &self.password_hash.as_ref().map(|_| "[redacted]"))
            .field("token_version", &self.token_version)
            .field("disabled", &self.disabled)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_checked_field_by_field() {
        let profile = Profile { name: Some("  ".into()), avatar_url: Some("javascript:alert(1)".into()) };
        let errors = User::check_registration(&profile);
        let codes: Vec<_> = errors.iter().map(|e| (e.field.as_ref(), e.code.as_ref())).collect();
        assert_eq!(codes, [("name", "blank"), ("avatar_url", "invalid_url")]);
        let good = Profile { name: Some("Ada".into()), avatar_url: Some("https://example.com/a.png".into()) };
        assert!(User::check_registration(&good).is_empty());
    }
}
