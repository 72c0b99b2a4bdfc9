//! E-mail addresses and usernames: what may be registered, and how a login finds it again.

use email_address::{EmailAddress, Options};

use crate::error::FieldError;

/// An e-mail address that passed validation; compared without regard to case.
///
/// At most 254 bytes (RFC 5321 §4.5.3.1), `local@domain` with a dot in the domain, no display name, no address literal.
/// Surrounding white space is trimmed; what is left is kept as written and shown so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    text: String,
    key: String,
}

impl Email {
    /// The longest address, in bytes (RFC 5321: a path of 256 with its angle brackets).
    pub const MAX_BYTES: usize = 254;

    /// Validates an address.
    ///
    /// # Errors
    /// A [`FieldError`] of `email`: `required` where it is blank, `too_long`, or `invalid_email`.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(FieldError::new("email", "required", "An e-mail address is required."));
        }
        if text.len() > Self::MAX_BYTES {
            return Err(FieldError::new("email", "too_long", "The e-mail address has more than 254 bytes."));
        }
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let well_formed = EmailAddress::parse_with_options(text, options).is_ok();
        if !well_formed || text.chars().any(|c| c.is_control() || c.is_whitespace() || folds_into_ascii(c)) {
            return Err(FieldError::new("email", "invalid_email", "This is not an e-mail address."));
        }
        Ok(Self { text: text.to_owned(), key: fold(text) })
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The lower-case form that is unique among users, and that a [`Login::Email`] has.
    pub fn key(&self) -> &str {
        &self.key
    }
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
    /// Validates a username.
    ///
    /// # Errors
    /// A [`FieldError`] of `username`: `too_short` (blank too), `too_long`, or `invalid_username`.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
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

    /// The username as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The lower-case form that is unique among users, and that a [`Login::Username`] has.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// What a person types to say who they are: already trimmed and in lower case, ready to be looked up.
///
/// Deliberately not validated like a registration: rows from before this crate may have any username, and an
/// impossible one is simply unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Look for this e-mail address (see [`Email::key`]).
    Email(String),
    /// Look for this username (see [`Username::key`]).
    Username(String),
}

impl Login {
    /// Reads an e-mail address.
    pub fn email(text: &str) -> Self {
        Self::Email(fold(text.trim()))
    }

    /// Reads a username.
    pub fn username(text: &str) -> Self {
        Self::Username(fold(text.trim()))
    }

    /// Reads either: an e-mail address where there is an `@`, else a username.
    pub fn either(text: &str) -> Self {
        if text.contains('@') { Self::email(text) } else { Self::username(text) }
    }

    /// The text that is looked up.
    pub fn key(&self) -> &str {
        match self {
            Self::Email(key) | Self::Username(key) => key,
        }
    }
}

fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Whether folding turns a character outside ASCII into one inside, as it does the Kelvin sign: such an address would
/// compare equal to somebody else's.
fn folds_into_ascii(c: char) -> bool {
    !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_trimmed_and_without_regard_to_case() {
        let email = Email::parse("  Ada@Example.COM ").unwrap();
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
        ] {
            assert_eq!(Email::parse(bad).map_err(|e| e.code).unwrap_err(), "invalid_email", "{bad:?}");
        }
        assert_eq!(Email::parse(" ").unwrap_err().code, "required");
        assert_eq!(Email::parse(&format!("{}@example.com", "a".repeat(250))).unwrap_err().code, "too_long");
    }

    #[test]
    fn a_look_alike_of_another_script_is_no_username() {
        assert!(Username::parse("ada").is_ok());
        assert_eq!(Username::parse("\u{430}da").unwrap_err().code, "invalid_username");
        for bad in ["_ada", "ada.", "a@b", "a da", "a\u{0}a"] {
            assert_eq!(Username::parse(bad).unwrap_err().code, "invalid_username", "{bad:?}");
        }
        assert_eq!(Username::parse("a").unwrap_err().code, "too_short");
        assert_eq!(Username::parse(&"a".repeat(33)).unwrap_err().code, "too_long");
    }

    #[test]
    fn an_at_sign_decides_what_a_login_is() {
        assert_eq!(Login::either(" Ada@X.org "), Login::Email("ada@x.org".into()));
        assert_eq!(Login::either("Ada"), Login::Username("ada".into()));
    }
}
