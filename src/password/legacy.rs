//! Verifies hashes of schemes other than Argon2, which an app brings along from an older system.
//!
//! A successful login replaces such a hash by one of Argon2id. No such hash is ever made.
//!
//! Each hash costs what its row says, within bounds. Until the upgrade, an attacker can therefore
//! distinguish such a user from an unknown one by the time that a wrong password takes. Add no new
//! rows of these schemes, and replace the old ones by password resets.

#[cfg(any(feature = "scrypt", feature = "pbkdf2"))]
use super::phc::without_padding;
use crate::error::Error;

/// A scheme that is not Argon2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Bcrypt,
    Scrypt,
    Pbkdf2,
}

impl Scheme {
    /// Returns the scheme that the prefix of a stored hash names. `$2x$` is not accepted, because
    /// it marks the hashes of a broken bcrypt implementation.
    pub(super) fn of(stored: &str) -> Option<Self> {
        let has = |prefixes: &[&str]| prefixes.iter().any(|prefix| stored.starts_with(prefix));
        if has(&["$2a$", "$2b$", "$2y$"]) {
            Some(Self::Bcrypt)
        } else if has(&["$scrypt$"]) {
            Some(Self::Scrypt)
        } else if has(&["$pbkdf2-sha256$", "$pbkdf2-sha512$"]) {
            Some(Self::Pbkdf2)
        } else {
            None
        }
    }

    /// Returns whether the hash is that of the password.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the hash is malformed,
    /// asks for more than the bounds, or has a scheme whose feature is off. The source of the error
    /// says which.
    pub(super) fn matches(self, password: &[u8], stored: &str) -> Result<bool, Error> {
        match self {
            Self::Bcrypt => bcrypt(password, stored),
            Self::Scrypt => scrypt(password, stored),
            Self::Pbkdf2 => pbkdf2(password, stored),
        }
    }
}

/// Maximum cost of bcrypt. It takes about 4 s of one thread.
#[cfg(feature = "bcrypt")]
const MAX_BCRYPT_COST: u32 = 16;

/// Verifies a bcrypt hash. bcrypt reads the first 72 bytes of a password, and so did the system
/// that made the hash. After the upgrade all bytes count.
#[cfg(feature = "bcrypt")]
fn bcrypt(password: &[u8], stored: &str) -> Result<bool, Error> {
    let parts: bcrypt::HashParts = stored.parse().map_err(bcrypt_failure)?;
    if parts.get_cost() > MAX_BCRYPT_COST {
        return Err(Error::internal("the bcrypt hash asks for more than the bounds of verification"));
    }
    bcrypt::verify(password, stored).map_err(bcrypt_failure)
}

/// Makes an error of a `BcryptError`, which implements `std::error::Error` only with the feature
/// `std` of its crate.
#[cfg(feature = "bcrypt")]
#[expect(clippy::needless_pass_by_value, reason = "it is an argument of `map_err`")]
fn bcrypt_failure(error: bcrypt::BcryptError) -> Error {
    Error::internal(error.to_string())
}

/// Maximum memory of scrypt in blocks of 128 bytes: 256 MiB, twice that of OWASP's strongest row.
#[cfg(feature = "scrypt")]
const MAX_SCRYPT_BLOCKS: u64 = 2 * 1024 * 1024;
/// Maximum of lanes of scrypt. They are computed one after the other.
#[cfg(feature = "scrypt")]
const MAX_SCRYPT_LANES: u32 = 16;

#[cfg(feature = "scrypt")]
fn scrypt(password: &[u8], stored: &str) -> Result<bool, Error> {
    let phc = Phc::parse(stored)?;
    let (log_n, r, p) = (phc.number("ln")?, phc.number("r")?, phc.number("p")?);
    let blocks = 1_u64.checked_shl(log_n).and_then(|n| n.checked_mul(r.into()));
    if log_n >= 32 || blocks.is_none_or(|blocks| blocks > MAX_SCRYPT_BLOCKS) || p > MAX_SCRYPT_LANES {
        return Err(Error::internal("the scrypt hash asks for more than the bounds of verification"));
    }
    let log_n = u8::try_from(log_n).map_err(Error::internal)?;
    let params = scrypt::Params::new(log_n, r, p).map_err(Error::internal)?;
    phc.matches(|salt, output| scrypt::scrypt(password, salt, &params, output).map_err(Error::internal))
}

