//! Slows guesses at passwords by delays that grow with failures. Every delay is capped: strangers
//! may delay an owner who is at a new address with a new device, but they cannot disable a login.
//!
//! [`Auth`](crate::Auth) asks its [`Throttle`] whether an attempt may go on, before it looks a
//! login up and before it hashes anything. Afterwards it says how the attempt ended. An unknown
//! login is counted like a known one, so that the answers do not distinguish them. A right password
//! that comes while a delay runs is refused too. Otherwise the delay would slow no guesser.
//!
//! # What is counted
//!
//! | what | by | free | then wait | at most | one forgotten every |
//! |---|---|---|---|---|---|
//! | failed logins | login and address; user and address | 5 | 1 s, doubling | 15 min | hour |
//! | failed logins | device that has logged in before | 5 | 1 s, doubling | 15 min | hour |
//! | failed logins | login, from anywhere; user, from anywhere | 50 | 1 s, doubling | 1 min | minute |
//! | failed logins | all devices of a user that have logged in before | 50 | 1 s, doubling | 1 min | minute |
//! | failed logins | address (IPv4 or /64), for any login | 40 | 1 s, doubling | 2 min | 2 min |
//! | failed logins | /56, for any login | 80 | 1 s, doubling | 1 min | minute |
//! | failed logins | /48, for any login | 240 | 1 s, doubling | 15 s | 15 s |
//! | good logins | user | 60 | 1 s, doubling | 1 min | minute |
//! | registrations, whatever their end | address (IPv4 or /64) | 20 | 1 s, doubling | 2 min | 2 min |
//! | registrations, whatever their end | /56 | 40 | 1 s, doubling | 1 min | minute |
//! | registrations, whatever their end | /48 | 120 | 1 s, doubling | 15 s | 15 s |
//! | wrong current passwords | session | 5 | 1 s, doubling | 15 min | hour |
//! | wrong current passwords | user | 50 | 1 s, doubling | 1 min | minute |
//!
//! - A person who mistypes five times notices nothing; ten failures in a row have cost half a
//!   minute.
//! - An attempt counts from its beginning and is taken back when it succeeds. Of a thousand guesses
//!   sent at once six go on. A script that logs one user in ten times at once from one address
//!   therefore waits as well. Load tests can switch the throttle off.
//! - A successful login forgets the failures of its login and address, and nothing else.
//! - A user has several logins: an e-mail address, a username, and other spellings where a store
//!   takes them as equal. Once the user is found, all of them share one budget.
//! - Successful logins are counted as well, because each leaves a record of a session in the store.
//!   Only successful ones count, so that a stranger cannot spend those of an owner.
//! - Nothing is counted by address where the address is unknown, or is that of a proxy. An address
//!   counts as that of a proxy where it is private and no proxy hops are configured. One budget for
//!   all clients would let any client close it for the others. Only the delay of the login is left,
//!   and the log says so once.
//!
//! # Devices and addresses that strangers cannot delay
//!
//! - **A device that has logged in before.** Its request brings a refresh token of this service for
//!   that user. The token may be of any generation, may have expired, and its session may have
//!   ended, but a key that is still in use must have signed it. Browsers send it in the cookie,
//!   other clients as the member `refresh_token` of the login's body. The device has a strict
//!   budget of its own, and the failures of strangers do not use it. A logout clears the cookie,
//!   and a browser drops the cookie when its session expires. The browser is unknown afterwards.
//! - **An address that has logged in to that login before.** Only its own failures delay it, until
//!   this process restarts. That remains after a logout. A neighbour behind the same address shares
//!   this budget.
//! - **A new address** that meets the delay of a login. The answer names a time to wait. It is
//!   admitted once when it comes back after that time, within five minutes, even where many
//!   strangers were faster.
//!   A stranger can use these *first guesses* as well as the owner, so that they are bounded. A
//!   login has 60 an hour, and 5 at once. For one login, an IPv4 address or a /64 has 3 a day, a
//!   /56 has 6 and a /48 has 16, and twice as many on the first day. They are given out up to 15
//!   minutes ahead. A botnet that takes all of them delays an owner who is at a new address with a
//!   new device, for as long as it guesses.
//!
//! # What botnets get
//!
//! The table counts guesses that are admitted, where each bot guesses as soon as it may. The
//! figures come from a simulation that runs as a test (`tests/library/botnets.rs`). With a /48 an
//! attacker has 65,536 addresses.
//!
//! | botnet | one login, an hour | a day | all logins, an hour | a day |
//! |---|---|---|---|---|
//! | 1 IPv4 address | 18 | 110 | 77 | 767 |
//! | 100 IPv4 addresses | 138 | 1,839 | 7,697 | 76,700 |
//! | 10,000 IPv4 addresses | 129 | 1,899 | 769,502 | 7,670,000 |
//! | one /64 | 18 | 110 | 77 | 767 |
//! | one /56 | 116 | 1,501 | 146 | 1,526 |
//! | one /48 | 117 | 1,497 | 484 | 6,004 |
//!
//! The first day of a still larger flood is bounded too, by 1,490 guesses in the budget of the
//! login and 1,445 first guesses. A stolen or leaked refresh token of the user adds 110 a day, a
//! leaked refresh key 1,490.
//!
//! # Where it is kept
//!
//! [`MemoryThrottle`] is the default. It counts for this process only, and its memory is bounded.
//! With several nodes a guesser has as many budgets as there are nodes.
//!
//! `RedisThrottle` (feature `redis_1`) counts the same in Redis, for all nodes together, with one
//! script for each call. For another shared store, implement [`Throttle`].
//!
//! The counters are our own, over a bounded map. `governor` has neither delays that grow with
//! failures nor a reset of one key, and its keyed state grows until the caller sweeps it.

mod attempt;
mod backoff;
mod bounded_map;
#[cfg(feature = "conformance")]
pub mod conformance;
mod event_dedup;
mod memory;
mod quota;
#[cfg(feature = "redis_1")]
mod redis;
mod throttle;
mod units;

pub(crate) use self::event_dedup::EventDedup;
#[cfg(feature = "redis_1")]
pub use self::redis::RedisThrottle;
pub use self::{
    attempt::{Account, Action, Address, Attempt, Network, Source},
    memory::MemoryThrottle,
    throttle::{Admission, Outcome, Throttle},
};
