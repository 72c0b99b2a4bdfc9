//! [`Hasher`]: hashes passwords with Argon2id, and verifies stored hashes within bounds.

use argon2::{Algorithm, Argon2, KeyId, Params, ParamsBuilder, Version};
use password_hash::phc::{self, Output, Salt};

use super::{
    hash_cost::HashCost,
    hash_memory::Memory,
    legacy::Scheme,
    pepper::{Pepper, Peppers},
    phc::without_padding,
};
use crate::{error::Error, random, user::PasswordHash};

/// Bytes of a salt: RFC 9106 §3.1.
const SALT_BYTES: usize = 16;
/// Bytes of an output: RFC 9106 §4.
const OUTPUT_BYTES: usize = 32;

/// Result of comparing a password with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The password is right. `upgrade` says that its hash is weaker than today's, or has another
    /// pepper.
    Match { upgrade: bool },
    /// The password is wrong.
    Mismatch,
}

/// Hashes with the current cost and pepper, and verifies hashes of any accepted cost and pepper.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    cost: HashCost,
    peppers: Peppers,
}

impl Hasher {
    /// Returns a hasher of this cost, without a pepper.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the limit, where the cost is below OWASP's minimum or above
    /// the bounds.
    pub(crate) fn new(cost: HashCost) -> Result<Self, &'static str> {
        if !cost.is_strong_enough() {
            return Err("the hash cost is below OWASP's minimum: use at least 19,456 KiB with 2 iterations \
                        (HashCost::OWASP), or 47,104 KiB with 1");
        }
        if !cost.is_bounded() || params(cost, None).is_err() {
            return Err("the hash cost is out of range: at most 1 GiB, 64 iterations and 16 lanes, at least 1 lane");
        }
        Ok(Self { cost, peppers: Peppers::default() })
    }

    /// Returns a hasher of any cost, for tests. It does not check OWASP's minimum.
    #[cfg(feature = "testing")]
    pub(crate) fn at_any_cost(cost: HashCost) -> Self {
        Self { cost, peppers: Peppers::default() }
    }

    pub(crate) fn with_peppers(self, peppers: Peppers) -> Self {
        Self { peppers, ..self }
    }

    pub(crate) fn hash(&self, password: &[u8], memory: &mut Memory) -> Result<PasswordHash, Error> {
        let salt = random::bytes::<SALT_BYTES>()?;
        let pepper = self.peppers.current();
        let params = params(self.cost, pepper)?;
        let mut output = [0; OUTPUT_BYTES];
        let argon2 = context(Algorithm::Argon2id, Version::V0x13, params, pepper)?;
        self.compute(&argon2, (password, &salt), &mut output, memory)?;
        self.encode(&salt, &output)
    }

    /// Returns the PHC string of a salt and an output, with the current cost and pepper.
    pub(crate) fn encode(&self, salt: &[u8], output: &[u8]) -> Result<PasswordHash, Error> {
        let params = params(self.cost, self.peppers.current())?;
        let phc = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&params).map_err(Error::internal)?,
            salt: Some(Salt::new(salt).map_err(Error::internal)?),
            hash: Some(Output::new(output).map_err(Error::internal)?),
        };
        Ok(PasswordHash::new(phc.to_string()))
    }

    /// Compares a password with a stored hash.
    ///
    /// A hash of another scheme than Argon2 is always due for an upgrade.
    ///
    /// Argon2 hashes of other implementations are accepted too. They may have:
    /// - another variant than Argon2id
    /// - another version than 19; a missing version is 16, as in the reference implementation
    /// - their parameters in another order
    /// - associated data (`data=`)
    /// - base64 padding in the salt and the output
    ///
    /// Such a hash is due for an upgrade, unless only the order of its parameters differs.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the hash is malformed, has
    /// an unknown scheme, asks for more than the bounds, lacks one of `m`, `t` and `p`, or names a
    /// pepper (`keyid`) that is not configured.
    pub(crate) fn verify(&self, password: &[u8], stored: &PasswordHash, memory: &mut Memory) -> Result<Verdict, Error> {
        if let Some(scheme) = Scheme::of(stored.as_str()) {
            let matches = scheme.matches(password, stored.as_str())?;
            return Ok(if matches { Verdict::Match { upgrade: true } } else { Verdict::Mismatch });
        }
        let unpadded = without_padding(stored.as_str());
        let phc = phc::PasswordHash::new(&unpadded).map_err(Error::internal)?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).map_err(Error::internal)?;
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(Error::internal)?;
        if let Some(missing) = ["m", "t", "p"].into_iter().find(|name| phc.params.get(*name).is_none()) {
            return Err(Error::internal(format!("the hash does not say its cost: {missing} is missing")));
        }
        let params = Params::try_from(&phc).map_err(Error::internal)?;
        let cost = HashCost { memory_kib: params.m_cost(), iterations: params.t_cost(), parallelism: params.p_cost() };
        if !cost.is_bounded() {
            return Err(Error::internal("the hash asks for more than the bounds of verification"));
        }
        let (Some(salt), Some(expected)) = (&phc.salt, &phc.hash) else {
            return Err(Error::internal("the hash has no salt or no output"));
        };
        let pepper = self.peppers.find(params.keyid())?;
        let is_current = params.keyid() == self.peppers.current().map_or(KeyId::EMPTY, Pepper::id).as_bytes();
        let mut output = [0; Output::MAX_LENGTH];
        let output = output.get_mut(..expected.len()).ok_or_else(|| Error::internal("the hash is too long"))?;
        let is_plain = params.data().is_empty() && unpadded == stored.as_str();
        self.compute(&context(algorithm, version, params, pepper)?, (password, salt), output, memory)?;
        let computed = Output::new(output).map_err(Error::internal)?;
        // `Output` compares in constant time.
        if computed != *expected {
            return Ok(Verdict::Mismatch);
        }
        let weaker = algorithm != Algorithm::Argon2id
            || version != Version::V0x13
            || !is_current
            || !is_plain
            || cost.memory_kib < self.cost.memory_kib
            || cost.iterations < self.cost.iterations
            || expected.len() < OUTPUT_BYTES;
        Ok(Verdict::Match { upgrade: weaker })
    }

    fn compute(
        &self,
        argon2: &Argon2<'_>,
        (password, salt): (&[u8], &[u8]),
        output: &mut [u8],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let params = argon2.params();
        let blocks = memory.of(params.block_count())?;
        let result = argon2.hash_password_into_with_memory(password, salt, output, blocks).map_err(Error::internal);
        let passes = u64::from(params.t_cost());
        memory.count_filled(u64::try_from(params.block_count()).unwrap_or(u64::MAX).saturating_mul(passes));
        memory.shrink(params_blocks(self.cost));
        result
    }
}

