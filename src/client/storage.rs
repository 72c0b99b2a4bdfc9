//! Where a client keeps its tokens: [`TokenStorage`], and [`MemoryStorage`] for programs that end before their session.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::secret::Secret;

/// What went wrong with a storage. Its text is passed on and logged: it must not repeat what is stored.
pub type StorageError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Keeps one text, the tokens of one session.
///
/// What the text says is nobody's business but [`ClientAuth`](super::ClientAuth)'s. Whoever reads it is signed in: a file
/// is for its owner alone (mode 0600), a keyring of the operating system is better.
///
/// A call that takes longer than five [timeouts](super::ClientAuthBuilder::timeout), 20 seconds unless set, is given up, and
/// is an error: another program may have been stopped while it held the lock.
///
/// ```
/// use async_trait::async_trait;
/// use portcullis::{Secret, client::{StorageError, StorageLock, TokenStorage}};
///
/// struct Keyring;
///
/// # fn get() -> Option<String> { None }
/// # fn set(_: Option<&str>) {}
/// #[async_trait]
/// impl TokenStorage for Keyring {
///     async fn load(&self) -> Result<Option<Secret<String>>, StorageError> {
///         Ok(get().map(Secret::new))
///     }
///
///     async fn save(&self, tokens: &Secret<String>) -> Result<(), StorageError> {
///         Ok(set(Some(tokens.expose())))
///     }
///
///     async fn clear(&self) -> Result<(), StorageError> {
///         Ok(set(None))
///     }
///
///     async fn lock(&self) -> Result<StorageLock, StorageError> {
///         Ok(StorageLock::none()) // Nobody else uses this entry.
///     }
/// }
/// ```
#[async_trait]
pub trait TokenStorage: Send + Sync + 'static {
    /// What is stored, by whichever process; `None` where there is nothing. Nothing is cached here.
    ///
    /// # Errors
    /// What kept it from being read, in which case nobody is signed out.
    async fn load(&self) -> Result<Option<Secret<String>>, StorageError>;

    /// Puts this in the place of what is stored, wholly or not at all, and returns when a crash cannot undo it: a file is
    /// written beside the old one, synced, and renamed.
    ///
    /// # Errors
    /// What kept it from being stored.
    async fn save(&self, tokens: &Secret<String>) -> Result<(), StorageError>;

    /// Removes what is stored; it is no error where there is nothing.
    ///
    /// # Errors
    /// What kept it from being removed.
    async fn clear(&self) -> Result<(), StorageError>;

    /// Waits until no other process changes what is stored, and keeps them waiting until the answer is dropped.
    ///
    /// It is held while tokens are refreshed, across the network. Without it two processes that refresh at once still come
    /// out signed in, because the server answers both for its grace, and what another one stored meanwhile is never
    /// overwritten as far as can be seen; what cannot be seen is a write between the last look and our own, after which a
    /// token that is older than the grace could come back and end the session. [`StorageLock::none`] where one process
    /// alone uses this storage, `std::fs::File::try_lock` now and then for files: it ends with its process, and who gives up
    /// leaves no thread behind that waits.
    ///
    /// # Errors
    /// What kept it from being locked.
    async fn lock(&self) -> Result<StorageLock, StorageError>;
}

#[async_trait]
impl<S: TokenStorage + ?Sized> TokenStorage for Arc<S> {
    async fn load(&self) -> Result<Option<Secret<String>>, StorageError> {
        (**self).load().await
    }

    async fn save(&self, tokens: &Secret<String>) -> Result<(), StorageError> {
        (**self).save(tokens).await
    }

    async fn clear(&self) -> Result<(), StorageError> {
        (**self).clear().await
    }

    async fn lock(&self) -> Result<StorageLock, StorageError> {
        (**self).lock().await
    }
}

/// A locked storage, unlocked when this is dropped.
pub struct StorageLock {
    _held: Option<Box<dyn Any + Send>>,
}

impl StorageLock {
    /// For storages that nobody else uses.
    pub fn none() -> Self {
        Self { _held: None }
    }

    /// Unlocks by dropping this: a locked file, a guard.
    pub fn holding(guard: impl Send + 'static) -> Self {
        Self { _held: Some(Box::new(guard)) }
    }
}

impl fmt::Debug for StorageLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageLock")
    }
}

/// Keeps tokens until the program ends; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage(Arc<Mutex<Option<Secret<String>>>>);

impl MemoryStorage {
    /// An empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    fn stored(&self) -> MutexGuard<'_, Option<Secret<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStorage for MemoryStorage {
    async fn load(&self) -> Result<Option<Secret<String>>, StorageError> {
        Ok(self.stored().clone())
    }

    async fn save(&self, tokens: &Secret<String>) -> Result<(), StorageError> {
        *self.stored() = Some(tokens.clone());
        Ok(())
    }

    async fn clear(&self) -> Result<(), StorageError> {
        *self.stored() = None;
        Ok(())
    }

    /// Its clones live in one process, where one [`ClientAuth`](super::ClientAuth) is enough.
    async fn lock(&self) -> Result<StorageLock, StorageError> {
        Ok(StorageLock::none())
    }
}
