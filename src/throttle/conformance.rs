//! A test suite for throttles (feature `conformance`). It checks what logins rest on, whatever the
//! numbers are.
//!
//! # Examples
//! ```
//! use portcullis::throttle::{MemoryThrottle, conformance};
//!
//! # async fn suite() {
//! conformance::throttle(|| async { MemoryThrottle::new() }).await.assert_kept();
//! # }
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(suite());
//! ```

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;

use super::{Admission, Attempt, Outcome, Throttle};
use crate::{
    clock::Timestamp,
    session::SessionId,
    store::conformance::{Report, ensure, said},
    user::UserId,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// More guesses than any throttle admits at once.
const MANY: usize = 1000;

/// Runs the suite. `make` makes a throttle without counts for each promise.
///
/// The suite begins at a moment of its own and lets hours pass by the moments that it hands over.
pub async fn throttle<T: Throttle, F: Future<Output = T>>(make: impl Fn() -> F) -> Report {
    let mut report = Report::default();
    // In boxes, because a throttle may be large.
    report
        .check(
            "guesses at a login from an address are delayed, each for longer, up to a bound",
            Box::pin(async { delays_grow_up_to_a_bound(make().await).await }),
        )
        .await;
    report
        .check("a refused attempt prolongs no delay", Box::pin(async { refusals_prolong_nothing(make().await).await }))
        .await;
    report
        .check("of many guesses at once few go on", Box::pin(async { few_guesses_at_once_go_on(make().await).await }))
        .await;
    report
        .check(
            "a success forgets the failures of its login and address",
            Box::pin(async { a_success_forgets(make().await).await }),
        )
        .await;
    report
        .check("an undecided attempt is not counted", Box::pin(async { undecided_is_not_counted(make().await).await }))
        .await;
    report
        .check("guesses at one login do not delay another", Box::pin(async { logins_are_apart(make().await).await }))
        .await;
    report
        .check(
            "strangers do not keep a device out that has logged in before",
            Box::pin(async { devices_are_let_in(make().await).await }),
        )
        .await;
    report
        .check(
            "a stolen session guesses no current password",
            Box::pin(async { sessions_are_apart(make().await).await }),
        )
        .await;
    report
        .check(
            "registrations from an address are slowed, whatever their end",
            Box::pin(async { registrations_are_slowed(make().await).await }),
        )
        .await;
    report
}

async fn delays_grow_up_to_a_bound<T: Throttle>(throttle: T) -> Result<(), String> {
    let owner = owner();
    let (mut now, mut delays) = (NOW, Vec::new());
    for _ in 0..100 {
        let delay = delay(&throttle, &owner, now).await?;
        if delay.is_zero() {
            throttle.settle(&owner, Outcome::Failed, now).await.map_err(said)?;
        } else {
            delays.push(delay);
            now = now.plus(delay);
        }
    }
    ensure(!delays.is_empty(), "100 guesses meet no delay")?;
    ensure(delays.is_sorted(), format!("delays grow shorter: {delays:?}"))?;
    let longest = delays.last().copied().unwrap_or_default();
    ensure(longest <= Duration::from_secs(3600), format!("the owner waits {longest:?}"))
}

async fn refusals_prolong_nothing<T: Throttle>(throttle: T) -> Result<(), String> {
    let owner = owner();
    free_guesses(&throttle, &owner, NOW).await?;
    let first = delay(&throttle, &owner, NOW).await?;
    for _ in 0..20 {
        delay(&throttle, &owner, NOW).await?;
    }
    let later = delay(&throttle, &owner, NOW).await?;
    ensure(later <= first, format!("the delay of {first:?} became {later:?}"))
}

async fn few_guesses_at_once_go_on<T: Throttle>(throttle: T) -> Result<(), String> {
    let throttle = Arc::new(throttle);
    let mut guesses = JoinSet::new();
    for _ in 0..MANY {
        let throttle = Arc::clone(&throttle);
        guesses.spawn(async move {
            let attempt = Attempt::login("ada@example.com", Some(address(1)));
            throttle.admit(&attempt, NOW).await
        });
    }
    let mut admitted = 0;
    while let Some(guess) = guesses.join_next().await {
        admitted += usize::from(guess.map_err(said)?.map_err(said)? == Admission::Admitted);
    }
    ensure((1..=20).contains(&admitted), format!("{admitted} of {MANY} go on"))
}

async fn a_success_forgets<T: Throttle>(throttle: T) -> Result<(), String> {
    let owner = owner();
    let other = Attempt::login("bob@example.com", Some(address(2)));
    let free = free_guesses(&throttle, &other, NOW).await?;
    let ada = UserId::from("1");
    for _ in 0..3 {
        for _ in 1..free {
            admit(&throttle, &owner, NOW, "a person who mistypes").await?;
            throttle.settle(&owner, Outcome::Failed, NOW).await.map_err(said)?;
        }
        admit(&throttle, &owner, NOW, "the owner").await?;
        let found = owner.with_user(&ada);
        admit(&throttle, &found, NOW, "the owner, who was found").await?;
        throttle.settle(&found, Outcome::Succeeded, NOW).await.map_err(said)?;
    }
    Ok(())
}

async fn undecided_is_not_counted<T: Throttle>(throttle: T) -> Result<(), String> {
    let owner = owner();
    for number in 0..MANY {
        admit(&throttle, &owner, NOW, &format!("attempt {number}")).await?;
        throttle.settle(&owner, Outcome::Undecided, NOW).await.map_err(said)?;
    }
    Ok(())
}

async fn logins_are_apart<T: Throttle>(throttle: T) -> Result<(), String> {
    let owner = owner();
    free_guesses(&throttle, &owner, NOW).await?;
    let other = Attempt::login("bob@example.com", Some(address(2)));
    admit(&throttle, &other, NOW, "another login").await
}

async fn devices_are_let_in<T: Throttle>(throttle: T) -> Result<(), String> {
    let ada = UserId::from("1");
    for number in (10..250).cycle().take(MANY) {
        let stranger = Attempt::login("ada@example.com", Some(address(number)));
        let found = stranger.with_user(&ada);
        let admitted = delay(&throttle, &stranger, NOW).await?.is_zero();
        if admitted && delay(&throttle, &found, NOW).await?.is_zero() {
            throttle.settle(&found, Outcome::Failed, NOW).await.map_err(said)?;
        }
    }
    let device = Attempt::login("ada@example.com", Some(address(1)));
    let device = device.with_user(&ada).with_device(SessionId::from_bytes([1; 16]));
    admit(&throttle, &device, NOW, "the owner's device").await
}

async fn sessions_are_apart<T: Throttle>(throttle: T) -> Result<(), String> {
    let ada = UserId::from("1");
    let thief = Attempt::change_password(&ada, SessionId::from_bytes([1; 16]));
    free_guesses(&throttle, &thief, NOW).await?;
    let owner = Attempt::change_password(&ada, SessionId::from_bytes([2; 16]));
    admit(&throttle, &owner, NOW, "the owner's session").await
}

async fn registrations_are_slowed<T: Throttle>(throttle: T) -> Result<(), String> {
    for outcome in [Outcome::Succeeded, Outcome::Failed].into_iter().cycle().take(MANY) {
        let attempt = Attempt::register(Some(address(1)));
        if !delay(&throttle, &attempt, NOW).await?.is_zero() {
            return Ok(());
        }
        throttle.settle(&attempt, outcome, NOW).await.map_err(said)?;
    }
    Err(format!("{MANY} registrations meet no delay"))
}

/// A login by its owner, from an address.
fn owner() -> Attempt<'static> {
    Attempt::login("ada@example.com", Some(address(1)))
}