fn params(cost: HashCost, pepper: Option<&Pepper>) -> Result<Params, Error> {
    let mut builder = ParamsBuilder::new();
    builder.m_cost(cost.memory_kib).t_cost(cost.iterations).p_cost(cost.parallelism).output_len(OUTPUT_BYTES);
    if let Some(pepper) = pepper {
        builder.keyid(pepper.id());
    }
    builder.build().map_err(Error::internal)
}

fn context(
    algorithm: Algorithm,
    version: Version,
    params: Params,
    pepper: Option<&Pepper>,
) -> Result<Argon2<'_>, Error> {
    match pepper {
        Some(pepper) => Argon2::new_with_secret(pepper.secret(), algorithm, version, params).map_err(Error::internal),
        None => Ok(Argon2::new(algorithm, version, params)),
    }
}

fn params_blocks(cost: HashCost) -> usize {
    params(cost, None).map_or(0, |params| params.block_count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn hasher() -> Hasher {
        Hasher::new(HashCost::OWASP).unwrap()
    }

    #[test]
    fn the_cost_reaches_the_phc_string() {
        let hash = hasher().hash(b"correct horse", &mut Memory::default()).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
    }

    #[test]
    fn a_hash_of_another_implementation_verifies() {
        // A test vector of the reference implementation (`src/test.c`).
        let reference =
            PasswordHash::new("$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA");
        let verdict = hasher().verify(b"password", &reference, &mut Memory::default()).unwrap();
        assert_eq!(verdict, Verdict::Match { upgrade: true }, "argon2i is replaced at the next login");
    }

    #[test]
    fn a_weaker_hash_is_due_for_an_upgrade() {
        let strong = Hasher::new(HashCost { iterations: 3, ..HashCost::OWASP }).unwrap();
        let mut memory = Memory::default();
        let weak = hasher().hash(b"correct horse", &mut memory).unwrap();
        assert_eq!(strong.verify(b"correct horse", &weak, &mut memory).unwrap(), Verdict::Match { upgrade: true });
        let new = strong.hash(b"correct horse", &mut memory).unwrap();
        assert_eq!(strong.verify(b"correct horse", &new, &mut memory).unwrap(), Verdict::Match { upgrade: false });
    }

    #[test]
    fn a_pepper_is_introduced_rotated_and_taken_out_at_logins() {
        let (old, new) = (Secret::from("the old pepper"), Secret::from("the new pepper"));
        let peppered = |current: Option<&Secret<Vec<u8>>>, retired: &[Secret<Vec<u8>>]| {
            hasher().with_peppers(Peppers::new(current, retired).unwrap())
        };
        let mut memory = Memory::default();
        let without = hasher().hash(b"correct horse", &mut memory).unwrap();
        let mut verify = |hasher: &Hasher, hash| hasher.verify(b"correct horse", hash, &mut memory).ok();
        let first = peppered(Some(&old), &[]);
        assert_eq!(verify(&first, &without), Some(Verdict::Match { upgrade: true }), "introduced");
        let hash = first.hash(b"correct horse", &mut Memory::default()).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1,keyid="), "{}", hash.as_str());
        assert_eq!(verify(&first, &hash), Some(Verdict::Match { upgrade: false }));
        assert_eq!(
            verify(&peppered(Some(&new), std::slice::from_ref(&old)), &hash),
            Some(Verdict::Match { upgrade: true }),
            "rotated"
        );
        assert_eq!(
            verify(&peppered(None, std::slice::from_ref(&old)), &hash),
            Some(Verdict::Match { upgrade: true }),
            "taken out"
        );
        assert_eq!(verify(&peppered(Some(&new), &[]), &hash), None, "gone: a fault, not a wrong password");
        assert_eq!(verify(&hasher(), &hash), None);

        let renamed =
            hash.as_str().split(",keyid=").next().unwrap().to_owned() + &hash.as_str()[hash.as_str().len() - 67..];
        let stolen = PasswordHash::new(renamed);
        assert_eq!(verify(&hasher(), &stolen), Some(Verdict::Mismatch), "the table alone does not do");
    }

    #[test]
    fn a_hash_that_does_not_say_its_cost_is_no_wrong_password() {
        let tail = "c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA";
        for params in ["", "m=65536$", "m=65536,t=2$", "m=65536,p=1$", "t=2,p=1$", "m=65536,t=2,p=1,x=1$", "m=$"] {
            let hash = PasswordHash::new(format!("$argon2i$v=19${params}{tail}"));
            assert!(hasher().verify(b"password", &hash, &mut Memory::default()).is_err(), "{params}");
        }
    }

    #[test]
    fn a_hash_that_asks_for_too_much_is_refused_before_any_work() {
        let huge = PasswordHash::new("$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo");
        let mut memory = Memory::default();
        assert!(hasher().verify(b"x", &huge, &mut memory).is_err());
        assert_eq!(memory.len(), 0, "no block was allocated");
    }

    #[test]
    fn costs_below_owasp_are_refused() {
        for weak in [
            HashCost { memory_kib: 19_455, ..HashCost::OWASP },
            HashCost { iterations: 1, ..HashCost::OWASP },
            HashCost { parallelism: 0, ..HashCost::OWASP },
            HashCost { memory_kib: u32::MAX, ..HashCost::OWASP },
        ] {
            assert!(Hasher::new(weak).is_err(), "{weak:?}");
        }
        assert!(Hasher::new(HashCost::OWASP_ONE_PASS).is_ok());
    }

    #[test]
    fn what_a_hash_leaves_behind_changes_no_other() {
        let mut memory = Memory::default();
        let ada = hasher().hash(b"correct horse", &mut memory).unwrap();
        let bob = hasher().hash(b"battery staple", &mut memory).unwrap();
        for (password, hash) in [(&b"correct horse"[..], &ada), (b"battery staple", &bob)] {
            let verdict = hasher().verify(password, hash, &mut memory).unwrap();
            assert_eq!(verdict, Verdict::Match { upgrade: false });
            assert_eq!(hasher().verify(password, hash, &mut Memory::default()).unwrap(), verdict);
        }
    }
}
