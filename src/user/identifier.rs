//! [`Email`], [`Username`] and [`Login`]: what may be registered, and how a login finds it again.

use std::{borrow::Cow, fmt, str::FromStr};

use email_address::{EmailAddress, Options};
use idna::uts46::DnsLength;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::key::{LoginKey, ascii_domain, email_key};
use crate::{
    error::FieldError,
    unicode::{becomes_ascii, fold, is_ignorable, nfc},
};

/// Implements `Display`, `Serialize` and `Deserialize`. Reading validates the text.
macro_rules! text_type {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// An e-mail address that passed validation. Addresses are compared without regard to case, Unicode
/// normal form and the spelling of the domain.
///
/// A valid address has at most 254 bytes (RFC 5321 §4.5.3.1) and the form `local@domain`. The
/// domain contains a dot, and is valid by UTS 46 if it is not ASCII. A display name, an address
/// literal and a quoted local part are refused. Invisible characters are refused too. So are
/// characters that are ASCII letters in another width or style (`＠`, `ﬁ`), because the address
/// would look like another one.
///
/// White space around the address is removed. The rest is stored and shown as written, in Unicode's
/// NFC (RFC 6532 §3.1). Users whose stored address is refused here, because it is older than this
/// rule or comes from another app, can still log in: [`Login::email`] does not validate.
///
/// # Examples
/// ```
/// use portcullis::user::{Email, Login};
///
/// let email: Email = " Ada@Example.com ".parse().unwrap();
/// assert_eq!(email.as_str(), "Ada@Example.com");
/// assert_eq!(email.key(), Login::email("ADA@example.COM").key());
/// assert_eq!("ada".parse::<Email>().unwrap_err().code, "invalid_email");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    text: String,
    key: String,
}

impl Email {
    /// The length of the longest address, in bytes (RFC 5321: a path of 256 bytes, minus its two
    /// angle brackets).
    pub const MAX_BYTES: usize = 254;

    /// Returns the address as it was written, in NFC.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the form that is unique among users. A [`Login::Email`] of the same address has the
    /// same form. See [`LoginKey`].
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Validates an address. The [`FieldError`] names the field `email`. Its code is `required` where
/// the address is blank, otherwise `too_long` or `invalid_email`.
impl FromStr for Email {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let typed = text.trim();
        let text = nfc(typed);
        if text.is_empty() {
            return Err(FieldError::new("email", "required", "An e-mail address is required."));
        }
        if text.len() > Self::MAX_BYTES {
            return Err(FieldError::new("email", "too_long", "The e-mail address has more than 254 bytes."));
        }
        // Checks the text as it was typed, because NFC replaces the Kelvin sign by a `K`.
        let passes_for_another =
            typed.chars().any(|c| c.is_control() || c.is_whitespace() || is_ignorable(c) || becomes_ascii(c));
        if passes_for_another || !is_address(&text) {
            return Err(FieldError::new("email", "invalid_email", "This is not an e-mail address."));
        }
        Ok(Self { key: email_key(&text), text: text.into_owned() })
    }
}

text_type!(Email);

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@').filter(|(local, _)| !local.starts_with('"')) else {
        return false;
    };
    let is_encoded = |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    // An ASCII domain is checked below. Domains of an intranet are accepted there, although the DNS
    // would refuse them.
    let is_plain = domain.is_ascii() && !domain.split('.').any(is_encoded);
    let domain = if is_plain { Some(domain.into()) } else { ascii_domain(domain, DnsLength::Verify) };
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    domain.is_some_and(|domain| EmailAddress::parse_with_options(&format!("{local}@{domain}"), options).is_ok())
}

/// A username that passed validation. Usernames are compared without regard to case.
///
/// A valid username has 2 to 32 of `A-Z a-z 0-9 . _ -`, and begins and ends with a letter or digit.
/// Other characters are refused, because letters of another script (a Cyrillic `а`) can look like
/// those of an existing user. `@` is refused too, so that no username looks like an e-mail address.
///
/// # Examples
/// ```
/// use portcullis::user::{Login, Username};
///
/// let username: Username = "Ada".parse().unwrap();
/// assert_eq!(username.as_str(), "Ada");
/// assert_eq!(username.key(), Login::username("aDA").key());
/// assert_eq!("a@b".parse::<Username>().unwrap_err().code, "invalid_username");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    text: String,
    key: String,
}

impl Username {
    /// Returns the username as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the lower-case form that is unique among users. A [`Login::Username`] of the same
    /// username has the same form.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Validates a username. The [`FieldError`] names the field `username`. Its code is `too_short`
/// (also where it is blank), `too_long` or `invalid_username`.
impl FromStr for Username {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let text = text.trim();
        match text.chars().count() {
            0 | 1 => {
                return Err(FieldError::new("username", "too_short", "A username has at least 2 characters."));
            }
            2..=32 => {}
            _ => {
                return Err(FieldError::new("username", "too_long", "A username has at most 32 characters."));
            }
        }
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let ends = |c: char| c.is_ascii_alphanumeric();
        if !(text.chars().all(inside) && text.starts_with(ends) && text.ends_with(ends)) {
            return Err(FieldError::new(
                "username",
                "invalid_username",
                "A username has letters and digits of ASCII, with '.', '_' and '-' between them.",
            ));
        }
        Ok(Self { text: text.to_owned(), key: fold(text) })
    }
}

