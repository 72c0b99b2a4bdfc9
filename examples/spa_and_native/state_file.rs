//! Tokens in a file that only its owner can read. Commands that run at once take turns with it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use portcullis::{
    Secret,
    client::{StorageError, StorageLock, TokenStorage},
};

/// One session in one file.
pub(crate) struct StateFile(PathBuf);

impl StateFile {
    /// Uses this file. Creates its directory if it is missing.
    pub(crate) fn at(path: PathBuf) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            create_directory(directory)?;
        }
        Ok(Self(path))
    }

    /// Returns the path of a file beside this one: the next version, or the lock.
    fn beside(&self, extension: &str) -> PathBuf {
        let mut name = self.0.clone().into_os_string();
        name.push(extension);
        name.into()
    }
}

#[async_trait]
impl TokenStorage for StateFile {
    async fn load(&self) -> Result<Option<Secret<String>>, StorageError> {
        let path = self.0.clone();
        blocking(move || match fs::read_to_string(path) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Writes beside the old file and then replaces it. A reader finds one or the other, also after
    /// a crash.
    async fn save(&self, tokens: &Secret<String>) -> Result<(), StorageError> {
        let (path, next, tokens) = (self.0.clone(), self.beside(".next"), tokens.clone());
        blocking(move || {
            remove(&next)?;
            let mut file = private().write(true).create_new(true).open(&next)?;
            file.write_all(tokens.expose().as_bytes())?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            // The new name is on the disk when the directory is.
            #[cfg(unix)]
            File::open(path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
                .sync_all()?;
            Ok(())
        })
        .await
    }

    async fn clear(&self) -> Result<(), StorageError> {
        let path = self.0.clone();
        blocking(move || remove(&path)).await
    }

    /// Locks a file of its own, because the other one is replaced. The operating system unlocks it
    /// when the process ends.
    async fn lock(&self) -> Result<StorageLock, StorageError> {
        let path = self.beside(".lock");
        let file = blocking(move || private().write(true).create(true).truncate(false).open(path)).await?;
        // A thread that waits in `lock` would keep this program from ending while the other one is
        // suspended.
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(StorageLock::holding(file)),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, StorageError> {
    Ok(tokio::task::spawn_blocking(work).await??)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns options for files that only their owner can read.
fn private() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "other systems keep a user's directories private themselves"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}
