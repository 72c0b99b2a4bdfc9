//! Stores pairs and reads them.
//!
//! A new pair is stored before it is held, so that a pair that was used is found again after a
//! crash.

use std::{future::Future, sync::Arc};

use super::{
    ClientAuth, ClientError, StorageError, StorageLock,
    state::{Held, Outcome, Unsaved},
    tokens::{Pair, Unusable},
};
use crate::secret::Secret;

/// How long a call of the storage may take, in timeouts. Another process holds the lock while it
/// logs in or refreshes, and a keyring may ask its user.
const STORAGE: u32 = 5;

impl ClientAuth {
    /// Holds the stored pair, unless it belongs to an ended session that the storage failed to
    /// remove.
    pub(super) fn adopt(&self, stored: Option<Pair>) -> Held {
        let mut state = self.state();
        let has_ended = |pair: &Pair| state.ended.as_ref().is_some_and(|ended| ended.expose() == pair.refresh.expose());
        let stored = stored.filter(|pair| !has_ended(pair)).map(Arc::new);
        state.held.clone_from(&stored);
        stored
    }

    /// Stores a new pair and then holds it.
    ///
    /// A pair that cannot be stored stays in [`State::unsaved`](super::state::State::unsaved) until
    /// the next call. The server now expects its refresh token, so it must not be lost while this
    /// process runs.
    pub(super) async fn persist(&self, unsaved: Unsaved) -> Outcome {
        self.state().unsaved = Some(unsaved.clone());
        let Unsaved { presented, pair, password_changed } = unsaved;
        // If the storage cannot be read, it may hold a pair that is newer than ours.
        let text = self.load_text().await?;
        let newer = match text.map(|text| Pair::from_text(&text, &self.0.server)).transpose() {
            Ok(Some(stored)) if stored.refresh.expose() == presented.expose() => None,
            // The password change has invalidated the stored pair.
            Ok(Some(stored)) if password_changed && stored.is_before(&pair) => None,
            // Another process was faster. Its pair is no older than ours.
            Ok(Some(stored)) => Some(Some(stored)),
            // Another process took the session for ended, because the password change had
            // invalidated its pair.
            Ok(None) if password_changed => None,
            // Another process has logged out, or has forgotten the tokens.
            Ok(None) => Some(None),
            // A save that failed may have stored a part of a text.
            Err(Unusable::Garbled) => None,
            Err(error) => return Err(ClientError::storage(error)),
        };
        let held = if let Some(stored) = newer {
            self.adopt(stored)
        } else {
            self.save(&pair).await?;
            self.hold(Some(Arc::clone(&pair)));
            Some(pair)
        };
        self.state().unsaved = None;
        Ok(held)
    }

    pub(super) async fn save(&self, pair: &Pair) -> Result<(), ClientError> {
        let text =
            pair.to_text(&self.0.server).ok_or_else(|| ClientError::storage("the tokens could not be serialized"))?;
        self.in_time(self.0.storage.save(&text)).await
    }

    pub(super) async fn load(&self) -> Result<Option<Pair>, ClientError> {
        let text = self.load_text().await?;
        text.map(|text| Pair::from_text(&text, &self.0.server)).transpose().map_err(ClientError::storage)
    }

    pub(super) async fn load_text(&self) -> Result<Option<Secret<String>>, ClientError> {
        self.in_time(self.0.storage.load()).await
    }

    pub(super) async fn clear(&self) -> Result<(), ClientError> {
        self.in_time(self.0.storage.clear()).await
    }

    pub(super) async fn lock_storage(&self) -> Result<StorageLock, ClientError> {
        self.in_time(self.0.storage.lock()).await
    }

    /// Times out, because the holder of the lock may be suspended.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StorageError>>) -> Result<T, ClientError> {
        let done = tokio::time::timeout(self.0.settings.timeout * STORAGE, work).await;
        done.unwrap_or_else(|_| Err("the storage takes too long".into())).map_err(ClientError::storage)
    }
}
