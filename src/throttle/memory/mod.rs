//! The default [`Throttle`](super::Throttle): it counts in the bounded memory of this process.

mod budget;
pub(super) mod first_guess;
mod memory_throttle;
pub(super) mod rules;

pub use self::memory_throttle::MemoryThrottle;
