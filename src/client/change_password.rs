//! Changing the password.

use std::sync::Arc;

use http::Method;
use serde::Serialize;

use super::{
    ClientAuth, ClientError, ClientErrorKind, login::HASHING, state::Unsaved, tokens::Pair,
    uninterrupted::uninterrupted,
};
use crate::{error::causes, secret::Secret};

#[derive(Serialize)]
struct NewPassword<'a> {
    current_password: &'a str,
    new_password: &'a str,
}

impl ClientAuth {
    /// Changes the password. The user's other sessions end, and this session gets a new pair of
    /// tokens. If the pair cannot be stored at once, it stays in memory for the next call.
    ///
    /// # Errors
    /// - [`ClientErrorKind::Refused`] with the server's code: `wrong_password`,
    ///   `validation_failed`, `too_many_attempts`;
    /// - [`ClientErrorKind::NotLoggedIn`], also if another user has logged in since the call;
    /// - [`ClientErrorKind::Storage`] if the tokens could not be read; the password is unchanged;
    /// - [`ClientErrorKind::Unreachable`], [`ClientErrorKind::Unexpected`] and
    ///   [`ClientErrorKind::Interrupted`]; the password may be changed and this session ended, so
    ///   log in with the new password or with the old one.
    pub async fn change_password(&self, current: Secret<String>, new: Secret<String>) -> Result<(), ClientError> {
        let (this, lineage) = (self.clone(), self.lineage());
        uninterrupted(async move {
            let logged_out = || ClientError::new(ClientErrorKind::NotLoggedIn);
            let body = NewPassword { current_password: current.expose(), new_password: new.expose() };
            let mut pair = this.usable_in(lineage).await?.ok_or_else(logged_out)?;
            // The server refuses the token once at most. Another process may replace it as well.
            for _ in 0..3 {
                if this.change_password_with(&pair, &body).await? {
                    return Ok(());
                }
                pair = this.replacement_of(&pair).await?.ok_or_else(logged_out)?;
            }
            Err(logged_out())
        })
        .await
    }

    /// Returns whether the password was changed. It was not if the server refuses the pair, or if
    /// another pair is stored.
    async fn change_password_with(&self, pair: &Arc<Pair>, body: &NewPassword<'_>) -> Result<bool, ClientError> {
        let _exclusive = self.0.exclusive.lock().await;
        let _locked = self.lock_storage().await?;
        let stored = self.load().await?;
        if !stored.as_ref().is_some_and(|stored| stored.is_same_as(pair)) {
            self.adopt(stored);
            return Ok(false);
        }
        let asked_at = self.clock().now();
        let answer = self.send(Method::PUT, "password", Some(pair), body, HASHING).await?;
        if answer.refuses_the_access_token() {
            return Ok(false);
        }
        let (_, new) = answer.tokens(pair.lineage, asked_at)?;
        let missing = || ClientError::new(ClientErrorKind::Unexpected);
        let new = Arc::new(new.ok_or_else(missing)?);
        let unsaved = Unsaved { presented: pair.refresh.clone(), pair: new, password_changed: true };
        if let Err(error) = self.persist(unsaved).await {
            // This is no error for the caller: the password is changed, so a second try with the
            // old one would fail.
            let cause = causes(Some(&error));
            tracing::warn!(target: "portcullis", cause, "the tokens of a changed password are not stored yet");
        }
        Ok(true)
    }
}
