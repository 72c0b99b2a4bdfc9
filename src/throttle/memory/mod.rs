//! The default [`Throttle`](super::Throttle): it counts in the bounded memory of this process.

mod budget;
mod first_guess;
mod memory_throttle;

pub use self::memory_throttle::MemoryThrottle;