text_type!(Username);

/// The e-mail address or username that a user types to log in, in the form in which logins are
/// compared ([`LoginKey`]).
///
/// It is deliberately not validated like a registration. Rows that are older than this crate may
/// have any username and address. A login that cannot exist is simply unknown.
///
/// # Examples
/// ```
/// use portcullis::user::Login;
///
/// assert_eq!(Login::either(" Ada@Example.com "), Login::email("ada@example.com"));
/// assert_eq!(Login::either("Ada"), Login::username("ada"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Finds the user by e-mail address (see [`Email::key`]).
    Email(LoginKey),
    /// Finds the user by username (see [`Username::key`]).
    Username(LoginKey),
}

impl Login {
    /// Makes a login by e-mail address.
    pub fn email(text: &str) -> Self {
        Self::Email(LoginKey::of_email(text))
    }

    /// Makes a login by username.
    pub fn username(text: &str) -> Self {
        Self::Username(LoginKey::of_username(text))
    }

    /// Makes a login by e-mail address where the text contains an `@`, otherwise by username.
    pub fn either(text: &str) -> Self {
        if text.contains('@') { Self::email(text) } else { Self::username(text) }
    }

    /// Returns the text that a store looks up.
    pub fn key(&self) -> &str {
        self.login_key().as_str()
    }

    /// Returns the login with the key that earlier releases made of it, before keys had normal
    /// forms. Returns `None` where that key is the same.
    ///
    /// It finds rows whose key was made by such a release. These are rows in a table of an app, and
    /// rows of two users whose addresses have the same key today.
    pub fn earlier(&self) -> Option<Self> {
        let earlier = self.login_key().earlier()?.into();
        Some(match self {
            Self::Email(_) => Self::Email(earlier),
            Self::Username(_) => Self::Username(earlier),
        })
    }

    pub(crate) fn login_key(&self) -> &LoginKey {
        let (Self::Email(key) | Self::Username(key)) = self;
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_trimmed_and_in_any_case() {
        let email = "  Ada@Example.COM ".parse::<Email>().unwrap();
        assert_eq!(email.as_str(), "Ada@Example.COM");
        assert_eq!(Login::email("ADA@example.com\n").key(), email.key());
    }

    #[test]
    fn an_invalid_address_is_refused_with_its_code() {
        for bad in [
            "ada",
            "ada@",
            "@example.com",
            "ada@example",
            "a b@example.com",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "ada@exam\u{0}ple.com",
            "ada@exa\nmple.com",
            "\u{212a}im@example.com",
            "\"ada\"@example.com",
        ] {
            assert_eq!(bad.parse::<Email>().map_err(|e| e.code).unwrap_err(), "invalid_email", "{bad:?}");
        }
        assert_eq!(" ".parse::<Email>().unwrap_err().code, "required");
        assert_eq!(format!("{}@example.com", "a".repeat(250)).parse::<Email>().unwrap_err().code, "too_long");
    }

    #[test]
    fn identifiers_are_validated_when_they_are_read() {
        let email: Email = "Ada@Example.com".parse().unwrap();
        let json = serde_json::to_string(&email).unwrap();
        assert_eq!(json, format!("\"{email}\""));
        assert_eq!(serde_json::from_str::<Email>(&json).unwrap(), email);
        assert!(serde_json::from_str::<Email>("\"ada\"").is_err());
        assert!(serde_json::from_str::<Username>("\"a\"").is_err());
        assert_eq!(serde_json::from_str::<Username>("\"Ada\"").unwrap().to_string(), "Ada");
    }

    #[test]
    fn a_look_alike_of_another_script_is_no_username() {
        assert!("ada".parse::<Username>().is_ok());
        assert_eq!("\u{430}da".parse::<Username>().unwrap_err().code, "invalid_username");
        for bad in ["_ada", "ada.", "a@b", "a da", "a\u{0}a"] {
            assert_eq!(bad.parse::<Username>().unwrap_err().code, "invalid_username", "{bad:?}");
        }
        assert_eq!("a".parse::<Username>().unwrap_err().code, "too_short");
        assert_eq!("a".repeat(33).parse::<Username>().unwrap_err().code, "too_long");
    }

    #[test]
    fn an_at_sign_decides_what_a_login_is() {
        assert_eq!(Login::either(" Ada@X.org "), Login::Email("ada@x.org".into()));
        assert_eq!(Login::either("Ada"), Login::Username("ada".into()));
    }
}