fn address(last: u8) -> super::Address {
    IpAddr::from(Ipv4Addr::new(203, 0, 113, last)).into()
}

/// Returns how long to wait, or zero for an attempt that is admitted.
async fn delay<T: Throttle>(throttle: &T, attempt: &Attempt<'_>, now: Timestamp) -> Result<Duration, String> {
    Ok(match throttle.admit(attempt, now).await.map_err(said)? {
        Admission::Admitted => Duration::ZERO,
        Admission::Delayed(left) => left.max(Duration::from_millis(1)),
    })
}

async fn admit<T: Throttle>(throttle: &T, attempt: &Attempt<'_>, now: Timestamp, who: &str) -> Result<(), String> {
    let delay = delay(throttle, attempt, now).await?;
    ensure(delay.is_zero(), format!("{who} waits {delay:?}"))
}

/// Guesses until an attempt is delayed. Returns the number of guesses that were admitted.
async fn free_guesses<T: Throttle>(throttle: &T, attempt: &Attempt<'_>, now: Timestamp) -> Result<usize, String> {
    for number in 0..MANY {
        if !delay(throttle, attempt, now).await?.is_zero() {
            return Ok(number);
        }
        throttle.settle(attempt, Outcome::Failed, now).await.map_err(said)?;
    }
    Err(format!("{MANY} guesses meet no delay"))
}
