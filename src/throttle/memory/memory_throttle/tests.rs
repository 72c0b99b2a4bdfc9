use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::{
    session::SessionId,
    throttle::{
        Address,
        units::{MINUTE, SECOND},
    },
    user::UserId,
};

const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A throttle and the time, which only the test moves.
struct Gate {
    throttle: MemoryThrottle,
    now: Timestamp,
}

fn gate() -> Gate {
    Gate { throttle: MemoryThrottle::new(), now: NOON }
}

fn address(number: u32) -> Address {
    IpAddr::from(number.to_be_bytes()).into()
}

impl Gate {
    /// The wait in seconds, or `None` where the attempt went on and ended so.
    async fn attempt(&self, attempt: Attempt<'_>, outcome: Outcome) -> Option<u64> {
        match self.throttle.admit(&attempt, self.now).await.unwrap() {
            Admission::Delayed(wait) => Some(wait.as_secs()),
            Admission::Admitted => {
                self.throttle.settle(&attempt, outcome, self.now).await.unwrap();
                None
            }
        }
    }

    async fn fails(&self, login: &str, from: u32) -> Option<u64> {
        self.attempt(Attempt::login(login, Some(address(from))), Outcome::Failed).await
    }

    async fn succeeds(&self, login: &str, from: u32) -> Option<u64> {
        self.attempt(Attempt::login(login, Some(address(from))), Outcome::Succeeded).await
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(SECOND * u32::try_from(seconds).unwrap());
    }

    /// Guesses from ever new addresses until the login's own delay is met.
    async fn attack(&self, login: &str) {
        self.attack_from(1_000, login).await;
    }

    /// As `attack`, with addresses from this one on.
    async fn attack_from(&self, first: u32, login: &str) {
        let mut from = first;
        while self.fails(login, from).await.is_none() {
            from += 1;
            assert!(from < first + 1_000, "a botnet is never slowed");
        }
    }
}

#[tokio::test]
async fn five_slips_cost_nothing_and_a_good_login_forgets_them() {
    let gate = gate();
    for _ in 0..3 {
        for _ in 0..5 {
            assert_eq!(gate.fails("ada", 1).await, None);
        }
        assert_eq!(gate.succeeds("ada", 1).await, None);
    }
}

