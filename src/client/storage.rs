//! [`TokenStorage`]: where a client keeps its tokens. [`MemoryStorage`] is for programs that end
//! before their session.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::secret::Secret;

/// The error of a storage. Its text is logged, so it must not repeat what is stored.
pub type StorageError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Stores one text: the tokens of one session.
///
/// Only [`ClientAuth`](super::ClientAuth) knows the format of the text. A program that can read it
/// can act as the user. Make a file readable only by its owner (mode 0600), or better use a keyring
/// of the operating system.
///
/// A call fails after five [timeouts](super::ClientAuthBuilder::timeout) (20 s by default), because
/// another program may be suspended while it holds the lock.
///
/// # Examples
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
///         Ok(StorageLock::none()) // No other process uses this entry.
///     }
/// }
/// ```
#[async_trait]
pub trait TokenStorage: Send + Sync + 'static {
    /// Returns the stored text, whichever process has stored it. Returns `None` if nothing is
    /// stored. Must not cache.
    ///
    /// # Errors
    /// The reason why the text could not be read. The user stays logged in.
    async fn load(&self) -> Result<Option<Secret<String>>, StorageError>;

    /// Replaces the stored text, wholly or not at all. Returns when a crash cannot undo it. For a
    /// file that means: write it beside the old one, sync it and rename it.
    ///
    /// # Errors
    /// The reason why the text could not be stored.
    async fn save(&self, tokens: &Secret<String>) -> Result<(), StorageError>;

    /// Removes the stored text. Succeeds if nothing is stored.
    ///
    /// # Errors
    /// The reason why the text could not be removed.
    async fn clear(&self) -> Result<(), StorageError>;

    /// Waits until no other process changes the stored text. The other processes wait until the
    /// returned lock is dropped.
    ///
    /// The lock is held during a refresh, across the network. Return [`StorageLock::none`] if only
    /// one process uses the storage. For a file, call `std::fs::File::try_lock` every few
    /// milliseconds: the operating system releases that lock when the process ends, and a call that
    /// times out leaves no waiting thread behind.
    ///
    /// Without a lock, two processes that refresh at the same time normally both stay logged in.
    /// The server answers both within its grace, and each process reads what the other has stored
    /// before it stores. But one may store between the other's read and write. A refresh token
    /// older than the grace may be stored then, and its next use ends the session.
    ///
    /// # Errors
    /// The reason why the storage could not be locked.
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

/// Keeps a storage locked until it is dropped.
pub struct StorageLock {
    _held: Option<Box<dyn Any + Send>>,
}

impl StorageLock {
    /// Returns a lock for a storage that no other process uses.
    pub fn none() -> Self {
        Self { _held: None }
    }

    /// Returns a lock that drops `guard` to unlock, for example a locked file.
    pub fn holding(guard: impl Send + 'static) -> Self {
        Self { _held: Some(Box::new(guard)) }
    }
}

impl fmt::Debug for StorageLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageLock")
    }
}

/// Stores the tokens in memory until the program ends. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage(Arc<Mutex<Option<Secret<String>>>>);

impl MemoryStorage {
    /// Returns an empty storage.
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

    /// Locks nothing. All clones are in one process, where one
    /// [`ClientAuth`](super::ClientAuth) is enough.
    async fn lock(&self) -> Result<StorageLock, StorageError> {
        Ok(StorageLock::none())
    }
}
