//! Normal forms of Unicode, and characters that look like other characters.

use std::{borrow::Cow, iter};

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};
use zeroize::Zeroizing;

use crate::secret::Secret;

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();

/// Maximum of bytes that NFC makes of one byte (Unicode Standard Annex #15, §9).
const MAX_EXPANSION: usize = 3;

/// Returns a text in Normalization Form C.
pub(crate) fn nfc(text: &str) -> Cow<'_, str> {
    NFC.normalize(text)
}

/// Returns the NFC of a secret, where it differs from the secret.
pub(crate) fn nfc_of_secret(text: &str) -> Option<Secret<String>> {
    if text.is_ascii() || NFC.is_normalized(text) {
        return None;
    }
    // Reserves all bytes at once, because a text that grows leaves copies in memory.
    let mut normal = Zeroizing::new(String::with_capacity(text.len().saturating_mul(MAX_EXPANSION)));
    normal.extend(NFC.normalize_iter(text.chars()));
    Some(Secret::new(std::mem::take(&mut *normal)))
}

/// Returns a text in NFC, without differences of case.
///
/// Small letters with the same capital become equal, such as `ς` and `σ`, whose capital is `Σ`. The
/// rule looks at one character at a time. The place of a letter in a word therefore does not
/// matter. The rule is the simple case folding of Unicode, except for letters that it would fold
/// into ASCII.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded: String = nfc(text).chars().flat_map(char::to_lowercase).map(common_small_letter).collect();
    nfc(&folded).into_owned()
}

fn common_small_letter(c: char) -> char {
    fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
        chars.next().filter(|_| chars.next().is_none())
    }
    let small = single(c.to_uppercase()).and_then(|capital| single(capital.to_lowercase()));
    small.filter(|small| !c.is_ascii() && !small.is_ascii()).unwrap_or(c)
}

/// Returns whether the character is invisible (`Default_Ignorable_Code_Point`).
pub(crate) fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Returns whether a character outside ASCII becomes ASCII when its case or its width is ignored.
/// The Kelvin sign becomes `k`, `＠` becomes `@`, and `ﬁ` becomes `fi`. The ideographic full stop
/// counts as well, because it separates the labels of a domain as `.` does.
pub(crate) fn becomes_ascii(c: char) -> bool {
    !c.is_ascii()
        && (c == '\u{3002}'
            || c.to_lowercase().any(|lower| lower.is_ascii())
            || NFKC.normalize_iter(iter::once(c)).any(|plain| plain.is_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn characters() -> impl Iterator<Item = char> {
        '\0'..=char::MAX
    }

    #[test]
    fn folding_twice_is_folding_once() {
        for c in characters() {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "{c:?}");
        }
    }

    #[test]
    fn a_letter_and_its_capital_fold_alike() {
        for c in characters() {
            let capital: String = c.to_uppercase().collect();
            // `ß` has two capital letters, and `ı` one of ASCII.
            if capital.chars().count() == 1 && !capital.is_ascii() {
                assert_eq!(fold(&c.to_string()), fold(&capital), "{c:?}");
            }
        }
    }

    #[test]
    fn folding_makes_no_ascii_of_what_is_accepted() {
        for c in characters().filter(|c| !c.is_ascii() && !becomes_ascii(*c)) {
            assert!(!fold(&c.to_string()).contains(|folded: char| folded.is_ascii()), "{c:?}");
        }
    }

    #[test]
    fn a_secret_in_its_normal_form_is_not_copied() {
        for normal in ["correct horse", "caf\u{e9}", "\u{1f980}"] {
            assert!(nfc_of_secret(normal).is_none(), "{normal:?}");
        }
        assert_eq!(nfc_of_secret("cafe\u{301}").unwrap().expose(), "caf\u{e9}");
        // The most that a text grows.
        let grown = nfc_of_secret("\u{1d160}").unwrap();
        assert_eq!((grown.expose().len(), grown.expose().capacity()), (12, 12));
    }
}
