//! Users and sessions in this process's memory: for tests, examples, and one node that may forget.

mod feed;
mod sessions;
mod shards;
mod store;
mod users;

pub use self::{feed::MemoryFeed, sessions::MemorySessions, store::MemoryStore, users::MemoryUsers};
