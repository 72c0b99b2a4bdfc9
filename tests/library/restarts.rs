//! A restarted process: a memory store that has forgotten its users gives no user the account of
//! another, and a node reads what has ended before the first request.

use std::time::Duration;

use portcullis::{
    Auth, ErrorKind, User,
    auth::{Check, ClientInfo, Presented},
    clock::{ManualClock, Timestamp},
    store::memory::{MemoryStore, MemoryUsers},
};

use crate::fixture::{Failure, World, kind, register, start_session};
use crate::login::log_in;

const SECOND: Duration = Duration::from_secs(1);

/// A process with the same secrets, that begins now.
fn process(clock: &ManualClock) -> (Auth<User>, MemoryStore) {
    let store = MemoryStore::new();
    (over(&store, clock), store)
}

fn over(store: &MemoryStore, clock: &ManualClock) -> Auth<User> {
    crate::auth::builder(store.clone(), store.clone()).clock(clock.clone()).build().unwrap()
}

/// Lets other tasks run as far as they can without waiting.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_800_000_000_700))
}

#[tokio::test]
async fn a_token_from_before_a_restart_is_nobodys() {
    let clock = clock();
    let (before, _) = process(&clock);
    let mallory = register(&before, "mallory").await;
    let pair = start_session(&before, &mallory).await;
    let gone = start_session(&before, &mallory).await;
    before.logout(&Presented::refresh(&gone.refresh), &ClientInfo::unknown()).await.unwrap();
    drop(before);
    clock.advance(SECOND);
    let (after, _) = process(&clock);
    let root = register(&after, "root").await;
    assert_ne!(root.id, mallory.id);
    for token in [&pair.access, &gone.access] {
        for check in [Check::Stateless, Check::Session, Check::User] {
            let refused = kind(after.authenticate(token, check).await);
            assert_eq!(refused, Some(ErrorKind::TokenRevoked), "{check:?}");
        }
    }
    assert_eq!(kind(after.refresh(&pair.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
}

#[tokio::test]
async fn a_token_of_the_second_in_which_a_process_starts_counts() {
    let clock = clock();
    let (auth, _) = process(&clock);
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), None);
}

#[tokio::test]
async fn several_auths_over_one_memory_store_accept_each_other() {
    let clock = clock();
    let (one, store) = process(&clock);
    let ada = register(&one, "ada").await;
    let first = start_session(&one, &ada).await;
    clock.advance(Duration::from_secs(300));
    // One store began later, and one has a clock that is behind.
    let slow = ManualClock::new(Timestamp::from_millis(1_800_000_250_000));
    for other in [over(&store, &clock), over(&store, &slow)] {
        let second = start_session(&other, &ada).await;
        for auth in [&one, &other] {
            for pair in [&first, &second] {
                assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), None);
            }
        }
    }
}

#[tokio::test]
async fn ids_of_the_memory_store_are_not_to_be_guessed() {
    let users = MemoryUsers::default();
    let store = MemoryStore::new();
    let auth = crate::auth::builder(users, store).build().unwrap();
    let mut ids = Vec::new();
    for name in ["ada", "bob", "eve"] {
        ids.push(register(&auth, name).await.id.to_key::<i64>().expect("it fits into a signed column"));
    }
    assert!(ids.iter().all(|id| *id > 0));
    // No two ids are near each other. By chance this fails once in billions of years.
    assert!(ids.iter().all(|one| ids.iter().filter(|other| one.abs_diff(**other) < 1_000_000).count() == 1), "{ids:?}");
}

#[tokio::test]
async fn a_node_that_only_logs_people_in_knows_what_ended() {
    let world = World::new();
    let elsewhere = world.node();
    let ada = register(&elsewhere, "ada").await;
    let ended = start_session(&elsewhere, &ada).await;
    elsewhere.logout(&Presented::refresh(&ended.refresh), &ClientInfo::unknown()).await.unwrap();

    let auth = world.node();
    let logged_in = log_in(&auth, "ada@example.com", crate::fixture::PASSWORD).await.unwrap();
    let pair = crate::fixture::Pair::from(logged_in);
    settle().await;
    world.store.fail("*", Failure::Before);
    // The store is out of reach now, and no guard has been asked yet.
    assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), None);
    assert_eq!(kind(auth.authenticate(&ended.access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
}

#[test]
fn a_node_built_without_a_runtime_reads_at_its_first_call() {
    let world = World::new();
    let auth = world.node();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ada = register(&auth, "ada").await;
        let pair = start_session(&auth, &ada).await;
        settle().await;
        world.store.fail("*", Failure::Before);
        assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), None);
    });
}
