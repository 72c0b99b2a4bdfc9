//! [`RedisThrottle`]: a [`Throttle`](super::Throttle) that all nodes share.

mod keys;
mod redis_throttle;
mod rules;

pub use self::redis_throttle::RedisThrottle;
