//! First guesses: they let an owner in at a new address while strangers keep a login delayed.
//!
//! A pair of login and address without failures that meets the delay of the login is promised a
//! time. It is admitted when it comes back at that time, even where many strangers were faster. A
//! stranger can use a promise as well as the owner. The number of promises is therefore bounded, by
//! login and by network.

use std::time::Duration;

use super::super::{
    Address,
    bounded_map::{Bounded, Key, Keys},
    quota::Quota,
    units::{DAY, HOUR, MINUTE},
};
use crate::clock::Timestamp;

/// First guesses at one login, from anywhere: 60 an hour, 5 at once.
pub(in crate::throttle) const LOGIN: Quota = Quota { burst: 5, every: MINUTE };

/// First guesses at one user, by any spelling. Where there is only one spelling, [`LOGIN`] admits
/// fewer, so that the answers never say whether a login has a user.
pub(in crate::throttle) const USER: Quota = Quota { burst: 20, every: MINUTE };

/// First guesses at one login from one network, for an IPv4 address or a /64, a /56, and a /48: 3,
/// 6 and 16 a day.
pub(in crate::throttle) const NETWORK: [Quota; 3] = [
    Quota { burst: 3, every: HOUR.saturating_mul(8) },
    Quota { burst: 6, every: HOUR.saturating_mul(4) },
    Quota { burst: 16, every: MINUTE.saturating_mul(90) },
];

/// Maximum time from now to a promised time. It bounds the promises that a login has at any time.
pub(in crate::throttle) const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long a promise is kept after its time. Otherwise a botnet would collect promises, to use all
/// of them at once.
pub(in crate::throttle) const KEPT: Duration = Duration::from_secs(5 * 60);

/// The promises, and what was spent of the quotas. An entry here costs the guesser no password
/// hash. The entries are therefore in maps of their own, so that they push no count out. An attempt
/// that gets no promise makes no entry.
pub(super) struct FirstGuesses {
    /// By login and address: when it will be admitted.
    promised: Bounded<Timestamp>,
    /// By login, and by user.
    slots: Bounded<Timestamp>,
    /// By login and network. What was spent is remembered for a day, also when the failures of the
    /// pair are forgotten.
    spent: Bounded<Timestamp>,
}

impl FirstGuesses {
    pub(super) fn new() -> Self {
        Self { promised: Bounded::new(), slots: Bounded::new(), spent: Bounded::new() }
    }

    /// Admits a pair that comes back at its promised time, and makes a promise to a pair that has
    /// none.
    ///
    /// # Errors
    /// Returns how long to wait: until the promised time, or for the delay of the login where no
    /// time is promised.
    pub(super) fn ask(
        &self,
        keys: &Keys,
        (login, address): (Key, Address),
        delay: Duration,
        now: Timestamp,
    ) -> Result<(), Duration> {
        self.promised.update(keys.of((login, address)), |before| {
            if let Some(at) = before.map(|at| at.min(now.plus(LONGEST)))
                && now < at.plus(KEPT)
            {
                return (Some(at), if at <= now { Ok(()) } else { Err(at.since(now)) });
            }
            match self.promise(keys, (login, address), now.plus(delay), now) {
                Some(at) => (Some(at), Err(at.since(now))),
                None => (None, Err(delay)),
            }
        })
    }

    /// Counts a first guess at a user.
    ///
    /// # Errors
    /// Returns how long to wait.
    pub(super) fn take_of_user(&self, user: Key, now: Timestamp) -> Result<(), Duration> {
        let due = grant(&self.slots, (user, USER), (now, now), Duration::ZERO);
        due.map(|_| ()).map_err(|due| due.since(now))
    }

    /// Forgets the promise of a pair that has used it.
    pub(super) fn used(&self, keys: &Keys, (login, address): (Key, Address)) {
        self.promised.remove(keys.of((login, address)));
    }

    pub(super) fn len(&self) -> usize {
        self.promised.len().max(self.spent.len()).max(self.slots.len())
    }

    /// Returns the time of a first guess, where the login and each network have one left.
    fn promise(
        &self,
        keys: &Keys,
        (login, address): (Key, Address),
        earliest: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let networks = || address.networks().zip(NETWORK).map(|(network, quota)| (keys.of((login, network)), quota));
        let has_room = |(key, quota): (Key, Quota)| {
            let free_at = self.spent.get(key).map(|free_at| quota.bounded(free_at, now, Duration::ZERO));
            quota.due(free_at, now) <= now
        };
        // Checked before any is counted, so that a refusal changes nothing.
        if !networks().all(has_room) {
            return None;
        }
        let at = grant(&self.slots, (login, LOGIN), (earliest, now), LONGEST).ok()?;
        for network in networks() {
            // Where several run at once, it is enough that the check above found room.
            let _ = grant(&self.spent, network, (now, now), DAY);
        }
        Some(at)
    }
}

/// Takes the next grant, where it is due within `longest`.
///
/// # Errors
/// Returns the time at which it will be due, where it is not due yet.
fn grant(
    map: &Bounded<Timestamp>,
    (key, quota): (Key, Quota),
    (earliest, now): (Timestamp, Timestamp),
    longest: Duration,
) -> Result<Timestamp, Timestamp> {
    map.update(key, |before| {
        let free_at = before.map(|free_at| quota.bounded(free_at, now, longest));
        let due = quota.due(free_at, earliest);
        if due > now.plus(longest) {
            return (before, Err(due));
        }
        (Some(quota.granted(free_at, due)), Ok(due))
    })
}
