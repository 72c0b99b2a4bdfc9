//! Logging in and registering: both begin a session.

use std::sync::Arc;

use http::Method;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    ClientAuth, ClientError, ClientErrorKind, ServerUser,
    tokens::{Lineage, Pair},
    uninterrupted::uninterrupted,
};
use crate::secret::Secret;

/// How long a login or a password change may take, in timeouts. The server hashes the password, and
/// other passwords may wait before it.
pub(super) const HASHING: u32 = 4;

#[derive(Serialize)]
struct Credentials<'a> {
    login: &'a str,
    password: &'a str,
    delivery: &'static str,
    /// The session that the new one replaces. The server ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl ClientAuth {
    /// Logs in with an e-mail address or username. Returns the user as the server shows it.
    ///
    /// A user who was logged in before is logged out. The login runs to its end even if its caller
    /// stops waiting.
    ///
    /// # Errors
    /// - [`ClientErrorKind::Refused`] with the server's code: `invalid_credentials`;
    ///   `too_many_attempts` with [`retry_after`](ClientError::retry_after); `validation_failed` if
    ///   the server delivers no tokens in bodies;
    /// - [`ClientErrorKind::Storage`] if the tokens could not be stored; the new session is ended;
    /// - [`ClientErrorKind::Unreachable`], [`ClientErrorKind::Unexpected`] and
    ///   [`ClientErrorKind::Interrupted`].
    pub async fn login(&self, login: &str, password: Secret<String>) -> Result<ServerUser, ClientError> {
        let (this, login) = (self.clone(), login.to_owned());
        uninterrupted(async move {
            let before = this.stored_refresh_token().await?;
            let body = Credentials {
                login: &login,
                password: password.expose(),
                delivery: "body",
                refresh_token: before.as_ref().map(|token| token.expose().as_str()),
            };
            this.begin_session("login", &body).await
        })
        .await
    }

    /// Registers a user. Returns the user as the server shows it.
    ///
    /// `fields` holds what else the app asks for, such as `username` and `name`: a struct or a map.
    /// `()` stands for no further fields.
    ///
    /// The new user is logged in, unless the server logs in no new users: see
    /// [`is_logged_in`](Self::is_logged_in).
    ///
    /// # Errors
    /// The same as for [`login`](Self::login), and
    /// - [`ClientErrorKind::Refused`] with `email_taken`, with `username_taken`, or with
    ///   `validation_failed` and the [`fields`](ClientError::fields);
    /// - [`ClientErrorKind::InvalidFields`] if `fields` is neither a struct nor a map; nothing is
    ///   sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use portcullis::client::{ClientAuth, ClientError};
    /// # async fn example(auth: &ClientAuth) -> Result<(), ClientError> {
    /// #[derive(serde::Serialize)]
    /// struct Fields<'a> {
    ///     username: &'a str,
    ///     name: &'a str,
    /// }
    ///
    /// let fields = Fields { username: "ada", name: "Ada Lovelace" };
    /// let user = auth.register("ada@example.com", "open sesame 42".into(), fields).await?;
    /// assert!(user.id().is_some());
    /// # Ok(()) }
    /// ```
    pub async fn register(
        &self,
        email: &str,
        password: Secret<String>,
        fields: impl Serialize,
    ) -> Result<ServerUser, ClientError> {
        // The error of the serializer may repeat a value.
        let mut body = match serde_json::to_value(fields) {
            Ok(Value::Object(fields)) => fields,
            Ok(Value::Null) => Map::new(),
            _ => return Err(ClientError::new(ClientErrorKind::InvalidFields)),
        };
        let (this, email) = (self.clone(), email.to_owned());
        uninterrupted(async move {
            let before = this.stored_refresh_token().await?;
            body.insert("email".to_owned(), email.into());
            body.insert("password".to_owned(), password.expose().as_str().into());
            body.insert("delivery".to_owned(), "body".into());
            if let Some(before) = before {
                body.insert("refresh_token".to_owned(), before.expose().as_str().into());
            }
            this.begin_session("register", &body).await
        })
        .await
    }

    /// Returns the refresh token of the session that the next one replaces. Tokens that cannot be
    /// parsed are replaced as well.
    async fn stored_refresh_token(&self) -> Result<Option<Secret<String>>, ClientError> {
        let text = self.load_text().await?;
        let pair = text.and_then(|text| Pair::from_text(&text, &self.0.server).ok());
        Ok(pair.map(|pair| pair.refresh))
    }

    async fn begin_session(&self, path: &str, body: &impl Serialize) -> Result<ServerUser, ClientError> {
        let _exclusive = self.0.exclusive.lock().await;
        let _locked = self.lock_storage().await?;
        let no_lineage = |error| ClientError::with_source(ClientErrorKind::Unreachable, error);
        let lineage = Lineage::generate().map_err(no_lineage)?;
        let asked_at = self.clock().now();
        let answer = self.send(Method::POST, path, None, body, HASHING).await?;
        let (user, pair) = answer.tokens(lineage, asked_at)?;
        let Some(pair) = pair else { return Ok(user) };
        if let Err(error) = self.save(&pair).await {
            // The user's list of sessions should not show a session without a client.
            let _ = self.end_session(&pair.refresh).await;
            return Err(error);
        }
        let mut state = self.state();
        state.begin(Some(Arc::new(pair)));
        state.ended = None;
        Ok(user)
    }
}
