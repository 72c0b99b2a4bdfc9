//! How a user has proved who they are: [`AuthMethods`] (`amr`) and [`AuthLevel`] (`acr`).

use std::{fmt, str::FromStr};

use crate::error::UnknownName;

/// Names one way in which a user has proved who they are. The names are those of RFC 8176, and a
/// few of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `pwd`: a password.
    Password,
    /// `otp`: a one-time code of an authenticator app.
    OneTimeCode,
    /// `pop`: a key that does not leave a device, such as a passkey's.
    PossessionOfKey,
    /// `user`: the user was present at the device, and the device verified the user.
    UserPresence,
    /// `mfa`: two factors of different kinds.
    MultipleFactors,
    /// `email`: a link or a code that was sent to the user's e-mail address.
    Email,
    /// `recovery`: a recovery code.
    RecoveryCode,
    /// `fed`: an identity provider, such as an `OpenID` Connect issuer.
    Federated,
}

impl AuthMethod {
    const ALL: [Self; 8] = [
        Self::Password,
        Self::OneTimeCode,
        Self::PossessionOfKey,
        Self::UserPresence,
        Self::MultipleFactors,
        Self::Email,
        Self::RecoveryCode,
        Self::Federated,
    ];

    /// Returns the stable name, for tokens and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::OneTimeCode => "otp",
            Self::PossessionOfKey => "pop",
            Self::UserPresence => "user",
            Self::MultipleFactors => "mfa",
            Self::Email => "email",
            Self::RecoveryCode => "recovery",
            Self::Federated => "fed",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl FromStr for AuthMethod {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|method| method.as_str() == name).ok_or(UnknownName)
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The [`AuthMethod`]s that a session has used. The claim `amr` (RFC 8176) is made of them.
///
/// The text form has the names in a fixed order, separated by one space. Reading a text ignores the
/// names that this release does not know, so that nodes of two releases can share a store.
///
/// # Examples
/// ```
/// use portcullis::session::{AuthMethod, AuthMethods};
///
/// let methods = AuthMethods::PASSWORD.with(AuthMethod::MultipleFactors).with(AuthMethod::OneTimeCode);
/// assert_eq!(methods.to_string(), "pwd otp mfa");
/// assert_eq!(AuthMethods::from_names(["mfa", "pwd", "of-a-later-release", "otp"]), methods);
/// assert!(methods.contains(AuthMethod::Password));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AuthMethods(u16);

impl AuthMethods {
    /// A password alone. Sessions that were stored before this field existed have this value.
    pub const PASSWORD: Self = Self(AuthMethod::Password.bit());

    /// Returns the set with `method` added.
    #[must_use]
    pub const fn with(self, method: AuthMethod) -> Self {
        Self(self.0 | method.bit())
    }

    /// Returns whether the method is in the set.
    pub const fn contains(self, method: AuthMethod) -> bool {
        self.0 & method.bit() != 0
    }

    /// Returns whether the set has no method.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the methods in their fixed order.
    pub fn iter(self) -> impl Iterator<Item = AuthMethod> {
        AuthMethod::ALL.into_iter().filter(move |method| self.contains(*method))
    }

    /// Reads the names of methods, in any order. Ignores names that this release does not know.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(|name| name.parse().ok()).collect()
    }
}

impl FromIterator<AuthMethod> for AuthMethods {
    fn from_iter<I: IntoIterator<Item = AuthMethod>>(methods: I) -> Self {
        methods.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for AuthMethods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, method) in self.iter().enumerate() {
            if number > 0 {
                f.write_str(" ")?;
            }
            f.write_str(method.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for AuthMethods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(AuthMethod::as_str)).finish()
    }
}

/// How well a user has proved who they are (NIST SP 800-63B). The claim `acr` is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AuthLevel {
    /// `aal1`: by one factor.
    #[default]
    Aal1,
    /// `aal2`: by two factors of different kinds.
    Aal2,
}

impl AuthLevel {
    /// Returns the stable name, for tokens and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
        }
    }
}

impl FromStr for AuthLevel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        [Self::Aal1, Self::Aal2].into_iter().find(|level| level.as_str() == name).ok_or(UnknownName)
    }
}

impl fmt::Display for AuthLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_one_text_in_one_order() {
        let all: AuthMethods = AuthMethod::ALL.into_iter().rev().collect();
        assert_eq!(all.to_string(), "pwd otp pop user mfa email recovery fed");
        assert_eq!(AuthMethods::from_names(all.to_string().split(' ')), all);
        assert_eq!(AuthMethods::default().to_string(), "");
        assert_eq!(AuthMethods::from_names("".split(' ')), AuthMethods::default());
    }

    #[test]
    fn a_second_factor_is_a_higher_level() {
        assert!(AuthLevel::Aal2 > AuthLevel::Aal1);
        assert_eq!("aal2".parse(), Ok(AuthLevel::Aal2));
        assert!("aal3".parse::<AuthLevel>().is_err());
    }
}