#[tokio::test]
async fn the_wait_of_a_pair_doubles_up_to_a_quarter_of_an_hour() {
    let mut gate = gate();
    let mut waits = Vec::new();
    for _ in 0..18 {
        if let Some(wait) = gate.fails("ada", 1).await {
            waits.push(wait);
            gate.wait(wait);
            assert_eq!(gate.fails("ada", 1).await, None);
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
}

#[tokio::test]
async fn a_right_password_waits_too_and_asking_prolongs_no_delay() {
    let mut gate = gate();
    for _ in 0..6 {
        gate.fails("ada", 1).await;
    }
    for _ in 0..100 {
        assert_eq!((gate.succeeds("ada", 1).await, gate.fails("ada", 1).await), (Some(1), Some(1)));
    }
    gate.wait(1);
    assert_eq!(gate.succeeds("ada", 1).await, None);
}

#[tokio::test]
async fn guesses_sent_at_once_are_counted_before_any_is_answered() {
    let gate = gate();
    let attempt = Attempt::login("ada", Some(address(1)));
    let mut admitted = 0;
    for _ in 0..100 {
        admitted += usize::from(gate.throttle.admit(&attempt, NOON).await.unwrap() == Admission::Admitted);
    }
    assert_eq!(admitted, 6);
}

#[tokio::test]
async fn a_stranger_at_one_address_delays_no_other_client() {
    let mut gate = gate();
    for _ in 0..3_600 {
        gate.fails("ada", 666).await;
        gate.wait(1);
    }
    assert!(gate.fails("ada", 666).await.is_some());
    assert_eq!(gate.succeeds("ada", 1).await, None);
}

#[tokio::test]
async fn a_botnet_is_slowed_and_known_addresses_are_not() {
    let gate = gate();
    assert_eq!(gate.succeeds("ada", 1).await, None);
    gate.attack("ada").await;
    assert!(gate.fails("ada", 9_999).await.is_some(), "every new address waits");
    assert_eq!(gate.succeeds("ada", 1).await, None, "the owner's does not");
    assert_eq!(gate.fails("bob", 9_999).await, None, "nor another login");
}

#[tokio::test]
async fn a_client_that_comes_back_at_its_time_is_admitted() {
    let mut gate = gate();
    gate.attack("ada").await;
    let wait = gate.succeeds("ada", 1).await.unwrap();
    gate.wait(wait);
    gate.attack("ada").await;
    assert!(gate.succeeds("ada", 2).await.is_some(), "strangers were faster");
    assert_eq!(gate.succeeds("ada", 1).await, None, "what was promised is kept");
}

#[tokio::test]
async fn the_delay_of_a_login_never_exceeds_a_minute() {
    let mut gate = gate();
    let mut longest = 0;
    for from in 0..500 {
        if let Some(wait) = gate.fails("ada", from).await {
            longest = longest.max(wait);
            gate.wait(wait);
        }
    }
    assert!((16..=60).contains(&longest), "{longest}");
}

#[tokio::test]
async fn a_good_login_does_not_reset_the_budget_of_an_address() {
    let gate = gate();
    for number in 0..41 {
        assert_eq!(gate.succeeds("own", 1).await, None);
        assert_eq!(gate.fails(&format!("user{number}"), 1).await, None);
    }
    assert_eq!(gate.fails("another", 1).await, Some(1));
    assert_eq!(gate.succeeds("own", 1).await, None, "a user who logged in here before does not wait");
    assert_eq!(gate.fails("another", 1).await, Some(1));
    assert_eq!(gate.fails("another", 2).await, None);
}

#[tokio::test]
async fn without_an_address_only_the_login_counts() {
    let gate = gate();
    let fails = |login: &'static str| gate.attempt(Attempt::login(login, None), Outcome::Failed);
    for _ in 0..51 {
        assert_eq!(fails("ada").await, None);
    }
    assert_eq!(fails("ada").await, Some(1));
    assert_eq!(fails("bob").await, None);
    for _ in 0..1_000 {
        assert_eq!(gate.attempt(Attempt::register(None), Outcome::Failed).await, None);
    }
}

/// An address of the /48 `2001:db8:77::`.
fn in_48(network: u32) -> Address {
    IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8_0077 << 80) | (u128::from(network) << 64))).into()
}

#[tokio::test]
async fn a_flood_from_one_48_flushes_no_promise() {
    let mut gate = gate();
    for login in ["ada", "bob", "cyd", "dan"] {
        gate.attack(login).await;
    }
    let wait = gate.succeeds("ada", 1).await.unwrap();
    let mut promised = 0;
    for network in 0..16_384 {
        for login in ["ada", "bob", "cyd", "dan"] {
            let attempt = Attempt::login(login, Some(in_48(network)));
            promised += u32::from(gate.attempt(attempt, Outcome::Failed).await.is_none());
        }
    }
    assert_eq!(promised, 0);
    assert!(gate.throttle.first_guesses.len() < 100, "{:?}", gate.throttle);
    gate.wait(wait);
    gate.attack("ada").await;
    assert_eq!(gate.succeeds("ada", 1).await, None);
}

#[tokio::test]
async fn first_guesses_that_were_spent_are_remembered_for_a_day() {
    let mut gate = gate();
    let mut first_guesses = 0;
    // For a day the login is delayed whenever the address asks, which comes in time for each
    // promise.
    for minute in 0..24 * 60 {
        gate.attack_from(1_000 * (minute + 1), "ada").await;
        first_guesses += u32::from(gate.fails("ada", 1).await.is_none());
        gate.wait(60);
    }
    assert!((3..=6).contains(&first_guesses), "{first_guesses}");
}

