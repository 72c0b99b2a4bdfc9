//! [`EventDedup`]: emits at most one event for each delay. Refused attempts cost an attacker
//! nothing, so that an event for each would let an attacker flood the audit log.

use std::time::Duration;

use super::{
    Account, Attempt, Source,
    bounded_map::{Bounded, Key, Keys},
};
use crate::clock::Timestamp;

/// How long refusals of a login emit no event after one did: 60 s. A login's own delay is no
/// longer. The delay of one of its guessers may be longer, and must not hide the other guessers.
const LOGIN_SILENCE: Duration = Duration::from_secs(60);

/// Remembers until when refusals emit no event, by where the attempts come from and by the account.
/// It works with any [`Throttle`](super::Throttle), and its memory is bounded.
pub(crate) struct EventDedup {
    keys: Keys,
    until: Bounded<Timestamp>,
}

impl EventDedup {
    pub(crate) fn new() -> Self {
        Self { keys: Keys::default(), until: Bounded::new() }
    }

    /// Returns whether a refusal is the first of its delay, and remembers the delay if so.
    pub(crate) fn is_first(&self, attempt: &Attempt<'_>, wait: Duration, now: Timestamp) -> bool {
        let (from, at) = self.sources(attempt);
        // One of the two is enough, because an attacker has many addresses and many logins to name.
        let is_silent = |key: Key| self.until.get(key).is_some_and(|until| now < until);
        if from.is_some_and(is_silent) || at.is_some_and(is_silent) {
            return false;
        }
        // Of several refusals at once, one is the first.
        let claim = |key: Key, until: Timestamp| {
            self.until.update(key, |before| match before {
                Some(before) if now < before => (Some(before), false),
                _ => (Some(until), true),
            })
        };
        from.is_none_or(|from| claim(from, now.plus(wait)))
            && at.is_none_or(|at| claim(at, now.plus(wait.min(LOGIN_SILENCE))))
    }

    /// Returns the keys of where an attempt comes from, and of its account.
    fn sources(&self, attempt: &Attempt<'_>) -> (Option<Key>, Option<Key>) {
        let Attempt { action, account: Account { login, user }, source: Source { address, device } } = *attempt;
        let from = match device {
            Some(device) => Some(self.keys.of((action, "device", user, device))),
            None => address.map(|address| self.keys.of((action, "address", address))),
        };
        // The login is known before the user is found, and stays the same afterwards.
        let at = match login {
            Some(login) => Some(self.keys.of((action, "login", login))),
            None => user.map(|user| self.keys.of((action, "user", user))),
        };
        (from, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::throttle::Address;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn address(last: u8) -> Address {
        Address::from(std::net::IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn only_the_first_refusal_of_a_delay_emits_an_event() {
        let (dedup, wait) = (EventDedup::new(), Duration::from_secs(2));
        let login = Attempt::login("ada", Some(address(1)));
        assert!(dedup.is_first(&login, wait, NOW));
        let almost = NOW.plus(wait).minus(Duration::from_millis(1));
        assert!(!dedup.is_first(&login, Duration::from_millis(1), almost));
        assert!(dedup.is_first(&login, wait, NOW.plus(wait)), "the next delay is another");
        assert!(dedup.is_first(&Attempt::register(Some(address(1))), wait, NOW), "each operation emits its own");
    }

    #[test]
    fn neither_other_logins_nor_other_addresses_fill_a_log() {
        let (dedup, wait) = (EventDedup::new(), Duration::from_secs(900));
        let mut events = 0;
        for number in 0..=255 {
            events += usize::from(dedup.is_first(&Attempt::login(&number.to_string(), Some(address(1))), wait, NOW));
            events += usize::from(dedup.is_first(&Attempt::login("0", Some(address(number))), wait, NOW));
        }
        assert_eq!(events, 1);
        // The long delay of one guesser does not hide other guessers of that login after a minute.
        assert!(dedup.is_first(&Attempt::login("0", Some(address(2))), wait, NOW.plus(LOGIN_SILENCE)));
        assert!(!dedup.is_first(&Attempt::login("0", Some(address(1))), wait, NOW.plus(LOGIN_SILENCE)));
    }
}
