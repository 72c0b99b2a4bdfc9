//! [`PasswordPolicy`]: which passwords may be chosen, by NIST SP 800-63B-4 §3.1.1.2. Length counts,
//! there are no composition rules, and common passwords are refused.
//!
//! The list of common passwords is our own and short. It has those that online guessing tries
//! first, and the throttle admits too few guesses to get further. `BreachCheck` refuses all leaked
//! passwords, for apps that want this.
//!
//! The crate `zxcvbn` is not used. Its lists are private, its score is a composition rule in
//! another form, and it brings a regular expression engine.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use crate::{
    error::FieldError,
    unicode::{nfc, nfc_of_secret},
};

/// Says which passwords may be chosen.
///
/// A password has a minimum length in code points and a maximum length in bytes. It is refused
/// where it is on a short list of those that attackers try first, or where it is a name of the
/// user. There are no rules about digits or symbols. A password is never trimmed or cut.
///
/// # Normal form
///
/// One device types `é` as one code point, and another types it as two, although both look the
/// same. NIST SP 800-63B-4 §3.1.1.2 therefore recommends to normalize a password before it is
/// hashed, by NFC or NFKC. This crate counts and hashes passwords in NFC, which only makes equal
/// texts equal. NFKC would also make different texts equal, such as `x²` and `x2`.
///
/// A login tries the password as it was typed. Where that fails and the text is not in NFC, it
/// tries the NFC. A hash that is older than this rule, or that comes from another system, thus
/// still verifies, and that login replaces it by the hash of the NFC. The second try costs a second
/// hash. It costs it for an unknown login as well, so that the time does not distinguish them. The
/// limit of 1,024 bytes is checked before.
///
/// # Examples
///
/// ```
/// use portcullis::password::PasswordPolicy;
///
/// let policy = PasswordPolicy::with_min_chars(12).forbidding(["portcullis", "acme"]);
/// ```
#[derive(Clone, Debug)]
pub struct PasswordPolicy {
    min_chars: usize,
    forbidden: Option<Arc<[String]>>,
}

impl PasswordPolicy {
    /// Default of the minimum length in code points. It is NIST's minimum for a password beside a
    /// second factor, and what most people expect.
    pub const DEFAULT_MIN_CHARS: usize = 8;

    /// Maximum length in bytes. It is longer than any passphrase, and short enough to be checked
    /// without noticeable cost.
    pub const MAX_BYTES: usize = 1024;

    /// Requires at least 15 code points, which is NIST's minimum where the password is the only
    /// factor.
    pub const fn nist_single_factor() -> Self {
        Self { min_chars: 15, forbidden: None }
    }

    /// Requires at least this many code points in NFC. Minimum: 8. Maximum: 64. Other numbers fail
    /// at `build()`.
    pub const fn with_min_chars(min_chars: usize) -> Self {
        Self { min_chars, forbidden: None }
    }

    /// Also refuses these words, for example the name of the app. A word is refused in any case,
    /// alone or with digits and signs around it, such as `portcullis` and `Portcullis2026!`.
    pub fn forbidding<W: AsRef<str>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        let words = words.into_iter().map(|word| bare(&nfc(word.as_ref()).to_lowercase()).to_owned());
        let known = self.forbidden.iter().flat_map(|known| known.iter().cloned());
        self.forbidden = Some(known.chain(words).filter(|word| !word.is_empty()).collect());
        self
    }

    pub(crate) fn problem(&self) -> Option<&'static str> {
        (!(8..=64).contains(&self.min_chars)).then_some(
            "the password policy's minimum must be 8 to 64 characters (NIST asks for 15 without a second factor)",
        )
    }

    /// Checks a password against the rules and against the `names` of the user. The error names
    /// `field` of the body.
    pub(crate) fn check(&self, field: &'static str, password: &str, names: &[&str]) -> Option<FieldError> {
        if password.is_empty() {
            return Some(FieldError::new(field, "required", "A password is required."));
        }
        if let Some(error) = too_long(field, password) {
            return Some(error);
        }
        let normal = nfc_of_secret(password);
        let password = normal.as_ref().map_or(password, |normal| normal.expose().as_str());
        if password.chars().count() < self.min_chars {
            let message = format!("The password has fewer than {} characters.", self.min_chars);
            return Some(FieldError::new(field, "too_short", message));
        }
        let folded = password.to_lowercase();
        if password.chars().all(char::is_whitespace) || is_repetitive(&folded) || COMMON.contains(folded.as_str()) {
            return Some(FieldError::new(field, "common", "This password is among the first that attackers try."));
        }
        if self.forbidden.as_ref().is_some_and(|words| words.iter().any(|word| *word == bare(&folded))) {
            return Some(FieldError::new(field, "forbidden", "The password is a word that is easy to guess here."));
        }
        if is_personal(&folded, names) {
            return Some(FieldError::new(
                field,
                "personal",
                "The password is the e-mail address or a name of the user.",
            ));
        }
        None
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self::with_min_chars(Self::DEFAULT_MIN_CHARS)
    }
}

