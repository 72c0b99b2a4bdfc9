//! The default [`Throttle`]: this process alone, in bounded memory.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::{
    Address, Admission, Attempt, Outcome, Throttle,
    bounded::{self, Bounded, Key, Keys},
    rule::{Count, Rule},
};
use crate::{clock::Timestamp, store::StoreError};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// One login from one address, or the current password from one session: five slips are human, and 15 minutes between
/// guesses leave 96 a day, below the 100 in a row that NIST SP 800-63B-4 §3.2.2 allows before a lockout.
const PAIR: Rule = Rule { free: 5, first: SECOND, cap: Duration::from_secs(15 * 60), leak: HOUR };

/// One login from anywhere: 1,440 guesses a day are hopeless against any password that the policy accepts, and a minute
/// is what a stranger can at most cost the owner. Half of NIST's 100 are free, so that the logins of a busy account,
/// which count while they are under way, rarely meet it.
const ACCOUNT: Rule = Rule { free: 50, first: SECOND, cap: MINUTE, leak: MINUTE };

/// One address at any login: room for the slips of an office behind one address, and for a list of leaked passwords some
/// 700 tries a day.
const ADDRESS: Rule = Rule { free: 40, first: SECOND, cap: Duration::from_secs(120), leak: Duration::from_secs(120) };

/// Registrations from one address: room for a class that signs up together.
const REGISTER: Rule = Rule { free: 20, ..ADDRESS };

/// Counts in the memory of this process; see [the module](super) for what it counts and how long one waits.
///
/// However many addresses and logins come, it keeps at most [`MAX_ENTRIES`](Self::MAX_ENTRIES) of each kind, some 65 MB
/// in all under every attack at once, and forgets what was not used for longest. To push a count out one needs a hundred
/// thousand others, each of which costs a password hash.
pub struct MemoryThrottle {
    keys: Keys,
    pairs: Budget,
    accounts: Budget,
    addresses: Budget,
    registrations: Budget,
    sessions: Budget,
    users: Budget,
    /// Pairs that have signed in: no stranger's guesses count against them.
    known: Bounded<()>,
    /// Pairs that were told to wait for the login's delay, and when they will be admitted. Apart from the counts, because
    /// entries here cost no hash, and must push nothing else out.
    promised: Bounded<Timestamp>,
}

impl MemoryThrottle {
    /// The most entries of each kind.
    pub const MAX_ENTRIES: usize = bounded::MAX_ENTRIES;

    /// One that has seen nothing.
    pub fn new() -> Self {
        Self {
            keys: Keys::default(),
            pairs: Budget::new(PAIR),
            accounts: Budget::new(ACCOUNT),
            addresses: Budget::new(ADDRESS),
            registrations: Budget::new(REGISTER),
            sessions: Budget::new(PAIR),
            users: Budget::new(ACCOUNT),
            known: Bounded::new(),
            promised: Bounded::new(),
        }
    }

    fn admit_login(&self, login: &str, address: Option<Address>, now: Timestamp) -> Result<(), Duration> {
        let account = self.keys.of(login);
        let Some(address) = address else {
            return self.accounts.take(account, now);
        };
        let (pair, address) = (self.keys.of((login, address)), self.keys.of(address));
        if self.known.get(pair).is_none() {
            self.addresses.ask(address, now)?;
            self.accounts.ask(account, now).or_else(|wait| self.promise(pair, wait, now))?;
        }
        // The strict one is asked and counted in one step; of the loose ones a few more may slip through at once.
        self.pairs.take(pair, now)?;
        self.promised.remove(pair);
        self.accounts.count(account, now);
        self.addresses.count(address, now);
        Ok(())
    }

    /// Admits a pair without failures that comes back when it was told to, so that nobody who is faster keeps it out.
    fn promise(&self, pair: Key, wait: Duration, now: Timestamp) -> Result<(), Duration> {
        if self.pairs.remembers(pair, now) {
            return Err(wait);
        }
        let promised = self.promised.get(pair).map_or(now.plus(wait), |at| at.min(now.plus(ACCOUNT.cap)));
        if promised <= now {
            return Ok(());
        }
        self.promised.insert(pair, promised);
        Err(promised.since(now))
    }

