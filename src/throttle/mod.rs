//! Guesses are slowed: delays that grow with failures, are capped, and lock nobody out.
//!
//! Before a login is looked up, and before anything is hashed, [`Auth`](crate::Auth) asks its [`Throttle`] whether an
//! attempt may go on, and afterwards says how it ended. An unknown login is asked about and counted just as a known one,
//! so the answers do not tell them apart. A right password that comes while a delay runs is refused too: otherwise the
//! delay would slow nobody.
//!
//! # What is counted
//!
//! | what | by | free | then wait | at most | one forgotten every |
//! |---|---|---|---|---|---|
//! | failed logins | login and address | 5 | 1 s, doubling | 15 min | hour |
//! | failed logins | login, from anywhere | 50 | 1 s, doubling | 1 min | minute |
//! | failed logins | address, for any login | 40 | 1 s, doubling | 2 min | 2 min |
//! | registrations, whatever their end | address | 20 | 1 s, doubling | 2 min | 2 min |
//! | wrong current passwords | session | 5 | 1 s, doubling | 15 min | hour |
//! | wrong current passwords | user | 50 | 1 s, doubling | 1 min | minute |
//!
//! - Whoever mistypes five times notices nothing; ten failures in a row have cost half a minute. A guesser at one address
//!   gets some 100 guesses a day at one login.
//! - An attempt counts from its beginning and is taken back when it turns out good: of a thousand guesses sent at once
//!   six go on. So a script that signs one user in ten times at once from one address waits as well; there is a switch
//!   for load tests.
//! - A good login forgets the failures of its login and address, and of nothing else.
//! - **A stranger's guesses lock nobody out.** An address that has signed in to a login before is held to its own failures
//!   alone. Any other that meets the delay of a login is admitted once when it comes back after the time that it was told,
//!   however many strangers were faster. A botnet so gets one guess for each of its addresses, and one a minute.
//! - Addresses are IPv4 addresses and /64 networks of IPv6, which is what one household or one rented machine has.
//! - Where the address is unknown, or is that of a proxy (private, while no proxy hops are configured), nothing is counted
//!   by address, and the log says so once: one bucket for everybody would let anybody close it for all. What is left is
//!   the delay of the login, so mend it.
//!
//! # Where it is kept
//!
//! [`MemoryThrottle`] is the default: this process alone, bounded in memory. Behind several nodes a guesser has as many
//! budgets as there are nodes; a shared one is an implementation of [`Throttle`] over your Redis or database.
//! The counters are our own, over a bounded map: `governor` has neither delays that grow with failures nor a reset of one
//! key, and its keyed state has no bound but what the caller sweeps.

mod bounded;
mod memory;
mod rule;
mod told;

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use async_trait::async_trait;

pub use self::memory::MemoryThrottle;
pub(crate) use self::told::Told;
use crate::{clock::Timestamp, session::SessionId, store::StoreError, user::UserId};

/// Decides whether an attempt at a password may go on.
///
/// [`admit`](Self::admit) is asked before the work, and [`settle`](Self::settle) told afterwards, unless the caller hung
/// up. So count the attempt when it is admitted and take it back when it turns out good: of a thousand guesses sent at
/// once, those that are not admitted must already see the others.
///
/// # Errors
/// Where a shared store cannot be reached: [`StoreError::unavailable`]. `admit` then fails the attempt with 503; after
/// `settle` the attempt stands and the failure is logged.
#[async_trait]
pub trait Throttle: Send + Sync + 'static {
    /// Counts an attempt and lets it go on, or says how long to wait. An attempt that is refused is not counted, so that
    /// nobody prolongs a delay by asking.
    ///
    /// # Errors
    /// As the trait says.
    async fn admit(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admission, StoreError>;

    /// Learns how an admitted attempt ended.
    ///
    /// # Errors
    /// As the trait says.
    async fn settle(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) -> Result<(), StoreError>;
}

/// Something that has to be slowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempt<'a> {
    /// A login with a password.
    #[non_exhaustive]
    Login {
        /// What was typed, trimmed and in lower case, whether or not somebody has it. Of any length: hash it.
        login: &'a str,
        /// Where it comes from, where that is known.
        address: Option<Address>,
    },
    /// A registration, which tells whether an address is taken, and costs a hash.
    #[non_exhaustive]
    Register {
        /// Where it comes from, where that is known.
        address: Option<Address>,
    },
    /// A change of password by somebody who is signed in, which needs the current one.
    #[non_exhaustive]
    ChangePassword {
        /// Whose it is.
        user: &'a UserId,
        /// Which of their sessions asks.
        session: SessionId,
    },
}

impl<'a> Attempt<'a> {
    /// A login; for tests of a [`Throttle`].
    pub const fn login(login: &'a str, address: Option<Address>) -> Self {
        Self::Login { login, address }
    }

    /// A registration; for tests of a [`Throttle`].
    pub const fn register(address: Option<Address>) -> Self {
        Self::Register { address }
    }

    /// A change of password; for tests of a [`Throttle`].
    pub const fn change_password(user: &'a UserId, session: SessionId) -> Self {
        Self::ChangePassword { user, session }
    }
}

/// An address to count by: an IPv4 address, or the /64 network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// The address, or the first of its /64.
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
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
    /// An outage or overload on our side: nothing was learned, nothing is to be counted.
    Undecided,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_household_is_one_address() {
        let address = |text: &str| Address::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"), "one host, written in two ways");
    }
}
