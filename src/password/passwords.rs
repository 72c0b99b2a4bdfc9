//! [`Passwords`]: what the flows call to check, hash and verify a password.

use std::sync::Arc;

use super::{
    argon2::{Hasher, Verdict},
    breach_check::BreachCheck,
    decoy,
    policy::PasswordPolicy,
    pool::{HashStats, Pool},
};
use crate::{
    error::{Error, ErrorKind, FieldError},
    secret::Secret,
    unicode::nfc_of_secret,
    user::PasswordHash,
};

/// Holds the policy, the breach check, the hasher, the decoy and the hashing threads.
pub(crate) struct Passwords {
    policy: PasswordPolicy,
    breaches: Option<Arc<dyn BreachCheck>>,
    hasher: Arc<Hasher>,
    decoy: PasswordHash,
    pool: Pool,
}

impl Passwords {
    pub(crate) fn new(policy: PasswordPolicy, hasher: Hasher, pool: Pool) -> Result<Self, Error> {
        let decoy = decoy::hash(&hasher)?;
        Ok(Self { policy, breaches: None, hasher: Arc::new(hasher), decoy, pool })
    }

    pub(crate) fn with_breaches(self, breaches: Option<Arc<dyn BreachCheck>>) -> Self {
        Self { breaches, ..self }
    }

    /// Asks the app's breach check about a password that passed the policy.
    pub(crate) async fn check_breaches(&self, field: &'static str, password: &Secret<String>) -> Result<(), Error> {
        let Some(breaches) = &self.breaches else { return Ok(()) };
        let normal = nfc_of_secret(password.expose());
        if breaches.is_breached(normal.as_ref().unwrap_or(password)).await? {
            let error = FieldError::new(field, "breached", "This password is known from a leak.");
            return Err(Error::validation(vec![error]));
        }
        Ok(())
    }

    pub(crate) fn stats(&self) -> HashStats {
        self.pool.stats()
    }

    pub(crate) fn policy(&self) -> &PasswordPolicy {
        &self.policy
    }

    /// Hashes a password that passed the policy, in its normal form.
    pub(crate) async fn hash(&self, password: Secret<String>) -> Result<PasswordHash, Error> {
        let hasher = Arc::clone(&self.hasher);
        let password = nfc_of_secret(password.expose()).unwrap_or(password);
        self.pool.run(move |memory| hasher.hash(password.expose().as_bytes(), memory)).await?
    }

    /// Compares a password with a stored hash. Where there is no stored hash, it compares with the
    /// decoy, at the same cost.
    ///
    /// A text that is not in NFC is tried twice: as it was typed, and then in NFC. The first try is
    /// needed because the hash may be older than this rule or come from another system. If it
    /// matches, the hash is due for an upgrade to that of the normal form. Only such a text costs a
    /// second hash, and it costs it for an unknown user as well.
    ///
    /// A hash that cannot be read is an error in the store, not a wrong password. It is logged. The
    /// decoy is then verified, and the result is `Mismatch`, so that a client cannot find such a
    /// row.
    pub(crate) async fn verify(&self, password: Secret<String>, stored: Option<&str>) -> Result<Verdict, Error> {
        let known = stored.is_some();
        let decoy = self.decoy.clone();
        let mut stored = stored.map_or_else(|| decoy.clone(), PasswordHash::new);
        let hasher = Arc::clone(&self.hasher);
        let normal = nfc_of_secret(password.expose());
        let verdict = self
            .pool
            .run(move |memory| {
                let mut verify = |password: &Secret<String>| {
                    let password = password.expose().as_bytes();
                    match hasher.verify(password, &stored, memory) {
                        Err(error) if error.kind() == ErrorKind::Internal && known => {
                            tracing::error!(target: "portcullis", error = ?error, "a stored password hash cannot be verified");
                            stored = decoy.clone();
                            hasher.verify(password, &stored, memory)
                        }
                        verdict => verdict,
                    }
                };
                match (verify(&password)?, normal) {
                    (Verdict::Mismatch, Some(normal)) => verify(&normal),
                    (Verdict::Match { .. }, Some(_)) => Ok(Verdict::Match { upgrade: true }),
                    (verdict, None) => Ok(verdict),
                }
            })
            .await??;
        Ok(if known { verdict } else { Verdict::Mismatch })
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").field("policy", &self.policy).field("hasher", &self.hasher).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        clock::SystemClock,
        password::{hash_cost::HashCost, hash_memory::Memory},
    };

    fn passwords() -> Passwords {
        let hasher = Hasher::new(HashCost::OWASP).unwrap();
        let pool = Pool::new(1, 8, Duration::from_secs(60), Arc::new(SystemClock)).unwrap();
        Passwords::new(PasswordPolicy::default(), hasher, pool).unwrap()
    }

    #[tokio::test]
    async fn the_decoy_matches_no_password() {
        let verdict = passwords().verify("anything".into(), None).await.unwrap();
        assert_eq!(verdict, Verdict::Mismatch);
    }

    #[tokio::test]
    async fn a_corrupt_row_is_a_mismatch_for_the_client() {
        for corrupt in ["", "plain", "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"] {
            let verdict = passwords().verify("anything".into(), Some(corrupt)).await.unwrap();
            assert_eq!(verdict, Verdict::Mismatch, "{corrupt:?}");
        }
    }

    #[tokio::test]
    async fn a_text_of_two_forms_costs_two_hashes_at_most() {
        const BLOCKS: u64 = 2 * 19_456;
        let passwords = passwords();
        let hash = passwords.hash("caf\u{e9} crossing".into()).await.unwrap();
        let raw = Hasher::new(HashCost::OWASP).unwrap();
        let as_typed = raw.hash("cafe\u{301} crossing".as_bytes(), &mut Memory::default()).unwrap();
        let (hash, as_typed, corrupt) = (Some(hash.as_str()), Some(as_typed.as_str()), Some("plain"));
        let (good, due) = (Verdict::Match { upgrade: false }, Verdict::Match { upgrade: true });
        for (typed, stored, verdict, hashes) in [
            ("caf\u{e9} crossing", hash, good, 1),
            ("cafe\u{301} crossing", hash, good, 2),
            ("cafe\u{301} crossing", as_typed, due, 1),
            ("caf\u{e9} crossing", as_typed, Verdict::Mismatch, 1),
            ("cafe\u{301} crossings", hash, Verdict::Mismatch, 2),
            ("cafe\u{301} crossings", None, Verdict::Mismatch, 2),
            ("cafe\u{301} crossings", corrupt, Verdict::Mismatch, 2),
            ("caf\u{e9} crossings", None, Verdict::Mismatch, 1),
        ] {
            let before = passwords.stats().blocks_filled;
            assert_eq!(passwords.verify(typed.into(), stored).await.unwrap(), verdict, "{typed:?} {stored:?}");
            assert_eq!(passwords.stats().blocks_filled - before, hashes * BLOCKS, "{typed:?} {stored:?}");
        }
    }

    #[tokio::test]
    async fn nul_and_emoji_are_part_of_a_password() {
        let passwords = passwords();
        let hash = passwords.hash("pass\u{0}word🦀".into()).await.unwrap();
        let verify = |typed: &'static str| passwords.verify(typed.into(), Some(hash.as_str()));
        assert_eq!(verify("pass\u{0}word🦀").await.unwrap(), Verdict::Match { upgrade: false });
        assert_eq!(verify("pass\u{0}word").await.unwrap(), Verdict::Mismatch);
        assert_eq!(verify("pass").await.unwrap(), Verdict::Mismatch);
    }
}
