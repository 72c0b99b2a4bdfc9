//! Refuses weak secrets.

use super::Algorithm;

/// Returns a secret without the white space around it, if the secret is a text.
///
/// Bytes that are no text are not changed. Of random secrets with 32 bytes, 1 in 40 begins or ends
/// with a byte that would be white space.
pub(crate) fn trimmed(secret: &[u8]) -> &[u8] {
    let is_text = secret.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if is_text { secret.trim_ascii() } else { secret }
}

/// Returns why an HMAC secret is weak, and how to fix it. White space around a text adds no
/// strength.
pub(crate) fn secret_problem(algorithm: Algorithm, secret: &[u8]) -> Option<String> {
    const FIX: &str = "generate one with `openssl rand -base64 48`";
    let secret = trimmed(secret);
    let folded: Vec<u8> =
        secret.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    if DEMO_SECRETS.iter().any(|demo| folded.starts_with(demo.as_bytes())) {
        return Some(format!("is a well-known secret from a tutorial: {FIX}"));
    }
    let (length, least) = (secret.len(), algorithm.min_secret_bytes());
    if length < least {
        return Some(format!("has {length} bytes and needs at least {least} (RFC 7518 §3.2): {FIX}"));
    }
    // A repeated short word is as weak as the word.
    if (1..=8).any(|period| secret.iter().zip(secret.iter().skip(period)).all(|(a, b)| a == b)) {
        return Some(format!("repeats itself: {FIX}"));
    }
    None
}

/// The beginnings of demo secrets in lower case without punctuation, so that `your_super-Secret…`
/// is found as well.
const DEMO_SECRETS: [&str; 14] = [
    "astringsecretatleast",
    "youraccesstoken",
    "yourrefreshtoken",
    "youraccesssecret",
    "yourrefreshsecret",
    "yoursupersecret",
    "yoursecret",
    "yourverysecret",
    "yourjwtsecret",
    "your256bitsecret",
    "your512bitsecret",
    "changeme",
    "supersecret",
    "mysupersecret",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_and_well_known_secrets_are_refused_with_their_fix() {
        for weak in [
            "",
            "short",
            "a-string-secret-at-least-256-bits-long",
            "your-super-secret-access-key-min-32-chars",
            "your_super_secret_access_key",
            "YOUR_SUPER_SECRET_REFRESH_KEY_1234567890",
            "your-256-bit-secret-your-256-bit-secret",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "secret1secret1secret1secret1secret1secret1",
        ] {
            let problem = secret_problem(Algorithm::HS256, weak.as_bytes());
            assert!(problem.as_ref().is_some_and(|text| text.contains("openssl rand")), "{weak:?}: {problem:?}");
        }
        assert_eq!(secret_problem(Algorithm::HS256, &crate::random::bytes::<32>().unwrap()), None);
    }

    #[test]
    fn white_space_around_a_secret_makes_it_no_stronger() {
        for weak in [
            "          thirty-bytes-in-the-middle",
            "your-super-secret-key\r\n",
            " aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        ] {
            assert!(weak.len() >= 23);
            assert!(secret_problem(Algorithm::HS256, weak.as_bytes()).is_some(), "{weak:?}");
        }
        let mut binary = [0xc3; 32];
        binary[1] = 7;
        binary[13] = 255;
        (binary[0], binary[31]) = (b' ', b'\n');
        assert_eq!(secret_problem(Algorithm::HS256, &binary), None, "random bytes are no text");
        assert_eq!(trimmed(&binary), binary);
        assert_eq!(trimmed(b" a b\r\n"), b"a b");
    }

    #[test]
    fn a_secret_has_at_least_the_length_of_the_hash() {
        for (algorithm, least) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
            let generated = crate::random::bytes::<64>().unwrap();
            assert_eq!(secret_problem(algorithm, &generated[..least]), None, "{algorithm}");
            assert!(secret_problem(algorithm, &generated[..least - 1]).is_some(), "{algorithm}");
        }
    }
}
