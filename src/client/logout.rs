//! Logging out, and forgetting the tokens.

use http::Method;

use super::{ClientAuth, ClientError, api::Presented, uninterrupted::uninterrupted};
use crate::secret::Secret;

impl ClientAuth {
    /// Ends the session at the server and then forgets its tokens. Succeeds if no user is logged
    /// in.
    ///
    /// # Errors
    /// - [`Unreachable`](super::ClientErrorKind::Unreachable),
    ///   [`Refused`](super::ClientErrorKind::Refused) and
    ///   [`Unexpected`](super::ClientErrorKind::Unexpected); the tokens stay, so try again, or
    ///   [`forget`](Self::forget) them;
    /// - [`Storage`](super::ClientErrorKind::Storage) if the tokens could not be read or removed;
    /// - [`Interrupted`](super::ClientErrorKind::Interrupted).
    pub async fn logout(&self) -> Result<(), ClientError> {
        let this = self.clone();
        uninterrupted(async move {
            let _exclusive = this.0.exclusive.lock().await;
            let _locked = this.lock_storage().await?;
            let unsaved = this.state().unsaved.clone();
            let refresh = match unsaved {
                Some(unsaved) => Some(unsaved.pair.refresh.clone()),
                None => this.load().await?.map(|pair| pair.refresh),
            };
            if let Some(refresh) = refresh {
                this.end_session(&refresh).await?;
            }
            this.forget_locked().await
        })
        .await
    }

    /// Forgets the tokens without a request to the server. The session goes on there until it
    /// expires.
    ///
    /// # Errors
    /// [`Storage`](super::ClientErrorKind::Storage) and
    /// [`Interrupted`](super::ClientErrorKind::Interrupted).
    pub async fn forget(&self) -> Result<(), ClientError> {
        let this = self.clone();
        uninterrupted(async move {
            let _exclusive = this.0.exclusive.lock().await;
            let _locked = this.lock_storage().await?;
            this.forget_locked().await
        })
        .await
    }

    /// Ends the session of a refresh token at the server.
    pub(super) async fn end_session(&self, refresh: &Secret<String>) -> Result<(), ClientError> {
        let body = Presented { refresh_token: refresh.expose() };
        self.send(Method::POST, "logout", None, &body, 1).await?.success()
    }

    async fn forget_locked(&self) -> Result<(), ClientError> {
        self.clear().await?;
        self.state().begin(None);
        Ok(())
    }
}
