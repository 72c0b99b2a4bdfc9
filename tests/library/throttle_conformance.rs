//! The suite for throttles: the throttle in memory passes it, and the suite names what a wrong one
//! breaks.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use portcullis::{
    clock::Timestamp,
    store::StoreError,
    throttle::{Admission, Attempt, MemoryThrottle, Outcome, Throttle, conformance},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_throttle_in_memory_keeps_every_promise() {
    conformance::throttle(|| async { MemoryThrottle::new() }).await.assert_kept();
}

/// A way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AdmitsAll,
    CountsAtTheEnd,
    CountsRefused,
    CountsUndecided,
    RemembersAfterSuccess,
    SharesLogins,
    IgnoresDevices,
}

struct Wrong {
    memory: MemoryThrottle,
    fault: Fault,
    refused: AtomicU32,
}

impl Wrong {
    fn new(fault: Fault) -> Self {
        Self { memory: MemoryThrottle::new(), fault, refused: AtomicU32::new(0) }
    }

    fn distort<'a>(&self, mut attempt: Attempt<'a>) -> Attempt<'a> {
        if self.fault == Fault::SharesLogins {
            attempt.account.login = attempt.account.login.map(|_| "all");
            attempt.source.address = None;
        }
        if self.fault == Fault::IgnoresDevices {
            attempt.source.device = None;
        }
        attempt
    }
}

#[async_trait]
impl Throttle for Wrong {
    async fn admit(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admission, StoreError> {
        let attempt = self.distort(*attempt);
        if self.fault == Fault::AdmitsAll {
            return Ok(Admission::Admitted);
        }
        let admission = self.memory.admit(&attempt, now).await?;
        match (self.fault, admission) {
            (Fault::CountsRefused, Admission::Delayed(delay)) => {
                let refused = self.refused.fetch_add(1, Ordering::SeqCst);
                return Ok(Admission::Delayed(delay * (refused + 1)));
            }
            (Fault::CountsAtTheEnd, Admission::Admitted) => {
                self.memory.settle(&attempt, Outcome::Undecided, now).await?;
            }
            _ => {}
        }
        Ok(admission)
    }

    async fn settle(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
        let attempt = self.distort(*attempt);
        let outcome = match (self.fault, outcome) {
            (Fault::CountsAtTheEnd, Outcome::Failed) => {
                self.memory.admit(&attempt, now).await?;
                outcome
            }
            (Fault::CountsUndecided, Outcome::Undecided) | (Fault::RemembersAfterSuccess, Outcome::Succeeded) => {
                Outcome::Failed
            }
            _ => outcome,
        };
        self.memory.settle(&attempt, outcome, now).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_names_what_a_wrong_throttle_breaks() {
    for (fault, promise) in [
        (Fault::AdmitsAll, "guesses at a login from an address are delayed, each for longer, up to a bound"),
        (Fault::AdmitsAll, "registrations from an address are slowed, whatever their end"),
        (Fault::CountsAtTheEnd, "of many guesses at once few go on"),
        (Fault::CountsRefused, "a refused attempt prolongs no delay"),
        (Fault::CountsUndecided, "an undecided attempt is not counted"),
        (Fault::RemembersAfterSuccess, "a success forgets the failures of its login and address"),
        (Fault::SharesLogins, "guesses at one login do not delay another"),
        (Fault::IgnoresDevices, "strangers do not keep a device out that has logged in before"),
        (Fault::IgnoresDevices, "a stolen session guesses no current password"),
    ] {
        let report = conformance::throttle(|| async { Wrong::new(fault) }).await;
        let broken: Vec<_> = report.broken().iter().map(|broken| broken.promise).collect();
        assert!(broken.contains(&promise), "{fault:?} broke only {broken:?}");
    }
}