    fn settle_login(&self, login: &str, address: Option<Address>, outcome: Outcome, now: Timestamp) {
        let account = self.keys.of(login);
        let address = address.map(|address| (self.keys.of((login, address)), self.keys.of(address)));
        if let Some((pair, address)) = address {
            match outcome {
                Outcome::Succeeded => {
                    self.pairs.forget(pair);
                    self.known.insert(pair, ());
                }
                Outcome::Failed => self.pairs.touch(pair, now),
                Outcome::Undecided => self.pairs.give_back(pair),
            }
            if outcome != Outcome::Failed {
                self.addresses.give_back(address);
            }
        }
        if outcome != Outcome::Failed {
            self.accounts.give_back(account);
        }
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
            .field("pairs", &self.pairs.counts.len())
            .field("accounts", &self.accounts.counts.len())
            .field("addresses", &self.addresses.counts.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Throttle for MemoryThrottle {
    async fn admit(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admission, StoreError> {
        let admitted = match *attempt {
            Attempt::Login { login, address } => self.admit_login(login, address, now),
            Attempt::Register { address: None } => Ok(()),
            Attempt::Register { address: Some(address) } => self.registrations.take(self.keys.of(address), now),
            Attempt::ChangePassword { user, session } => {
                let user = self.keys.of(user);
                self.users
                    .ask(user, now)
                    .and_then(|()| self.sessions.take(self.keys.of(session), now))
                    .inspect(|()| self.users.count(user, now))
            }
        };
        Ok(admitted.map_or_else(Admission::Delayed, |()| Admission::Admitted))
    }

    async fn settle(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
        match *attempt {
            Attempt::Login { login, address } => self.settle_login(login, address, outcome, now),
            Attempt::Register { address } => {
                if let (Some(address), Outcome::Undecided) = (address, outcome) {
                    self.registrations.give_back(self.keys.of(address));
                }
            }
            Attempt::ChangePassword { user, session } => {
                let session = self.keys.of(session);
                match outcome {
                    Outcome::Succeeded => self.sessions.forget(session),
                    Outcome::Failed => self.sessions.touch(session, now),
                    Outcome::Undecided => self.sessions.give_back(session),
                }
                if outcome != Outcome::Failed {
                    self.users.give_back(self.keys.of(user));
                }
            }
        }
        Ok(())
    }
}

/// One rule and the counts under it.
struct Budget {
    rule: Rule,
    counts: Bounded<Count>,
}

impl Budget {
    fn new(rule: Rule) -> Self {
        Self { rule, counts: Bounded::new() }
    }

    /// Whether an attempt may go on.
    fn ask(&self, key: Key, now: Timestamp) -> Result<(), Duration> {
        self.counts.get(key).and_then(|count| count.wait(self.rule, now)).map_or(Ok(()), Err)
    }

    /// Whether an attempt may go on, and counts it if so, in one step.
    fn take(&self, key: Key, now: Timestamp) -> Result<(), Duration> {
        self.counts.update(key, |before| match before.and_then(|count| count.wait(self.rule, now)) {
            Some(wait) => (before, Err(wait)),
            None => (Some(Count::and_one(before, self.rule, now)), Ok(())),
        })
    }

    fn count(&self, key: Key, now: Timestamp) {
        self.counts.update(key, |before| (Some(Count::and_one(before, self.rule, now)), ()));
    }

    fn give_back(&self, key: Key) {
        self.counts.update(key, |before| (before.and_then(|count| count.less_one(self.rule)), ()));
    }

    /// Lets the delay begin at the answer: a guesser waits it out after the hash, not beside it.
    fn touch(&self, key: Key, now: Timestamp) {
        self.counts.update(key, |before| (before.map(|count| count.touched(now)), ()));
    }

    fn forget(&self, key: Key) {
        self.counts.remove(key);
    }

    fn remembers(&self, key: Key, now: Timestamp) -> bool {
        self.counts.get(key).is_some_and(|count| count.is_remembered(now))
    }
}

#[cfg(test)]
mod tests;
