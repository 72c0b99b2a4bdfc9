//! [`Budget`] and [`NetworkBudget`]: rules with the counts under them.

use std::time::Duration;

use super::super::{
    Address, Outcome,
    backoff::{Count, Rule},
    bounded_map::{Bounded, Key, Keys},
};
use crate::clock::Timestamp;

/// One rule and the counts under it.
pub(super) struct Budget {
    rule: Rule,
    counts: Bounded<Count>,
}

impl Budget {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, counts: Bounded::new() }
    }

    /// Returns `Ok` where an attempt may go on, or how long to wait.
    pub(super) fn ask(&self, key: Key, now: Timestamp) -> Result<(), Duration> {
        ask(&self.counts, self.rule, key, now)
    }

    /// Counts an attempt where it may go on, in one step, or returns how long to wait.
    pub(super) fn take(&self, key: Key, now: Timestamp) -> Result<(), Duration> {
        take(&self.counts, self.rule, key, now)
    }

    pub(super) fn count(&self, key: Key, now: Timestamp) {
        self.counts.update(key, |before| (Some(Count::and_one(before, self.rule, now)), ()));
    }

    pub(super) fn give_back(&self, key: Key) {
        self.counts.update(key, |before| (before.and_then(|count| count.less_one(self.rule)), ()));
    }

    /// Forgets all failures after a success. After a failure the delay begins now, so that a
    /// guesser waits after the password was hashed and not during it.
    pub(super) fn settle(&self, key: Key, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Succeeded => self.counts.remove(key),
            Outcome::Failed => self.counts.update(key, |before| (before.map(|count| count.touched(now)), ())),
            Outcome::Undecided => self.give_back(key),
        }
    }

    /// Returns whether any failure is still remembered.
    pub(super) fn remembers(&self, key: Key, now: Timestamp) -> bool {
        self.counts.get(key).is_some_and(|count| count.is_remembered(now))
    }

    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}

/// One rule for an address, looser ones for the networks around it, and the counts under them.
pub(super) struct NetworkBudget {
    /// For an IPv4 address or a /64, a /56, and a /48.
    rules: [Rule; 3],
    counts: Bounded<Count>,
}

impl NetworkBudget {
    pub(super) fn new(rules: [Rule; 3]) -> Self {
        Self { rules, counts: Bounded::new() }
    }

    /// Returns `Ok` where each network lets an attempt go on, or how long to wait.
    pub(super) fn ask(&self, keys: &Keys, address: Address, now: Timestamp) -> Result<(), Duration> {
        // The longest wait, so that after it no network refuses.
        let wait = |(key, rule)| ask(&self.counts, rule, key, now).err();
        self.each(keys, address).filter_map(wait).max().map_or(Ok(()), Err)
    }

    /// Counts an attempt where it may go on, or returns how long to wait. The narrowest network is
    /// asked and counted in one step. At the others, a few more attempts may pass at the same time.
    pub(super) fn take(&self, keys: &Keys, address: Address, now: Timestamp) -> Result<(), Duration> {
        self.ask(keys, address, now)?;
        let mut networks = self.each(keys, address);
        if let Some((key, rule)) = networks.next() {
            take(&self.counts, rule, key, now)?;
        }
        for (key, rule) in networks {
            self.counts.update(key, |before| (Some(Count::and_one(before, rule, now)), ()));
        }
        Ok(())
    }

    pub(super) fn count(&self, keys: &Keys, address: Address, now: Timestamp) {
        for (key, rule) in self.each(keys, address) {
            self.counts.update(key, |before| (Some(Count::and_one(before, rule, now)), ()));
        }
    }

    pub(super) fn give_back(&self, keys: &Keys, address: Address) {
        for (key, rule) in self.each(keys, address) {
            self.counts.update(key, |before| (before.and_then(|count| count.less_one(rule)), ()));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    fn each(&self, keys: &Keys, address: Address) -> impl Iterator<Item = (Key, Rule)> {
        address.networks().zip(self.rules).map(|(network, rule)| (keys.of(network), rule))
    }
}

fn ask(counts: &Bounded<Count>, rule: Rule, key: Key, now: Timestamp) -> Result<(), Duration> {
    counts.get(key).and_then(|count| count.wait(rule, now)).map_or(Ok(()), Err)
}

fn take(counts: &Bounded<Count>, rule: Rule, key: Key, now: Timestamp) -> Result<(), Duration> {
    counts.update(key, |before| match before.and_then(|count| count.wait(rule, now)) {
        Some(wait) => (before, Err(wait)),
        None => (Some(Count::and_one(before, rule, now)), Ok(())),
    })
}
