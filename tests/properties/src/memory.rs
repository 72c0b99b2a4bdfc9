//! The memory store, as a factory of stores.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis::{
    clock::Timestamp,
    store::{UserAdmin, memory::MemoryStore},
    user::UserId,
};

use crate::{Admin, StoreFactory, Stores, faulty::Control};

/// Makes empty [`MemoryStore`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

#[async_trait]
impl StoreFactory for Memory {
    async fn open(&self, _: &Control) -> Stores {
        let store = MemoryStore::new();
        Stores { users: Arc::new(store.clone()), sessions: Arc::new(store.clone()), admin: Arc::new(store) }
    }
}

#[async_trait]
impl Admin for MemoryStore {
    async fn set_disabled(&self, user: &UserId, disabled: bool) {
        UserAdmin::set_disabled(self, user, disabled).await.expect("memory does not fail");
    }

    async fn delete(&self, user: &UserId) {
        self.remove_user(user).await.expect("memory does not fail");
    }

    async fn sweep(&self, now: Timestamp) {
        self.sessions().sweep(now);
    }
}
