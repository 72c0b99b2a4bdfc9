//! The rules of the budgets, with their reasons.

use std::time::Duration;

use super::super::{
    backoff::Rule,
    units::{HOUR, MINUTE, SECOND},
};

/// One login from one address, one login from one device, or the current password from one session.
/// People mistype up to five times. After that, 15 minutes between guesses leave 96 a day, which is
/// below the 100 in a row that NIST SP 800-63B-4 §3.2.2 allows before a lockout.
pub(in crate::throttle) const STRICT: Rule =
    Rule { free: 5, first: SECOND, cap: Duration::from_secs(15 * 60), leak: HOUR };

/// One login from anywhere. 1,440 guesses a day are hopeless against any password that the policy
/// accepts, and a stranger delays the owner by a minute at most. Half of NIST's 100 are free, so
/// that a busy account rarely meets the delay: its logins count while they run.
pub(in crate::throttle) const LOOSE: Rule = Rule { free: 50, first: SECOND, cap: MINUTE, leak: MINUTE };

/// Successful logins of one user: 60 an hour and then one a minute, which is more than people need.
/// Each leaves a record of a session, and one account must not fill a store.
pub(in crate::throttle) const GOOD: Rule = Rule { free: 60, first: SECOND, cap: MINUTE, leak: MINUTE };

/// One address at any login. An office behind one address can mistype often enough, and a list of
/// leaked passwords gets some 700 tries a day.
const ADDRESS: Rule = Rule { free: 40, first: SECOND, cap: Duration::from_secs(120), leak: Duration::from_secs(120) };

/// A /56, which many providers give to one household, at any login: twice as much.
const NETWORK_56: Rule = Rule { free: 80, first: SECOND, cap: MINUTE, leak: MINUTE };

/// A /48 at any login: 6 times as many free attempts as an address, and 8 times the rate. Tunnel
/// brokers give it away, and hosters usually assign one. At a mobile provider it is thousands of
/// customers.
const NETWORK_48: Rule = Rule { free: 240, first: SECOND, cap: Duration::from_secs(15), leak: Duration::from_secs(15) };

pub(in crate::throttle) const LOGINS: [Rule; 3] = [ADDRESS, NETWORK_56, NETWORK_48];

/// Registrations, half as many: enough for a class that registers together.
pub(in crate::throttle) const REGISTRATIONS: [Rule; 3] =
    [Rule { free: 20, ..ADDRESS }, Rule { free: 40, ..NETWORK_56 }, Rule { free: 120, ..NETWORK_48 }];
