//! [`ServerUser`]: a user as the server shows it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ClientError, ClientErrorKind};

/// A user as the server shows it, in the answer to a login or a registration.
///
/// The server's [`AuthUser::Public`](crate::AuthUser::Public) decides which fields it has. `Debug`
/// shows the id alone.
///
/// # Examples
///
/// ```
/// use portcullis::client::{ClientError, ServerUser};
///
/// #[derive(serde::Deserialize)]
/// struct Profile {
///     email: String,
///     name: Option<String>,
/// }
///
/// fn greeting(user: &ServerUser) -> Result<String, ClientError> {
///     let profile: Profile = user.fields()?;
///     Ok(format!("Hello {}!", profile.name.unwrap_or(profile.email)))
/// }
/// ```
#[derive(Clone)]
pub struct ServerUser {
    id: Option<String>,
    fields: Value,
}

impl ServerUser {
    pub(super) fn new(fields: Value) -> Self {
        let id = match fields.get("id") {
            Some(Value::String(id)) => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        Self { id, fields }
    }

    /// Returns the field `id`: a string, or a number as text. Returns `None` if the server shows no
    /// such field.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the fields in a type of the program's own, such as a struct that derives
    /// `Deserialize`.
    ///
    /// # Errors
    /// [`ClientErrorKind::Unexpected`] if the fields do not fit the type.
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        // The error of the deserializer may repeat a value.
        let misfit =
            |_| ClientError::with_source(ClientErrorKind::Unexpected, "the server's user does not fit the type");
        T::deserialize(&self.fields).map_err(misfit)
    }
}

impl fmt::Debug for ServerUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerUser").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Profile {
        email: String,
    }

    #[test]
    fn an_id_is_text_whatever_type_the_server_gives_it() {
        for (user, id) in [
            (json!({ "id": "7" }), Some("7")),
            (json!({ "id": 7 }), Some("7")),
            (json!({ "id": null }), None),
            (json!({}), None),
            (Value::Null, None),
        ] {
            assert_eq!(ServerUser::new(user).id(), id);
        }
    }

    #[test]
    fn fields_that_do_not_fit_are_an_error_that_hides_them() {
        let user = ServerUser::new(json!({ "id": "7", "email": "canary@example.com" }));
        assert_eq!(user.fields::<Profile>().unwrap().email, "canary@example.com");
        let user = ServerUser::new(json!({ "id": "7", "email": ["canary"] }));
        let error = user.fields::<Profile>().map(drop).unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Unexpected);
        let shown = format!("{user:?} {error} {error:?}");
        assert!(shown.contains('7') && !shown.contains("canary"), "{shown}");
    }
}
