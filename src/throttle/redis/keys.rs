//! [`Keys`]: the names under which an attempt is counted. They hold hashes, and no login or
//! address.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::super::attempt::{Account, Attempt};

/// Number of keys of a call.
pub(super) const KEYS: usize = 18;

/// The place of a key in a call. `throttle.lua` numbers them from 1.
#[derive(Clone, Copy)]
enum Slot {
    Good,
    Login,
    User,
    PairOfLogin,
    PairOfUser,
    Device,
    Devices,
    /// The first of three.
    Networks,
    KnownOfLogin = 10,
    KnownOfUser,
    Promise,
    GrantsOfLogin,
    GrantsOfUser,
    /// The first of three.
    Spent,
}

/// The keys of one call. One that the attempt does not have is the prefix alone.
///
/// The prefix ends with a colon. Its hash tag puts all keys into one slot of a cluster, as one
/// script needs it.
pub(super) struct Keys([String; KEYS]);

impl Keys {
    fn new(prefix: &str) -> Self {
        Self(std::array::from_fn(|_| prefix.to_owned()))
    }

    pub(super) fn of_login(prefix: &str, attempt: &Attempt<'_>) -> Self {
        let mut keys = Self::new(prefix);
        let Account { login, user } = attempt.account;
        let login = login.unwrap_or_default().as_bytes();
        let user = user.map(|user| user.as_str().as_bytes());
        keys.set(Slot::Login, &[b"login", login]);
        keys.set(Slot::GrantsOfLogin, &[b"grants of login", login]);
        if let Some(user) = user {
            keys.set(Slot::Good, &[b"good", user]);
            keys.set(Slot::User, &[b"user", user]);
            keys.set(Slot::GrantsOfUser, &[b"grants of user", user]);
        }
        if let Some(device) = attempt.source.device {
            let user = user.unwrap_or_default();
            keys.set(Slot::Device, &[b"device", user, device.as_bytes()]);
            keys.set(Slot::Devices, &[b"devices", user]);
        }
        if let Some(address) = attempt.source.address {
            let ip = address.ip().to_string();
            keys.set(Slot::PairOfLogin, &[b"pair of login", login, ip.as_bytes()]);
            keys.set(Slot::KnownOfLogin, &[b"known login", login, ip.as_bytes()]);
            keys.set(Slot::Promise, &[b"promise", login, ip.as_bytes()]);
            if let Some(user) = user {
                keys.set(Slot::PairOfUser, &[b"pair of user", user, ip.as_bytes()]);
                keys.set(Slot::KnownOfUser, &[b"known user", user, ip.as_bytes()]);
            }
            keys.set_networks(attempt, Slot::Networks, &[b"logins"]);
            keys.set_networks(attempt, Slot::Spent, &[b"spent", login]);
        }
        keys
    }

    pub(super) fn of_registration(prefix: &str, attempt: &Attempt<'_>) -> Self {
        let mut keys = Self::new(prefix);
        keys.set_networks(attempt, Slot::Networks, &[b"registrations"]);
        keys
    }

    pub(super) fn of_change(prefix: &str, attempt: &Attempt<'_>) -> Self {
        let mut keys = Self::new(prefix);
        let user = attempt.account.user.map(|user| user.as_str().as_bytes()).unwrap_or_default();
        let device = attempt.source.device.map(|device| *device.as_bytes()).unwrap_or_default();
        keys.set(Slot::User, &[b"change", user]);
        keys.set(Slot::Device, &[b"change by", user, &device]);
        keys
    }

    /// Returns the names in the order of the script.
    pub(super) fn names(&self) -> [&str; KEYS] {
        self.0.each_ref().map(String::as_str)
    }

    fn set_networks(&mut self, attempt: &Attempt<'_>, first: Slot, what: &[&[u8]]) {
        let Some(address) = attempt.source.address else { return };
        for (place, network) in address.networks().enumerate() {
            let network = format!("{}/{}", network.first(), network.prefix());
            let parts: Vec<&[u8]> = what.iter().copied().chain([network.as_bytes()]).collect();
            self.set_at(first as usize + place, &parts);
        }
    }

    fn set(&mut self, slot: Slot, what: &[&[u8]]) {
        self.set_at(slot as usize, what);
    }

    fn set_at(&mut self, place: usize, what: &[&[u8]]) {
        let Some(name) = self.0.get_mut(place) else { return };
        let mut hash = Sha256::new();
        for part in what {
            // The length keeps the parts apart.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        for byte in hash.finalize().iter().take(16) {
            // Writing to a `String` does not fail.
            let _ = write!(name, "{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{session::SessionId, user::UserId};

    #[test]
    fn every_key_of_an_attempt_is_another() {
        let user = UserId::from("1");
        let address = "2001:db8::1".parse::<std::net::IpAddr>().unwrap();
        let attempt = Attempt::login("1", Some(address.into()));
        let attempt = attempt.with_user(&user).with_device(SessionId::from_bytes([7; 16]));
        let keys = Keys::of_login("{app:throttle}:", &attempt);
        let mut names: Vec<_> = keys.names().into_iter().collect();
        assert!(names.iter().all(|name| name.len() == "{app:throttle}:".len() + 32), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KEYS);
    }

    #[test]
    fn parts_do_not_run_together() {
        let keys = |login| Keys::of_login("", &Attempt::login(login, None)).names()[1].to_owned();
        assert_ne!(keys("ab"), keys("a"));
        let mut keys = Keys::new("");
        keys.set_at(0, &[b"a", b"bc"]);
        keys.set_at(1, &[b"ab", b"c"]);
        assert_ne!(keys.0[0], keys.0[1]);
    }
}