/// Maximum of rounds of PBKDF2: about 16 times those that OWASP recommends. They take a few seconds
/// of one thread.
#[cfg(feature = "pbkdf2")]
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

#[cfg(feature = "pbkdf2")]
fn pbkdf2(password: &[u8], stored: &str) -> Result<bool, Error> {
    let phc = Phc::parse(stored)?;
    let algorithm = pbkdf2::Algorithm::new(phc.0.algorithm.as_str()).map_err(Error::internal)?;
    let rounds = phc.number("i")?;
    if rounds > MAX_PBKDF2_ROUNDS {
        return Err(Error::internal("the PBKDF2 hash asks for more than the bounds of verification"));
    }
    phc.matches(|salt, output| {
        let params = pbkdf2::Params::new_with_output_len(rounds, output.len()).map_err(Error::internal)?;
        pbkdf2::pbkdf2_hmac_with_params(password, salt, algorithm, params, output);
        Ok(())
    })
}

#[cfg(not(feature = "bcrypt"))]
fn bcrypt(_: &[u8], _: &str) -> Result<bool, Error> {
    Err(Error::internal("the hash is of bcrypt: enable the feature `bcrypt`"))
}

#[cfg(not(feature = "scrypt"))]
fn scrypt(_: &[u8], _: &str) -> Result<bool, Error> {
    Err(Error::internal("the hash is of scrypt: enable the feature `scrypt`"))
}

#[cfg(not(feature = "pbkdf2"))]
fn pbkdf2(_: &[u8], _: &str) -> Result<bool, Error> {
    Err(Error::internal("the hash is of PBKDF2: enable the feature `pbkdf2`"))
}

#[cfg(any(feature = "scrypt", feature = "pbkdf2"))]
struct Phc(password_hash::phc::PasswordHash);

#[cfg(any(feature = "scrypt", feature = "pbkdf2"))]
impl Phc {
    fn parse(stored: &str) -> Result<Self, Error> {
        password_hash::phc::PasswordHash::new(&without_padding(stored)).map(Self).map_err(Error::internal)
    }

    fn number(&self, name: &str) -> Result<u32, Error> {
        self.0.params.get_decimal(name).ok_or_else(|| Error::internal(format!("the hash has no number {name}")))
    }

