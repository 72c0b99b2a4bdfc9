//! [`LoginKey`]: the form in which logins are compared. Registrations and logins make it by the same function.

use std::{borrow::Cow, fmt, ops::Deref};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::unicode::fold;

/// A login in the form in which logins are compared.
///
/// The domain of an e-mail address is in the form that UTS 46 makes for the DNS. This form is in
/// ASCII and lower case: `xn--bcher-kva.example` for `bücher.example`. The local part, and a
/// username, are in Unicode's NFC and in lower case, where the final sigma equals the other sigma.
/// A login of only ASCII is therefore in lower case.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginKey {
    key: String,
    /// The key that earlier releases made, which knew neither normal forms nor domains. `None`
    /// where it is the same.
    earlier: Option<Box<str>>,
}

impl LoginKey {
    pub(super) fn of_email(text: &str) -> Self {
        let text = text.trim();
        Self::new(email_key(text), text)
    }

    pub(super) fn of_username(text: &str) -> Self {
        let text = text.trim();
        Self::new(fold(text), text)
    }

    fn new(key: String, text: &str) -> Self {
        let earlier = (!text.is_ascii()).then(|| text.to_lowercase()).filter(|earlier| *earlier != key);
        Self { key, earlier: earlier.map(String::into_boxed_str) }
    }

    /// Returns the text that a store looks up.
    pub fn as_str(&self) -> &str {
        &self.key
    }

    /// Returns the key that earlier releases made, where it is another one.
    pub(crate) fn earlier(&self) -> Option<&str> {
        self.earlier.as_deref()
    }
}

impl Deref for LoginKey {
    type Target = str;

    fn deref(&self) -> &str {
        &self.key
    }
}

impl AsRef<str> for LoginKey {
    fn as_ref(&self) -> &str {
        &self.key
    }
}

/// Uses the text as a key, unchanged.
impl From<String> for LoginKey {
    fn from(key: String) -> Self {
        Self { key, earlier: None }
    }
}

/// Uses the text as a key, unchanged.
impl From<&str> for LoginKey {
    fn from(key: &str) -> Self {
        Self::from(key.to_owned())
    }
}

impl fmt::Debug for LoginKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

pub(super) fn email_key(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((local, domain)) if !text.is_ascii() => {
            let domain = ascii_domain(domain, DnsLength::Ignore).map_or_else(|| fold(domain), Cow::into_owned);
            format!("{}@{domain}", fold(local))
        }
        _ => fold(text),
    }
}

/// Returns the domain in the form that the DNS uses (UTS 46, non-transitional). Returns `None`
/// where it is no domain.
pub(super) fn ascii_domain(domain: &str, length: DnsLength) -> Option<Cow<'_, str>> {
    Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_own_key() {
        for text in
            ["ΝΊΚΟΣ@Example.COM", "max@BÜCHER.example", "JOSE\u{301}@example.com", "x@\u{ff45}x.org", "a\u{ff20}b@c.d"]
        {
            let key = LoginKey::of_email(text);
            assert_eq!(*LoginKey::of_email(&key), *key, "{text}");
            assert_eq!(LoginKey::of_email(key.earlier().unwrap_or(&key)).as_str(), key.as_str(), "{text}");
        }
    }

    #[test]
    fn only_a_text_whose_forms_differ_has_an_earlier_key() {
        for same in ["Ada@Example.com", "jörg@example.com", "用户@example.com"] {
            assert_eq!(LoginKey::of_email(same).earlier(), None, "{same}");
        }
        assert_eq!(LoginKey::of_email("Max@Bücher.example").earlier(), Some("max@bücher.example"));
        assert_eq!(LoginKey::of_username("ΝΊΚΟΣ").earlier(), Some("νίκος"));
    }
}
