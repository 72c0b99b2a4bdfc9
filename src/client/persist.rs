//! What is stored, and what of it is held. A new pair is stored before it is held, so that what is used can be found again
//! after a crash.

use std::{future::Future, sync::Arc};

use super::{
    ClientAuth, ClientError, StorageError, StorageLock,
    refresh::{Held, Outcome},
    tokens::{Pair, Unusable},
};
use crate::secret::Secret;

/// A pair that is yet to be stored.
#[derive(Clone)]
pub(super) struct Unsaved {
    /// What the storage has to hold for this pair to follow it.
    pub(super) presented: Secret<String>,
    pub(super) pair: Arc<Pair>,
    /// Whether it is from a change of the password, after which no token from before it is good.
    pub(super) password_changed: bool,
}

/// How long a storage may take, in timeouts: another process holds the lock while it signs in or refreshes, and a keyring
/// may ask its user.
const STORAGE: u32 = 5;

impl ClientAuth {
    /// Takes over what is stored, unless it is what the storage would not forget.
    pub(super) fn adopt(&self, stored: Option<Pair>) -> Held {
        let mut state = self.state();
        let is_over = |pair: &Pair| state.over.as_ref().is_some_and(|over| over.expose() == pair.refresh.expose());
        let stored = stored.filter(|pair| !is_over(pair)).map(Arc::new);
        state.held.clone_from(&stored);
        stored
    }

    /// Stores a new pair, and only then holds it. What cannot be stored waits, unused, for the next try: the server counts
    /// on it now, so it must not be lost while this process lives.
    pub(super) async fn keep(&self, unsaved: Unsaved) -> Outcome {
        self.state().unsaved = Some(unsaved.clone());
        let Unsaved { presented, pair, password_changed } = unsaved;
        // What cannot be read just now may be newer than ours.
        let text = self.load_text().await?;
        let newer = match text.map(|text| Pair::from_text(&text, &self.0.server)).transpose() {
            Ok(Some(stored)) if stored.refresh.expose() == presented.expose() => None,
            // From before the change, which outdated it.
            Ok(Some(stored)) if password_changed && stored.is_before(&pair) => None,
            // Another process was faster, and what it stored is no older than ours.
            Ok(Some(stored)) => Some(Some(stored)),
            // Another process took the session for over, because the change had outdated its token.
            Ok(None) if password_changed => None,
            // Another process has signed out, or forgotten.
            Ok(None) => Some(None),
            // A save that failed may have left half of something.
            Err(Unusable::Garbled) => None,
            Err(error) => return Err(ClientError::storage(error)),
        };
        let kept = if let Some(stored) = newer {
            self.adopt(stored)
        } else {
            self.save(&pair).await?;
            self.hold(Some(Arc::clone(&pair)));
            Some(pair)
        };
        self.state().unsaved = None;
        Ok(kept)
    }

    pub(super) async fn save(&self, pair: &Pair) -> Result<(), ClientError> {
        let text = pair.to_text(&self.0.server).ok_or_else(|| ClientError::storage("the tokens have no text"))?;
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

    pub(super) async fn locked(&self) -> Result<StorageLock, ClientError> {
        self.in_time(self.0.storage.lock()).await
    }

    /// Whoever holds the lock may have been stopped, and nobody shall hang for it.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, StorageError>>) -> Result<T, ClientError> {
        let done = tokio::time::timeout(self.0.settings.timeout * STORAGE, work).await;
        done.unwrap_or_else(|_| Err("it took too long".into())).map_err(ClientError::storage)
    }
}
