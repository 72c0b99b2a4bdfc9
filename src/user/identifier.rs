//! E-mail addresses and usernames: what may be registered, and how a login finds it again.

use std::{borrow::Cow, fmt, str::FromStr};

use email_address::{EmailAddress, Options};
use idna::uts46::DnsLength;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::key::{LoginKey, ascii_domain, email_key};
use crate::{
    error::FieldError,
    unicode::{becomes_ascii, fold, is_ignorable, nfc},
};

/// Writes a validated text as it was given, and validates what it reads.
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

/// An e-mail address that passed validation; compared without regard to case, normal form and spelling of the domain.
///
/// At most 254 bytes (RFC 5321 §4.5.3.1), `local@domain` with a dot in the domain, no display name, no address literal, no
/// quoted local part. A domain outside ASCII must be one by UTS 46. Refused besides are characters that a reader cannot
/// see, and characters that are ASCII in another width or style (`＠`, `ﬁ`): they pass for another address.
///
/// Surrounding white space is trimmed. What is left is kept as written, in Unicode's NFC (RFC 6532 §3.1), and shown so.
/// Users with addresses that are refused here, from before this rule or from another app, can still log in:
/// [`Login::email`] does not validate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    text: String,
    key: String,
}

impl Email {
    /// The longest address, in bytes (RFC 5321: a path of 256 with its angle brackets).
    pub const MAX_BYTES: usize = 254;

    /// Returns the address as it was written, in NFC.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the form that is unique among users, and that a [`Login::Email`] of the same address has. See
    /// [`LoginKey`].
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Validates an address. Its [`FieldError`] is of `email`: `required` where it is blank,
/// `too_long`, or `invalid_email`.
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
        // In what was typed, because NFC makes a `K` of the Kelvin sign.
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
    // A domain of plain ASCII is judged below, where names of an intranet pass that the DNS would not take.
    let is_plain = domain.is_ascii() && !domain.split('.').any(is_encoded);
    let domain = if is_plain { Some(domain.into()) } else { ascii_domain(domain, DnsLength::Verify) };
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    domain.is_some_and(|domain| EmailAddress::parse_with_options(&format!("{local}@{domain}"), options).is_ok())
}

/// A username that passed validation; compared without regard to case.
///
/// 2 to 32 of `A-Z a-z 0-9 . _ -`, beginning and ending with a letter or digit. Nothing outside ASCII, so that no
/// look-alike of another script (a Cyrillic `а`) can pass for an existing user; and no `@`, so that a username is never
/// taken for an e-mail address.
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

    /// Returns the lower-case form that is unique among users, and that a [`Login::Username`] of the same
    /// username has.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Validates a username. Its [`FieldError`] is of `username`: `too_short` (blank too), `too_long`,
/// or `invalid_username`.
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

/// What a person types to say who they are, in the form in which logins are compared ([`LoginKey`]).
///
/// Deliberately not validated like a registration: rows from before this crate may have any username and address, and an
/// impossible one is simply unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Look for this e-mail address (see [`Email::key`]).
    Email(LoginKey),
    /// Look for this username (see [`Username::key`]).
    Username(LoginKey),
}

impl Login {
    /// Reads an e-mail address.
    pub fn email(text: &str) -> Self {
        Self::Email(LoginKey::of_email(text))
    }

    /// Reads a username.
    pub fn username(text: &str) -> Self {
        Self::Username(LoginKey::of_username(text))
    }

    /// Reads either: an e-mail address where there is an `@`, else a username.
    pub fn either(text: &str) -> Self {
        if text.contains('@') { Self::email(text) } else { Self::username(text) }
    }

    /// The text that is looked up.
    pub fn key(&self) -> &str {
        self.login_key().as_str()
    }

    /// Returns the login under the key that it had before keys had normal forms, where that is another.
    ///
    /// A row whose key was made then is found by it: in a table of an app's own, or where two users have one address by
    /// now and only one of them can have its key.
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
    fn addresses_compare_trimmed_and_without_regard_to_case() {
        let email = "  Ada@Example.COM ".parse::<Email>().unwrap();
        assert_eq!(email.as_str(), "Ada@Example.COM");
        assert_eq!(Login::email("ADA@example.com\n").key(), email.key());
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_code() {
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
    fn identifiers_are_validated_where_they_are_read() {
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
