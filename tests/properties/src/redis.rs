//! Sessions in Redis, as a factory of stores. Each schedule has its own keys in one server. The
//! users are in memory.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use portcullis::store::{
    memory::MemoryStore,
    redis::{Persistence, RedisOptions, RedisSessions},
};

use crate::{StoreFactory, Stores, faulty::Control};

/// Makes empty [`RedisSessions`] in the server of this URL.
#[derive(Clone, Debug)]
pub struct Redis(pub String);

#[async_trait]
impl StoreFactory for Redis {
    async fn open(&self, _: &Control) -> Stores {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("p{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let options = RedisOptions::from(self.0.as_str()).key_prefix(prefix).persistence(Persistence::Nothing);
        let sessions = RedisSessions::connect(options).await.expect("the server of the test answers");
        let users = MemoryStore::new();
        Stores { users: Arc::new(users.clone()), sessions: Arc::new(sessions), admin: Arc::new(users) }
    }
}
