//! [`Attempt`]: an action, the account that it is tried on, and where it comes from.

use std::net::{IpAddr, Ipv6Addr};

use crate::{session::SessionId, user::UserId};

/// An attempt at a password, or a registration. A throttle counts it by the members below.
///
/// # Examples
///
/// ```
/// use portcullis::{throttle::{Action, Attempt}, user::UserId};
///
/// let typed = Attempt::login("ada@example.com", None);
/// assert_eq!(typed.action, Action::Login);
/// let id = UserId::from("1");
/// let found = typed.with_user(&id);
/// assert_eq!((found.account.login, found.account.user), (Some("ada@example.com"), Some(&id)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// What is attempted.
    pub action: Action,
    /// The account that is attempted, as far as it is known.
    pub account: Account<'a>,
    /// Where the attempt comes from, as far as that is known.
    pub source: Source,
}

/// What is attempted. Each action has budgets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// A login with a password.
    Login,
    /// A registration. It says whether an address is taken, and it costs a hash.
    Register,
    /// A change of the password by a user who is logged in. It needs the current password.
    ChangePassword,
}

/// The account that is attempted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account<'a> {
    /// The login as it was typed, trimmed and in lower case. It may belong to no user. It can have
    /// any length, so store a hash of it.
    pub login: Option<&'a str>,
    /// The user, once it was looked up. A login that no user has is counted by an id that no user
    /// has, so that it costs as many calls as a known one. Several logins can be one user's: the
    /// e-mail address, the username, and other spellings where the store takes them as equal.
    pub user: Option<&'a UserId>,
}

/// Where an attempt comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The client's address. Unknown where it may be that of a proxy.
    pub address: Option<Address>,
    /// The device, as the id of a session of *this* user.
    ///
    /// At a login, the request brings a refresh token that this service has signed for this
    /// session. The token may be of any generation and may have expired, and the session may have
    /// ended. At a change of the password, it is the session of the request.
    pub device: Option<SessionId>,
}

impl<'a> Attempt<'a> {
    /// Returns an attempt of this action. Nothing else is known of it.
    pub const fn new(action: Action) -> Self {
        Self { action, account: Account { login: None, user: None }, source: Source { address: None, device: None } }
    }

    /// Returns a login as it was typed, from an address where that is known.
    pub const fn login(login: &'a str, address: Option<Address>) -> Self {
        let mut attempt = Self::new(Action::Login);
        attempt.account.login = Some(login);
        attempt.source.address = address;
        attempt
    }

    /// Returns a registration, from an address where that is known.
    pub const fn register(address: Option<Address>) -> Self {
        let mut attempt = Self::new(Action::Register);
        attempt.source.address = address;
        attempt
    }

    /// Returns a change of a user's password by one of their sessions.
    pub const fn change_password(user: &'a UserId, session: SessionId) -> Self {
        Self::new(Action::ChangePassword).with_user(user).with_device(session)
    }

    /// Names the user who was found.
    #[must_use]
    pub const fn with_user(mut self, user: &'a UserId) -> Self {
        self.account.user = Some(user);
        self
    }

    /// Names the device.
    #[must_use]
    pub const fn with_device(mut self, device: SessionId) -> Self {
        self.source.device = Some(device);
        self
    }
}

/// An address to count by: an IPv4 address, or the /64 network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// Returns the IPv4 address, or the first IPv6 address of the /64.
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// Returns the networks to count by, the narrowest first: an IPv4 address alone, and the /64,
    /// the /56 and the /48 of an IPv6 address.
    pub fn networks(self) -> impl Iterator<Item = Network> {
        let prefixes: &[u8] = if self.0.is_ipv6() { &[64, 56, 48] } else { &[32] };
        prefixes.iter().map(move |prefix| Network::new(self.0, *prefix))
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            v6 @ IpAddr::V6(_) => Network::new(v6, 64).first,
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// A network to count by, see [`Address::networks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    fn new(ip: IpAddr, prefix: u8) -> Self {
        let first = match ip {
            IpAddr::V6(v6) => {
                let host_bits = 128_u32.saturating_sub(prefix.into());
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        Self { first, prefix }
    }

    /// Returns the first address.
    pub const fn first(self) -> IpAddr {
        self.first
    }

    /// Returns the length of the prefix: 32 for an IPv4 address; 64, 56 or 48 for IPv6.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn one_household_is_one_address() {
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"), "one host, written in two ways");
    }

    #[test]
    fn an_ipv6_address_is_in_three_networks() {
        let networks = |text: &str| -> Vec<_> {
            let text_of = |network: Network| format!("{}/{}", network.first(), network.prefix());
            address(text).networks().map(text_of).collect()
        };
        let ipv6 = networks("2001:db8:1234:5678:9abc::1");
        assert_eq!(ipv6, ["2001:db8:1234:5678::/64", "2001:db8:1234:5600::/56", "2001:db8:1234::/48"]);
        assert_eq!(networks("192.0.2.1"), ["192.0.2.1/32"]);
        assert_eq!(networks("::ffff:192.0.2.1"), ["192.0.2.1/32"]);
    }
}
