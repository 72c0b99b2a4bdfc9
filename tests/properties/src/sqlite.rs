//! The SQLite store, as a factory of stores. Each schedule has a file.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use portcullis::{
    clock::Timestamp,
    store::{UserAdmin, sql::SqliteStore},
    user::UserId,
};

use crate::{Admin, StoreFactory, Stores, faulty::Control};

/// Makes empty [`SqliteStore`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sqlite;

#[async_trait]
impl StoreFactory for Sqlite {
    async fn open(&self, _: &Control) -> Stores {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("portcullis-properties-{}-{number}.db", process::id()));
        let store = SqliteStore::open(&path).await.expect("a new file can be opened");
        let file = File { store: store.clone(), path };
        Stores { users: Arc::new(store.clone()), sessions: Arc::new(store), admin: Arc::new(file) }
    }
}

/// A database that is deleted with its schedule.
struct File {
    store: SqliteStore,
    path: PathBuf,
}

impl Drop for File {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            // A file that does not exist need not be deleted.
            let _ = fs::remove_file(path);
        }
    }
}

#[async_trait]
impl Admin for File {
    async fn set_disabled(&self, user: &UserId, disabled: bool) {
        self.store.set_disabled(user, disabled).await.expect("the database beneath works");
    }

    async fn delete(&self, user: &UserId) {
        self.store.remove_user(user).await.expect("the database beneath works");
    }

    async fn sweep(&self, now: Timestamp) {
        self.store.sweep(now).await.expect("the database beneath works");
    }
}