    /// Calls `compute` with the salt and compares its output with the stored one, in constant time.
    fn matches(&self, compute: impl FnOnce(&[u8], &mut [u8]) -> Result<(), Error>) -> Result<bool, Error> {
        use password_hash::phc::Output;

        let (Some(salt), Some(expected)) = (&self.0.salt, &self.0.hash) else {
            return Err(Error::internal("the hash has no salt or no output"));
        };
        let mut output = [0; Output::MAX_LENGTH];
        let output = output.get_mut(..expected.len()).ok_or_else(|| Error::internal("the hash is too long"))?;
        compute(salt, output)?;
        Ok(Output::new(output).map_err(Error::internal)? == *expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "bcrypt", feature = "scrypt", feature = "pbkdf2"))]
    fn matches(password: &str, stored: &str) -> Option<bool> {
        Scheme::of(stored).unwrap().matches(password.as_bytes(), stored).ok()
    }

    #[test]
    fn the_prefix_names_the_scheme() {
        assert_eq!(Scheme::of("$2b$05$abc"), Some(Scheme::Bcrypt));
        assert_eq!(Scheme::of("$pbkdf2-sha512$i=1000"), Some(Scheme::Pbkdf2));
        for other in ["$2x$05$abc", "$2$05$abc", "$argon2id$v=19", "$1$abc", "$pbkdf2$", "$pbkdf2-sha1$", "", "plain"] {
            assert_eq!(Scheme::of(other), None, "{other:?}");
        }
    }

    // `crypt` of libxcrypt made the bcrypt hashes. OpenSSL made the others, called by Python's
    // `hashlib`.

    #[cfg(feature = "bcrypt")]
    #[test]
    fn bcrypt_of_each_prefix_verifies() {
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let stored = format!("{prefix}05$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo.");
            assert_eq!(matches("correct horse battery", &stored), Some(true));
            assert_eq!(matches("correct horse batterz", &stored), Some(false));
        }
        let umlaut = "$2b$05$abcdefghijklmnopqrstuupL1ADDQAfwgR7EwIlvK3VtUuun.uV7a";
        assert_eq!(matches("löwen", umlaut), Some(true));
    }

    #[cfg(feature = "bcrypt")]
    #[test]
    fn bcrypt_counts_72_bytes_as_where_the_hash_was_made() {
        let stored = "$2b$05$abcdefghijklmnopqrstuuLkMZtUsVwf9Ptg/wgiNv8ZhtnAHnix.";
        let long = "0123456789".repeat(8);
        assert_eq!(matches(&long, stored), Some(true));
        assert_eq!(matches(&long[..72], stored), Some(true));
        assert_eq!(matches(&long[..71], stored), Some(false));
    }

    #[cfg(feature = "bcrypt")]
    #[test]
    fn bcrypt_that_would_take_a_day_is_refused_at_once() {
        for cost in ["17", "31", "99", "03", "-1"] {
            let stored = format!("$2b${cost}$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo.");
            assert_eq!(matches("correct horse battery", &stored), None, "{cost}");
        }
        for malformed in ["$2b$", "$2b$05$short", "$2b$05$äbcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo"] {
            assert_eq!(matches("correct horse battery", malformed), None, "{malformed}");
        }
    }

    #[cfg(feature = "scrypt")]
    #[test]
    fn scrypt_verifies_within_bounds() {
        let tail = "$MDEyMzQ1Njc4OWFiY2RlZg$ebnHHTApWa0oNoXTYCCHxLXDaejcvcTRQhZaD1OJNCE";
        let stored = format!("$scrypt$ln=14,r=8,p=1{tail}");
        assert_eq!(matches("correct horse battery", &stored), Some(true));
        assert_eq!(matches("correct horse batterz", &stored), Some(false));
        let beyond = ["ln=19,r=8,p=1", "ln=63,r=8,p=1", "ln=64,r=8,p=1", "ln=4,r=4294967295,p=1", "ln=1,r=1,p=17"];
        for params in beyond.into_iter().chain(["ln=14,r=0,p=1", "ln=14,r=8", "ln=14,r=8,p=0"]) {
            assert_eq!(matches("correct horse battery", &format!("$scrypt${params}{tail}")), None, "{params}");
        }
        assert_eq!(matches("correct horse battery", "$scrypt$ln=14,r=8,p=1"), None);
    }

    #[cfg(feature = "pbkdf2")]
    #[test]
    fn pbkdf2_verifies_within_bounds() {
        for stored in [
            "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4",
            "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4",
            "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg==$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4=",
            "$pbkdf2-sha512$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$7F/Y1rnWXXurLCfFvAmyjyXtbABhgzBTBNcm//wlnvE",
        ] {
            assert_eq!(matches("correct horse battery", stored), Some(true), "{stored}");
            assert_eq!(matches("correct horse batterz", stored), Some(false), "{stored}");
        }
        for params in ["i=10000001", "i=4294967295", "i=0", "l=32"] {
            let stored =
                format!("$pbkdf2-sha256${params}$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4");
            assert_eq!(matches("correct horse battery", &stored), None, "{params}");
        }
    }

    #[cfg(not(feature = "bcrypt"))]
    #[test]
    fn a_hash_whose_feature_is_off_says_so() {
        let stored = "$2b$05$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo.";
        let error = Scheme::Bcrypt.matches(b"correct horse battery", stored).unwrap_err();
        assert!(format!("{error:?}").contains("feature `bcrypt`"), "{error:?}");
    }
}
