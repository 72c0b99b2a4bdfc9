//! [`MemoryThrottle`]: which budgets an attempt uses, and how its end is counted.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::{
    budget::{Budget, NetworkBudget},
    first_guess::FirstGuesses,
    rules::{GOOD, LOGINS, LOOSE, REGISTRATIONS, STRICT},
};
use crate::{
    clock::Timestamp,
    store::StoreError,
    throttle::{
        attempt::{Account, Action, Attempt},
        bounded_map::{self, Bounded, Key, Keys},
        throttle::{Admission, Outcome, Throttle},
    },
};

/// Counts in the memory of this process. [The module](crate::throttle) says what it counts and how
/// long the delays are.
///
/// It keeps at most [`MAX_ENTRIES`](Self::MAX_ENTRIES) of each kind, for any number of addresses
/// and logins, and forgets the least recently used ones. Under every attack at once these are some
/// 75 MB in all. To push a count out an attacker needs some fifty thousand guesses, and each guess
/// costs a password hash.
pub struct MemoryThrottle {
    keys: Keys,
    /// By login and address, by user and address, by device, and by session.
    strict: Budget,
    /// By login, by user, by the devices of a user, and by the user whose password is changed.
    loose: Budget,
    /// By user.
    good: Budget,
    logins: NetworkBudget,
    registrations: NetworkBudget,
    /// Logins and users at addresses where they have logged in. Guesses of strangers do not count
    /// against them.
    known: Bounded<()>,
    first_guesses: FirstGuesses,
}

impl MemoryThrottle {
    /// Maximum of entries of each kind.
    pub const MAX_ENTRIES: usize = bounded_map::MAX_ENTRIES;

    /// Returns a throttle without counts.
    pub fn new() -> Self {
        Self {
            keys: Keys::default(),
            strict: Budget::new(STRICT),
            loose: Budget::new(LOOSE),
            good: Budget::new(GOOD),
            logins: NetworkBudget::new(LOGINS),
            registrations: NetworkBudget::new(REGISTRATIONS),
            known: Bounded::new(),
            first_guesses: FirstGuesses::new(),
        }
    }

    fn admit_login(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<(), Duration> {
        let (keys, address) = (LoginKeys::new(&self.keys, attempt), attempt.source.address);
        if let Some(user) = keys.user {
            self.good.ask(user, now)?;
        }
        if let Some(device) = keys.device {
            self.loose.ask(device.all_of_user, now)?;
            self.strict.take(device.this, now)?;
            // It counts for later attempts of strangers as well.
            let loose = [Some(device.all_of_user), Some(keys.login), keys.user];
            loose.into_iter().flatten().for_each(|key| self.loose.count(key, now));
            if let Some(address) = address {
                self.logins.count(&self.keys, address, now);
            }
            return Ok(());
        }
        let account = keys.user.unwrap_or(keys.login);
        let Some(address) = address else {
            return self.loose.take(account, now);
        };
        let pair = self.keys.of((account, address));
        if self.known.get(pair).is_none() {
            if keys.user.is_none() {
                self.logins.ask(&self.keys, address, now)?;
            }
            self.loose.ask(account, now).or_else(|delay| {
                if self.strict.remembers(pair, now) {
                    return Err(delay);
                }
                self.first_guesses.ask(&self.keys, (keys.login, address), delay, now)?;
                keys.user.map_or(Ok(()), |user| self.first_guesses.take_of_user(user, now))
            })?;
        }
        // The strict budget is asked and counted in one step. At the loose ones, a few more
        // attempts may pass at the same time.
        self.strict.take(pair, now)?;
        self.loose.count(account, now);
        if keys.user.is_none() {
            self.logins.count(&self.keys, address, now);
        }
        Ok(())
    }

    fn settle_login(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) {
        let (keys, address) = (LoginKeys::new(&self.keys, attempt), attempt.source.address);
        let accounts = || [Some(keys.login), keys.user].into_iter().flatten();
        let device = keys.device.as_ref();
        if outcome != Outcome::Failed {
            accounts().chain(device.map(|device| device.all_of_user)).for_each(|key| self.loose.give_back(key));
            if let Some(address) = address {
                self.logins.give_back(&self.keys, address);
            }
        }
        if let Some(device) = device {
            self.strict.settle(device.this, outcome, now);
        }
        if let (Some(user), Outcome::Succeeded) = (keys.user, outcome) {
            self.good.count(user, now);
        }
        let Some(address) = address else { return };
        for pair in accounts().map(|account| self.keys.of((account, address))) {
            if device.is_none() {
                self.strict.settle(pair, outcome, now);
            }
            if outcome == Outcome::Succeeded {
                self.known.insert(pair, ());
            }
        }
        if outcome != Outcome::Undecided {
            self.first_guesses.used(&self.keys, (keys.login, address));
        }
    }

    fn admit_change(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<(), Duration> {
        let (user, session) = self.keys_of_change(attempt);
        self.loose.ask(user, now)?;
        self.strict.take(session, now)?;
        self.loose.count(user, now);
        Ok(())
    }

    fn settle_change(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) {
        let (user, session) = self.keys_of_change(attempt);
        self.strict.settle(session, outcome, now);
        if outcome != Outcome::Failed {
            self.loose.give_back(user);
        }
    }

    fn keys_of_change(&self, attempt: &Attempt<'_>) -> (Key, Key) {
        let user = ("change", attempt.account.user);
        (self.keys.of(user), self.keys.of((user, attempt.source.device)))
    }
}

/// Keys by which a login is counted. Keys of different kinds are in the same maps, so that each
/// contains the name of its kind.
struct LoginKeys {
    login: Key,
    user: Option<Key>,
    device: Option<DeviceKeys>,
}

struct DeviceKeys {
    this: Key,
    /// Key of all devices of the user. A leaked signing key makes any number of devices, but they
    /// share this budget.
    all_of_user: Key,
}

impl LoginKeys {
    fn new(keys: &Keys, attempt: &Attempt<'_>) -> Self {
        let Account { login, user } = attempt.account;
        let device = attempt.source.device.map(|device| DeviceKeys {
            this: keys.of(("device", user, device)),
            all_of_user: keys.of(("devices", user)),
        });
        Self { login: keys.of(("login", login)), user: user.map(|user| keys.of(("user", user))), device }
    }
}

impl Default for MemoryThrottle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryThrottle")
            .field("strict", &self.strict.len())
            .field("loose", &self.loose.len())
            .field("networks", &self.logins.len())
            .field("first_guesses", &self.first_guesses.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Throttle for MemoryThrottle {
    async fn admit(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admission, StoreError> {
        let admitted = match (attempt.action, attempt.source.address) {
            (Action::Login, _) => self.admit_login(attempt, now),
            (Action::Register, None) => Ok(()),
            (Action::Register, Some(address)) => self.registrations.take(&self.keys, address, now),
            (Action::ChangePassword, _) => self.admit_change(attempt, now),
        };
        Ok(admitted.map_or_else(Admission::Delayed, |()| Admission::Admitted))
    }

    async fn settle(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
        match (attempt.action, attempt.source.address) {
            (Action::Login, _) => self.settle_login(attempt, outcome, now),
            (Action::Register, Some(address)) if outcome == Outcome::Undecided => {
                self.registrations.give_back(&self.keys, address);
            }
            (Action::Register, _) => {}
            (Action::ChangePassword, _) => self.settle_change(attempt, outcome, now),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
