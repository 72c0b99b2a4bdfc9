//! Settings of passwords: which are accepted, and how they are hashed.

use std::{sync::Arc, time::Duration};

use super::{AuthBuilder, env::Environment};
use crate::{
    clock::Clock,
    error::BuildError,
    password::{BreachCheck, HashCost, Hasher, PasswordPolicy, Passwords, Peppers, Pool},
    secret::Secret,
    token::keys::{Algorithm, secret_problem, trimmed},
    user::AuthUser,
};

/// Number of passwords that may wait for each thread: some seconds of work.
const QUEUE_OF_ONE_THREAD: usize = 256;

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `PASSWORD_PEPPER` | none | a secret in every password hash, 32 bytes or more |
| `PASSWORD_RETIRED_PEPPERS` | none | still verify; separated by `,` |
| `HASH_THREADS` | half the cores | passwords hashed at once |"
    };
}
pub(super) use variables;

/// Settings of passwords.
///
/// # Defaults
/// - policy: [`PasswordPolicy::default`], 8 characters or more
/// - pepper: none, and no retired ones
/// - breach check: none
/// - cost: [`HashCost::OWASP`]
/// - threads: half the cores, and at least one
/// - queue: 256 passwords for each thread
/// - deadline: 15 s
pub(super) struct PasswordSettings {
    policy: PasswordPolicy,
    pepper: Option<Secret<Vec<u8>>>,
    retired_peppers: Vec<Secret<Vec<u8>>>,
    breaches: Option<Arc<dyn BreachCheck>>,
    cost: HashCost,
    /// Cost below OWASP's minimum. Only tests set it.
    #[cfg(feature = "testing")]
    test_cost: Option<HashCost>,
    threads: Option<usize>,
    queue: Option<usize>,
    deadline: Duration,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self {
            policy: PasswordPolicy::default(),
            pepper: None,
            retired_peppers: Vec::new(),
            breaches: None,
            cost: HashCost::OWASP,
            #[cfg(feature = "testing")]
            test_cost: None,
            threads: None,
            queue: None,
            deadline: Duration::from_secs(15),
        }
    }
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Sets which passwords are accepted. Default: 8 characters or more.
    pub fn password_policy(mut self, policy: PasswordPolicy) -> Self {
        self.passwords.policy = policy;
        self
    }

    /// Sets a secret that goes into every password hash: at least 32 random bytes, kept apart from
    /// the store. Default: none.
    ///
    /// An attacker who steals the users table, but not the pepper, cannot guess passwords. Keep a
    /// copy of the pepper: without it no user can log in. A hash without this pepper is replaced at
    /// the next successful login of its user. Variable: `PASSWORD_PEPPER`.
    pub fn pepper(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.passwords.pepper = Some(secret.into());
        self
    }

    /// Adds a pepper of earlier hashes. Users who have not logged in since it was retired need it.
    /// Default: none.
    ///
    /// Variable: `PASSWORD_RETIRED_PEPPERS`.
    pub fn retired_pepper(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.passwords.retired_peppers.push(secret.into());
        self
    }

    /// Sets the check that refuses passwords known from leaks. Default: none.
    pub fn breach_check(mut self, breaches: impl BreachCheck) -> Self {
        self.passwords.breaches = Some(Arc::new(breaches));
        self
    }

    /// Sets what a password hash costs. Default: [`HashCost::OWASP`].
    pub fn hash_cost(mut self, cost: HashCost) -> Self {
        self.passwords.cost = cost;
        self
    }

    /// Sets how many passwords are hashed at once. Each takes the memory of one [`HashCost`].
    ///
    /// Default: half the cores, and at least one, so that many logins at once leave the other half
    /// to the requests of users who are logged in. Maximum: 1,024. Variable: `HASH_THREADS`.
    pub fn hash_threads(mut self, threads: usize) -> Self {
        self.passwords.threads = Some(threads);
        self
    }

    /// Sets how many passwords may wait to be hashed. A login beyond it is answered 503
    /// `overloaded`. Default: 256 for each thread, which is some seconds of work.
    pub fn hash_queue(mut self, jobs: usize) -> Self {
        self.passwords.queue = Some(jobs);
        self
    }

    /// Sets how long a password may wait to be hashed. A login that waits longer is answered 503
    /// `overloaded`. Default: 15 s, because most people give up then, and most proxies a little
    /// later.
    pub fn hash_deadline(mut self, deadline: Duration) -> Self {
        self.passwords.deadline = deadline;
        self
    }
}

