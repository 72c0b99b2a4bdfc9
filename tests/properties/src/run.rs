//! Runs properties: how many schedules, from which seed, and what is printed.

use std::{
    env, fmt,
    future::Future,
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

/// How many schedules of the most frequent kind run. `PORTCULLIS_CASES` sets another number.
const CASES: u32 = 1024;

/// How many schedules are generated, and from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub cases: u32,
    pub seed: u64,
    /// How often a failing schedule is made smaller.
    pub shrink: u32,
}

/// A property that does not hold. Contains the smallest schedule found that breaks it.
#[derive(Clone)]
pub struct Failure(String);

impl Run {
    /// Returns a run of `PORTCULLIS_CASES` schedules from `PORTCULLIS_SEED`, or from a random seed.
    pub fn from_env() -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        let seed = *SEED.get_or_init(|| number("PORTCULLIS_SEED").unwrap_or_else(drawn));
        let cases = number("PORTCULLIS_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(CASES);
        Self { cases, seed, shrink: 4096 }
    }

    /// Divides the number of schedules, for kinds that cost more.
    #[must_use]
    pub fn sparing(self, times: u32) -> Self {
        Self { cases: (self.cases / times).max(1), ..self }
    }

    /// Generates schedules and tests each. Returns how many there were.
    ///
    /// # Errors
    /// Returns the smallest schedule found that fails.
    pub fn check<S: Strategy>(
        self,
        name: &str,
        schedules: &S,
        test: impl Fn(&S::Value) -> Result<(), String>,
    ) -> Result<u32, Failure>
    where
        S::Value: fmt::Display,
    {
        let config = Config {
            cases: self.cases,
            max_shrink_iters: self.shrink,
            // The seed is printed instead, because one number repeats the whole run.
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &self.seed_of(name));
        let result = TestRunner::new_with_rng(config, rng)
            .run(schedules, |schedule| test(&schedule).map_err(TestCaseError::fail));
        match result {
            Ok(()) => Ok(self.passed(name, self.cases)),
            Err(TestError::Fail(reason, schedule)) => Err(self.failure(name, &schedule, reason.message())),
            Err(TestError::Abort(reason)) => Err(self.failure(name, &"", reason.message())),
        }
    }

    /// Reports how many schedules have passed. It writes to the standard error itself, because
    /// libtest hides the output of tests that pass.
    pub(crate) fn passed(self, name: &str, schedules: u32) -> u32 {
        static ALL: AtomicU32 = AtomicU32::new(0);
        let all = ALL.fetch_add(schedules, Ordering::Relaxed) + schedules;
        let line = format!("{name}: schedules: {schedules}, seed {} (so far {all})\n", self.seed);
        // A failure to write the report must not fail the test.
        let _ = io::stderr().write_all(line.as_bytes());
        schedules
    }

    pub(crate) fn failure(self, name: &str, schedule: &dyn fmt::Display, reason: &str) -> Failure {
        Failure(format!(
            "{name} does not hold: {reason}\n\n{schedule}\nrepeat with PORTCULLIS_SEED={} PORTCULLIS_CASES={}",
            self.seed, self.cases
        ))
    }

    /// Returns the seed of a property. Every property generates its own schedules, all from the one
    /// number.
    pub(crate) fn seed_of(self, name: &str) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        for (index, byte) in name.bytes().enumerate() {
            let slot = &mut seed[8 + index % 24];
            *slot = slot.rotate_left(3) ^ byte;
        }
        seed
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Runs one schedule on its own runtime, which ends the tasks that the schedule leaves.
pub(crate) fn block_on<T>(schedule: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system has a runtime to spare").block_on(schedule)
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

fn drawn() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