/// Refuses a password that no policy accepts, before a user is looked up and anything is hashed.
pub(crate) fn too_long(field: &'static str, password: &str) -> Option<FieldError> {
    (password.len() > PasswordPolicy::MAX_BYTES)
        .then(|| FieldError::new(field, "too_long", "The password has more than 1,024 bytes."))
}

/// Returns whether the password is a name of the user, or the local part of an address among the
/// names.
fn is_personal(folded: &str, names: &[&str]) -> bool {
    let local = |name: &str| name.split_once('@').is_some_and(|(local, _)| local == folded);
    names.iter().map(|name| nfc(name).to_lowercase()).any(|name| name == folded || local(&name))
}

/// Removes the digits and signs around a word.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphabetic())
}

fn is_repetitive(password: &str) -> bool {
    let mut chars = password.chars();
    chars.next().is_some_and(|first| chars.all(|c| c == first))
}

/// Passwords of eight characters or more that attackers try first, from public lists of leaked
/// passwords.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

#[cfg(test)]
mod tests {
    use super::*;

    fn code(password: &str) -> Option<String> {
        let names = ["ada.lovelace@example.com", "countess"];
        PasswordPolicy::default().check("password", password, &names).map(|error| error.code.into_owned())
    }

    #[test]
    fn each_rule_has_its_code() {
        assert_eq!(code("").as_deref(), Some("required"));
        assert_eq!(code("seven77").as_deref(), Some("too_short"));
        assert_eq!(code(&"a1".repeat(513)).as_deref(), Some("too_long"));
        assert_eq!(code("PassWord123").as_deref(), Some("common"));
        assert_eq!(code("zzzzzzzzzzzz").as_deref(), Some("common"));
        assert_eq!(code("          ").as_deref(), Some("common"));
        assert_eq!(code("Ada.Lovelace@example.com").as_deref(), Some("personal"));
        assert_eq!(code("ada.lovelace").as_deref(), Some("personal"));
        assert_eq!(code("COUNTESS").as_deref(), Some("personal"));
        assert_eq!(code("correct horse"), None);
        assert_eq!(code(&"a1".repeat(512)), None);
    }

    #[test]
    fn words_of_the_app_are_refused_with_digits_around_them() {
        let policy = PasswordPolicy::default().forbidding(["Portcullis"]).forbidding(["ACME Corp.", "--"]);
        let refused = |password: &str| policy.check("password", password, &[]).map(|error| error.code.into_owned());
        for word in ["portcullis", "PORTCULLIS2026!", "1234portcullis", "acme corp", "Acme Corp. 1", "...ACME Corp"] {
            assert_eq!(refused(word).as_deref(), Some("forbidden"), "{word:?}");
        }
        for word in ["portcullis gate", "a portcullis", "12345--67890"] {
            assert_eq!(refused(word), None, "{word:?}");
        }
    }

    #[test]
    fn length_counts_code_points_not_bytes() {
        assert_eq!(code("🦀🦀🦀🦀🦀🦀🐳").as_deref(), Some("too_short"));
        assert_eq!(code("🦀🦀🦀🦀🦀🦀🐳🐳"), None);
    }

    #[test]
    fn the_list_has_no_entry_that_could_never_match() {
        for entry in COMMON.iter() {
            assert!(entry.len() >= 8 && entry.to_lowercase() == *entry, "{entry:?}");
        }
        assert!(COMMON.len() > 150);
    }
}
