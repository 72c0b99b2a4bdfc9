//! Of which delays a refusal has been told: refusals cost a stranger nothing, and an audit log must
//! not be theirs to fill.

use std::time::Duration;

use super::{
    Account, Attempt, Source,
    bounded_map::{Bounded, Key, Keys},
};
use crate::clock::Timestamp;

/// How long a login's refusals go untold after one was told. A login's own delay is no longer than
/// this, that of one of its guessers may be, and must not hide the others.
const LOGIN: Duration = Duration::from_secs(60);

/// Until when refusals need not be told again, by address and by whom the attempt is at. Kept
/// whatever the [`Throttle`](super::Throttle), bounded as its counts are.
pub(crate) struct Told {
    keys: Keys,
    until: Bounded<Timestamp>,
}

impl Told {
    pub(crate) fn new() -> Self {
        Self { keys: Keys::default(), until: Bounded::new() }
    }

    /// Whether a refusal is the first of its delay, and so is to be told.
    pub(crate) fn is_news(&self, attempt: &Attempt<'_>, wait: Duration, now: Timestamp) -> bool {
        let (from, at) = self.sources(attempt);
        // Either silences: strangers have many addresses, and each of them many logins to name.
        let is_told = |key: Key| self.until.get(key).is_some_and(|until| now < until);
        if from.is_some_and(is_told) || at.is_some_and(is_told) {
            return false;
        }
        // Of several at once one is the first.
        let claim = |key: Key, until: Timestamp| {
            self.until.update(key, |told| match told {
                Some(told) if now < told => (Some(told), false),
                _ => (Some(until), true),
            })
        };
        from.is_none_or(|from| claim(from, now.plus(wait))) && at.is_none_or(|at| claim(at, now.plus(wait.min(LOGIN))))
    }

    /// Where an attempt comes from, and at whose account it is.
    fn sources(&self, attempt: &Attempt<'_>) -> (Option<Key>, Option<Key>) {
        let Attempt { action, account: Account { login, user }, source: Source { address, device } } = *attempt;
        let from = match device {
            Some(device) => Some(self.keys.of((action, "device", user, device))),
            None => address.map(|address| self.keys.of((action, "address", address))),
        };
        // The login is there before the user is found, and stays.
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
    fn a_refusal_is_news_once_in_its_delay() {
        let (told, wait) = (Told::new(), Duration::from_secs(2));
        let login = Attempt::login("ada", Some(address(1)));
        assert!(told.is_news(&login, wait, NOW));
        let almost = NOW.plus(wait).minus(Duration::from_millis(1));
        assert!(!told.is_news(&login, Duration::from_millis(1), almost));
        assert!(told.is_news(&login, wait, NOW.plus(wait)), "the next delay is another");
        assert!(told.is_news(&Attempt::register(Some(address(1))), wait, NOW), "each operation is told of");
    }

    #[test]
    fn neither_other_logins_nor_other_addresses_fill_a_log() {
        let (told, wait) = (Told::new(), Duration::from_secs(900));
        let mut news = 0;
        for number in 0..=255 {
            news += usize::from(told.is_news(&Attempt::login(&number.to_string(), Some(address(1))), wait, NOW));
            news += usize::from(told.is_news(&Attempt::login("0", Some(address(number))), wait, NOW));
        }
        assert_eq!(news, 1);
        // One guesser's long delay does not hide those who guess at the same login after a minute.
        assert!(told.is_news(&Attempt::login("0", Some(address(2))), wait, NOW.plus(LOGIN)));
        assert!(!told.is_news(&Attempt::login("0", Some(address(1))), wait, NOW.plus(LOGIN)));
    }
}
