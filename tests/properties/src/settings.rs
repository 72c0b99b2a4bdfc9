//! The settings that schedules vary.

use std::time::Duration;

use portcullis::{Auth, User, clock::ManualClock, store::SessionLimit};
use proptest::prelude::*;

use crate::{token::REFRESH_SECRET, world::Wrapped};

/// The durations and the limit of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub grace: Duration,
    pub access: Duration,
    pub idle: Duration,
    pub absolute: Duration,
    pub limit: Limit,
}

/// How many sessions a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// More than any schedule makes.
    Ample,
    /// Beyond this number, the session that was used longest ago ends.
    Oldest(usize),
    /// Beyond this number, a login is refused.
    Refuse(usize),
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl Settings {
    /// Returns a grace and an access, idle and absolute lifetime that fit together.
    ///
    /// The idle lifetime is longer than the access lifetime by at least the longest grace, as in
    /// every usual configuration. Otherwise an access token of a replay could outlive the record of
    /// its session, and with it the tombstone.
    pub fn any() -> impl Strategy<Value = Self> {
        let grace = prop_oneof![
            2 => Just(Duration::ZERO),
            1 => Just(Duration::from_millis(1500)),
            4 => Just(secs(10)),
            1 => Just(secs(60)),
        ];
        let access = prop_oneof![Just(secs(10)), Just(secs(60)), Just(secs(900))];
        let idle = prop_oneof![Just(secs(60)), Just(Duration::from_millis(90_500)), Just(secs(7 * 24 * 3600))];
        let absolute = prop_oneof![Just((1, 1)), Just((3, 2)), Just((4, 1))];
        let limit = prop_oneof![
            6 => Just(Limit::Ample),
            2 => (1..4_usize).prop_map(Limit::Oldest),
            1 => (1..4_usize).prop_map(Limit::Refuse),
        ];
        (grace, access, idle, absolute, limit).prop_map(|(grace, access, idle, (times, parts), limit)| {
            let idle = access + idle;
            Self { grace, access, idle, absolute: idle * times / parts, limit }
        })
    }

    /// Returns the defaults of the crate with this grace.
    pub fn with_grace(grace: Duration) -> Self {
        let day = secs(24 * 3600);
        Self { grace, access: secs(900), idle: 7 * day, absolute: 30 * day, limit: Limit::Ample }
    }

    /// Makes a node over these stores. All nodes have the same secrets.
    pub(crate) fn node(&self, stores: &Wrapped, clock: &ManualClock) -> Auth<User> {
        let limit = match self.limit {
            Limit::Ample => SessionLimit::EndLeastRecentlyUsed(1000),
            Limit::Oldest(limit) => SessionLimit::EndLeastRecentlyUsed(limit),
            Limit::Refuse(limit) => SessionLimit::Refuse(limit),
        };
        Auth::builder(stores.users.clone(), stores.sessions.clone())
            .issuer("https://properties.example")
            .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
            .refresh_secret(REFRESH_SECRET)
            .access_lifetime(self.access)
            .refresh_lifetime(self.idle)
            .session_max_age(self.absolute)
            .refresh_grace(self.grace)
            .session_limit(limit)
            // Schedules poll by themselves, and end before a minute of real time has passed.
            .revocation_poll(secs(60))
            .hash_threads(1)
            .clock(clock.clone())
            .build()
            .expect("the settings fit together")
    }
}
