//! Sessions in memory.

mod memory_sessions;
mod shard;

pub use self::memory_sessions::MemorySessions;