#[tokio::test]
async fn a_promise_lapses_and_cannot_be_collected() {
    let mut gate = gate();
    gate.attack("ada").await;
    for from in 1..200 {
        assert!(gate.fails("ada", from).await.is_some());
    }
    // All that were promised within a quarter of an hour come at its end.
    gate.wait(15 * 60);
    gate.attack("ada").await;
    let mut admitted = 0;
    for from in 1..200 {
        admitted += u32::from(gate.fails("ada", from).await.is_none());
    }
    assert!((4..=11).contains(&admitted), "{admitted}");
}

#[tokio::test]
async fn devices_that_a_leaked_key_has_made_share_a_budget() {
    let gate = gate();
    let user = UserId::from("1");
    let mut admitted = 0;
    for number in 0..250 {
        let device = SessionId::from_bytes([number; 16]);
        let attempt = Attempt::login("ada", None).with_user(&user).with_device(device);
        admitted += u32::from(gate.attempt(attempt, Outcome::Failed).await.is_none());
    }
    assert_eq!(admitted, 51);
}

#[tokio::test]
async fn a_48_is_slowed_at_any_login_and_others_are_not() {
    let gate = gate();
    let mut admitted = 0;
    for network in 0..1_000 {
        let login = format!("user{network}");
        let attempt = Attempt::login(&login, Some(in_48(network * 64)));
        admitted += u32::from(gate.attempt(attempt, Outcome::Failed).await.is_none());
    }
    assert_eq!(admitted, 241);
    assert_eq!(gate.fails("another", 1).await, None);
    let elsewhere: Address = "2001:db8:78::1".parse::<IpAddr>().unwrap().into();
    assert_eq!(gate.attempt(Attempt::login("another", Some(elsewhere)), Outcome::Failed).await, None);
}

#[tokio::test]
async fn outages_count_for_nothing() {
    let gate = gate();
    let user = UserId::from("1");
    let session = SessionId::from_bytes([1; 16]);
    for attempt in [
        Attempt::login("ada", Some(address(1))),
        Attempt::register(Some(address(1))),
        Attempt::change_password(&user, session),
    ] {
        for _ in 0..100 {
            assert_eq!(gate.attempt(attempt, Outcome::Undecided).await, None, "{attempt:?}");
        }
    }
}

#[tokio::test]
async fn registrations_and_password_changes_have_budgets_of_their_own() {
    let gate = gate();
    for _ in 0..21 {
        assert_eq!(gate.attempt(Attempt::register(Some(address(1))), Outcome::Succeeded).await, None);
    }
    assert_eq!(gate.attempt(Attempt::register(Some(address(1))), Outcome::Succeeded).await, Some(1));
    assert_eq!(gate.attempt(Attempt::register(Some(address(2))), Outcome::Succeeded).await, None);

    let user = UserId::from("1");
    let change =
        |session, outcome| gate.attempt(Attempt::change_password(&user, SessionId::from_bytes([session; 16])), outcome);
    for _ in 0..6 {
        assert_eq!(change(1, Outcome::Failed).await, None);
    }
    assert_eq!(change(1, Outcome::Succeeded).await, Some(1), "a stolen session");
    assert_eq!(change(2, Outcome::Succeeded).await, None, "the owner's other session");
    assert_eq!(gate.succeeds("1", 1).await, None);
}

#[tokio::test]
async fn a_million_addresses_stay_within_the_bound() {
    let gate = gate();
    for number in 0..1_000_000_u128 {
        let network = Ipv6Addr::from_bits((0x2001_0db8 << 96) | (number << 64));
        let attempt = Attempt::login("ada", Some(IpAddr::from(network).into()));
        // Counted past the login's own delay, which would keep nearly all of them out.
        let _ = gate.throttle.admit(&attempt, gate.now.plus(MINUTE * u32::try_from(number).unwrap())).await;
    }
    let throttle = &gate.throttle;
    for entries in [throttle.strict.len(), throttle.logins.len(), throttle.loose.len(), throttle.first_guesses.len()] {
        assert!(entries <= MemoryThrottle::MAX_ENTRIES, "{entries}");
    }
    assert!(throttle.strict.len() > MemoryThrottle::MAX_ENTRIES / 2, "they were counted");
}
