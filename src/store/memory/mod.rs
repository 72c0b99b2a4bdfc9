//! Users and sessions in the memory of this process. These stores are for tests, for examples, and
//! for a single node whose users may be lost at a restart.

mod feed;
mod sessions;
mod shards;
mod store;
mod users;

pub use self::{feed::MemoryFeed, sessions::MemorySessions, store::MemoryStore, users::MemoryUsers};
