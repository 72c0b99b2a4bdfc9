//! The rules as the script reads them: those of [`MemoryThrottle`](super::super::MemoryThrottle),
//! in milliseconds.

use std::time::Duration;

use serde::Serialize;

use super::super::{
    backoff::Rule,
    memory::{first_guess, rules},
    quota::Quota,
    units::DAY,
};

/// How long it is remembered that a login was good at an address.
const KNOWN: Duration = DAY.saturating_mul(30);

/// The rules as the first line of the script.
pub(super) fn lua() -> String {
    let rules = Rules {
        strict: rule(rules::STRICT),
        loose: rule(rules::LOOSE),
        good: rule(rules::GOOD),
        logins: rules::LOGINS.map(rule),
        registrations: rules::REGISTRATIONS.map(rule),
        slot_of_login: quota(first_guess::LOGIN),
        slot_of_user: quota(first_guess::USER),
        spent: first_guess::NETWORK.map(quota),
        longest: millis(first_guess::LONGEST),
        kept: millis(first_guess::KEPT),
        day: millis(DAY),
        known: millis(KNOWN),
    };
    // A struct of numbers is written without a failure. As a table of Lua it has other brackets,
    // and its names have no quotes.
    let json = serde_json::to_string(&rules).unwrap_or_default();
    format!("local rules = {}\n", json.replace('"', "").replace(':', "=").replace('[', "{").replace(']', "}"))
}

#[derive(Serialize)]
struct Rules {
    strict: Delays,
    loose: Delays,
    good: Delays,
    logins: [Delays; 3],
    registrations: [Delays; 3],
    slot_of_login: Grants,
    slot_of_user: Grants,
    spent: [Grants; 3],
    longest: u64,
    kept: u64,
    day: u64,
    known: u64,
}

#[derive(Serialize)]
struct Delays {
    free: u32,
    first: u64,
    cap: u64,
    leak: u64,
    most: u32,
}

#[derive(Serialize)]
struct Grants {
    burst: u32,
    every: u64,
}

fn rule(rule: Rule) -> Delays {
    let most = rule.most();
    Delays { free: rule.free, first: millis(rule.first), cap: millis(rule.cap), leak: millis(rule.leak), most }
}

fn quota(quota: Quota) -> Grants {
    Grants { burst: quota.burst, every: millis(quota.every) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
