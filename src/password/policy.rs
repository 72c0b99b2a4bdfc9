//! Which passwords are accepted: NIST SP 800-63B-4 §3.1.1.2 (length, no composition rules, no common ones).
//!
//! The common ones are a short list of our own, of what online guessing tries first: the throttle leaves nobody enough
//! guesses to get further. zxcvbn's lists are private to it, and as an estimator it brings a regular expression engine and
//! a score that is a composition rule by another name. Whoever wants all leaked passwords refused has `BreachCheck`.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use crate::{
    error::FieldError,
    unicode::{nfc, nfc_of_secret},
};

/// Which passwords may be chosen.
///
/// Length is all that counts, in code points, together with a short list of what attackers try first and the user's own
/// names. There are no rules about digits or symbols, and nothing is trimmed or cut.
///
/// # Normal form
/// One device types `é` as one code point and another as two, which look the same. NIST SP 800-63B-4 §3.1.1.2 therefore
/// says to normalize before hashing, by NFC or NFKC. Passwords are hashed in NFC here, which makes one of what is the same
/// text, and their length is counted in it. NFKC would also make one of different texts, such as `x²` and `x2`.
///
/// At a login the password is tried as it was typed and then, where that is another text, in NFC. A hash from before this
/// rule, or from another system, verifies as it was typed, and is made anew in NFC at that login. The second try costs a
/// second hash, of such texts alone, and an unknown login pays it too. The limit of 1,024 bytes is checked before.
#[derive(Clone, Debug)]
pub struct PasswordPolicy {
    min_chars: usize,
    forbidden: Option<Arc<[String]>>,
}

impl PasswordPolicy {
    /// The default minimum, in code points: NIST's for a password beside a second factor, and what most people expect.
    pub const DEFAULT_MIN_CHARS: usize = 8;

    /// The longest password, in bytes: far beyond every passphrase, and short enough to cost nothing before it is hashed.
    pub const MAX_BYTES: usize = 1024;

    /// At least 15 code points: NIST's minimum where the password is the only factor.
    pub const fn nist_single_factor() -> Self {
        Self { min_chars: 15, forbidden: None }
    }

    /// At least this many code points in NFC; `build()` refuses fewer than 8 or more than 64.
    pub const fn with_min_chars(min_chars: usize) -> Self {
        Self { min_chars, forbidden: None }
    }

    /// Refuses words of the app's own besides, such as its name: each alone, and with nothing but digits and signs around
    /// it (`portcullis`, `Portcullis2026!`), in any case.
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

    /// Checks a password for `field` of the body against the rules and the user's own `names`.
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
            return Some(FieldError::new(field, "forbidden", "The password is a word that is too close at hand here."));
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

/// Refuses what no policy accepts, before anything is looked up or hashed.
pub(crate) fn too_long(field: &'static str, password: &str) -> Option<FieldError> {
    (password.len() > PasswordPolicy::MAX_BYTES)
        .then(|| FieldError::new(field, "too_long", "The password has more than 1,024 bytes."))
}

/// Whether the password is one of the user's own names, or the local part of an address among them.
fn is_personal(folded: &str, names: &[&str]) -> bool {
    let local = |name: &str| name.split_once('@').is_some_and(|(local, _)| local == folded);
    names.iter().map(|name| nfc(name).to_lowercase()).any(|name| name == folded || local(&name))
}

/// A word without the digits and signs around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphabetic())
}

fn is_repetitive(password: &str) -> bool {
    let mut chars = password.chars();
    chars.next().is_some_and(|first| chars.all(|c| c == first))
}

/// What attackers try first, from public lists of leaked passwords: those with eight characters or more.
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
    fn an_apps_own_words_are_refused_with_what_people_put_around_them() {
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