impl PasswordSettings {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        self.pepper = env.secret("PASSWORD_PEPPER");
        self.retired_peppers = env.secrets("PASSWORD_RETIRED_PEPPERS");
        self.threads = env.parsed("HASH_THREADS", "use a number", |text| text.parse().ok());
    }

    /// Sets the lowest cost of a hash, and one thread unless the app set another number.
    #[cfg(feature = "testing")]
    pub(super) fn for_tests(&mut self) {
        self.test_cost = Some(HashCost { memory_kib: 8, iterations: 1, parallelism: 1 });
        self.threads.get_or_insert(1);
    }

    /// Returns whether hashes have the lowest cost, which only a test may use.
    #[cfg(feature = "testing")]
    pub(super) fn are_for_tests(&self) -> bool {
        self.test_cost.is_some()
    }

    /// Checks the settings. No pepper may be one of the `token_secrets`.
    pub(super) fn check<'a>(
        &'a self,
        token_secrets: impl Iterator<Item = &'a Secret<Vec<u8>>>,
        problems: &mut Vec<String>,
    ) -> Option<Hasher> {
        self.check_peppers(token_secrets, problems);
        problems.extend(self.policy.problem().map(str::to_owned));
        let hasher = self.hasher().map_err(|problem| problems.push(problem.to_owned())).ok();
        let peppers = Peppers::new(self.pepper.as_ref(), &self.retired_peppers)
            .map_err(|error| problems.push(format!("the pepper cannot be used: {error:?}")))
            .unwrap_or_default();
        if !(1..=1024).contains(&self.threads()) || self.queue() == 0 {
            problems.push("hash_threads (HASH_THREADS) must be 1 to 1024, and hash_queue at least 1".into());
        }
        if self.deadline.is_zero() {
            problems.push("hash_deadline is zero: use 15 seconds".into());
        }
        hasher.map(|hasher| hasher.with_peppers(peppers))
    }

    /// Starts the hashing threads. Call it after the check.
    ///
    /// # Errors
    /// Returns a [`BuildError`] where threads cannot be started, or where the operating system has
    /// no randomness.
    pub(super) fn into_passwords(self, hasher: Hasher, clock: Arc<dyn Clock>) -> Result<Passwords, BuildError> {
        let pool = Pool::new(self.threads(), self.queue(), self.deadline, clock)
            .map_err(|error| BuildError::one(format!("the hashing threads cannot be started: {error}")))?;
        let passwords = Passwords::new(self.policy, hasher, pool)
            .map_err(|error| BuildError::one(format!("no randomness: {error:?}")))?;
        Ok(passwords.with_breaches(self.breaches))
    }

    fn check_peppers<'a>(
        &'a self,
        token_secrets: impl Iterator<Item = &'a Secret<Vec<u8>>>,
        problems: &mut Vec<String>,
    ) {
        // White space around a secret makes it neither stronger nor different.
        let compared = |secret: &'a Secret<Vec<u8>>| trimmed(secret.expose());
        let peppers: Vec<_> = self.pepper.iter().chain(&self.retired_peppers).map(compared).collect();
        for pepper in &peppers {
            if let Some(problem) = secret_problem(Algorithm::HS256, pepper) {
                problems.push(format!("a pepper (PASSWORD_PEPPER, PASSWORD_RETIRED_PEPPERS) {problem}"));
            }
        }
        let tokens: Vec<_> = token_secrets.map(compared).collect();
        let again = |(i, pepper): (usize, &&[u8])| {
            tokens.contains(pepper) || peppers.iter().skip(i + 1).any(|other| other == pepper)
        };
        if peppers.iter().enumerate().any(again) {
            problems.push(
                "the same secret is used twice (PASSWORD_PEPPER, PASSWORD_RETIRED_PEPPERS, ACCESS_TOKEN_SECRET, …): \
                 generate one for each with `openssl rand -base64 48`"
                    .to_owned(),
            );
        }
    }

    fn hasher(&self) -> Result<Hasher, &'static str> {
        // Checked in tests as well, because an app sets the same value in production.
        let hasher = Hasher::new(self.cost)?;
        #[cfg(feature = "testing")]
        let hasher = self.test_cost.map_or(hasher, Hasher::at_any_cost);
        Ok(hasher)
    }

    fn threads(&self) -> usize {
        let half_the_cores = || std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        self.threads.unwrap_or_else(half_the_cores)
    }

    fn queue(&self) -> usize {
        self.queue.unwrap_or_else(|| self.threads().saturating_mul(QUEUE_OF_ONE_THREAD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::env::read_pairs;

    #[test]
    fn variables_reach_their_settings() {
        let mut settings = PasswordSettings::default();
        let pairs =
            [("PASSWORD_PEPPER", "pepper"), ("PASSWORD_RETIRED_PEPPERS", "older,oldest"), ("HASH_THREADS", "3")];
        assert_eq!(read_pairs(&pairs, |env| settings.read(env)), Vec::<String>::new());
        assert!(settings.pepper.is_some());
        assert_eq!(settings.retired_peppers.len(), 2);
        assert_eq!(settings.threads(), 3);
    }
}
