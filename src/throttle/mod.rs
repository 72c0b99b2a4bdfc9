//! Slows guesses at passwords: delays that grow with failures, are capped, and lock nobody out.
//!
//! Before a login is looked up, and before anything is hashed, [`Auth`](crate::Auth) asks its
//! [`Throttle`] whether an attempt may go on, and afterwards says how it ended. An unknown login is
//! asked about and counted just as a known one, so the answers do not distinguish them. A right
//! password that comes while a delay runs is refused too: otherwise the delay would slow no
//! guesser.
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
//! - An attempt counts from its beginning and is taken back when it turns out good: of a thousand
//!   guesses sent at once six go on. So a script that logs one user in ten times at once from one
//!   address waits as well; there is a switch for load tests.
//! - A good login forgets the failures of its login and address, and nothing else.
//! - A user has several logins: an e-mail address, a username, and other spellings where a store
//!   takes them as equal. Once the user is found, all of them are one budget.
//! - Good logins are counted as well, because each leaves a record of a session in the store. Only
//!   good ones count, so that a stranger cannot spend those of an owner.
//! - Where the address is unknown, or is that of a proxy (private, while no proxy hops are
//!   configured), nothing is counted by address, and the log says once what that means: one bucket
//!   for everybody would let anybody close it for all. What is left is the delay of the login.
//!
//! # Whom strangers cannot keep out
//!
//! - **A device that has logged in before.** The request brings a refresh token of this service for
//!   that user: of any generation, also an expired one, also one of a session that has ended, but
//!   signed by a key that still counts. Browsers send it in the cookie, other clients as the member
//!   `refresh_token` of the login's body. The device has a strict budget of its own and is not held
//!   up by any other. A logout clears the cookie, so that a browser is not known by it afterwards,
//!   and a browser drops the cookie itself when its session expires.
//! - **An address that has logged in to that login before** is held to its own failures alone,
//!   until this process restarts. That remains after a logout. A neighbour behind the same address
//!   shares this budget.
//! - **A new address** that meets the delay of a login is admitted once when it comes back after
//!   the time that it was given, within five minutes, however many strangers were faster. These
//!   *first guesses* are as good for a stranger as for the owner, so that they are bounded: 60 an
//!   hour for a login, 5 at once; 3 a day for an IPv4 address or a /64, 6 for a /56 and 16 for a
//!   /48, each for one login, and twice as many on the first day. They are given out up to 15
//!   minutes ahead. A botnet that takes all of them makes an owner wait who is at a new address
//!   with a new device, for as long as it guesses.
//!
//! # What botnets get
//!
//! Guesses that go on, each bot guessing as soon as it may, by a simulation that is run as a test
//! (`tests/library/botnets.rs`). With a /48 an attacker has 65,536 addresses.
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
//! The first day of a flood that is still larger is bounded too: 1,490 guesses by the budget of the
//! login and 1,445 first guesses. A stolen or leaked refresh token of the user adds 110 a day, a
//! leaked refresh key 1,490.
//!
//! # Where it is kept
//!
//! [`MemoryThrottle`] is the default: this process alone, bounded in memory. Behind several nodes a
//! guesser has as many budgets as there are nodes; a shared one is an implementation of
//! [`Throttle`] over your Redis or database. The counters are our own, over a bounded map:
//! `governor` has neither delays that grow with failures nor a reset of one key, and its keyed
//! state has no bound but what the caller sweeps.

mod attempt;
mod backoff;
mod bounded_map;
mod event_dedup;
mod memory;
mod quota;

use std::time::Duration;

use async_trait::async_trait;

pub(crate) use self::event_dedup::Told;
pub use self::{
    attempt::{Account, Action, Address, Attempt, Network, Source},
    memory::MemoryThrottle,
};
use crate::{clock::Timestamp, store::StoreError};

/// Decides whether an attempt at a password may go on.
///
/// [`admit`](Self::admit) is asked before the work, and [`settle`](Self::settle) is called
/// afterwards, unless the caller hung up. So count the attempt when it is admitted and take it back
/// when it turns out good: of a thousand guesses sent at once, those that are not admitted must
/// already see the others.
///
/// # A login is asked about in up to two steps
///
/// 1. With its [`login`](Account::login) alone, before anything is looked up.
/// 2. With its [`user`](Account::user) as well, once they are found. The second step counts by the
///    user what the first one has counted by the login. Both have the same time.
///
/// Where the request brings a [`device`](Source::device), there is one step with all three, and it
/// counts by all of them. `settle` is called once, with what the last admitted step had. Where the
/// second step refuses, the first is settled with [`Outcome::Undecided`].
///
/// # Errors
/// Where a shared store cannot be reached: [`StoreError::unavailable`]. `admit` then fails the
/// attempt with 503; after `settle` the attempt stands and the failure is logged.
#[async_trait]
pub trait Throttle: Send + Sync + 'static {
    /// Counts an attempt and lets it go on, or says how long to wait. An attempt that is refused is
    /// not counted, so that asking prolongs no delay.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where a shared store cannot be reached.
    async fn admit(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admission, StoreError>;

    /// Records how an admitted attempt ended.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where a shared store cannot be reached.
    async fn settle(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) -> Result<(), StoreError>;
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It goes on.
    Admitted,
    /// It is answered 429 `too_many_attempts`, with this as its `Retry-After`.
    Delayed(Duration),
}

/// How an admitted attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The password was right, or the user was registered.
    Succeeded,
    /// The password was wrong, or the registration refused.
    Failed,
    /// An outage or overload on our side, or a refusal of the second step: nothing was learned,
    /// nothing is to be counted.
    Undecided,
}
