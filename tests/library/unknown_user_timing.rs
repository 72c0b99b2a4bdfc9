//! A login does not reveal which users exist: the answer and the work are the same.
//!
//! Work is compared in two ways. Calls to the store and memory that Argon2 fills are exact. Times
//! are compared with a threshold that only a large difference crosses.

use std::time::{Duration, Instant};

use portcullis::{
    Auth, Error, ErrorKind, Profile, User,
    auth::ClientInfo,
    store::{UserAdmin, UserStore},
    user::{Email, Login, NewUser, PasswordHash},
};

use crate::fixture::{PASSWORD, World, kind, register};

/// Number of rounds. Each round makes every case once, so that a slow machine delays all cases
/// alike.
const ROUNDS: usize = 60;

/// Largest accepted factor between times. A skipped hash is a factor of a hundred, and a decoy of
/// half the cost is a factor of two. The fastest tenth of each case is compared, because noise only
/// adds time. On a busy machine the medians of equal cases have differed by half.
const TOLERANCE: f64 = 0.75;

const CASES: [&str; 6] =
    ["unknown", "unknown username", "disabled", "without a password", "corrupt row", "wrong password"];

async fn world() -> (World, Auth<User>) {
    let world = World::new();
    // The node asks some things by itself, which are no work of a login. It has begun, and asks
    // again after a minute.
    let auth = world.node_with(|builder| builder.no_throttle().revocation_poll(Duration::from_secs(60)));
    register(&auth, "ada").await;
    let disabled = register(&auth, "disabled").await;
    world.store.memory.set_disabled(&disabled.id, true).await.unwrap();
    register(&auth, "federated").await;
    let email = "corrupt@example.com".parse::<Email>().unwrap();
    let hash = PasswordHash::new("$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo");
    let new = NewUser::new(email, None, hash, Profile::default(), portcullis::clock::Timestamp::EPOCH);
    UserStore::create(&world.store.memory, new).await.unwrap();
    (world, auth)
}

async fn attempt(auth: &Auth<User>, case: &str) -> Error {
    let (login, password) = match case {
        "unknown" => ("nobody@example.com", PASSWORD),
        "unknown username" => ("nobody", PASSWORD),
        "disabled" => ("disabled@example.com", PASSWORD),
        "without a password" => ("federated@example.com", PASSWORD),
        "corrupt row" => ("corrupt@example.com", PASSWORD),
        _ => ("ada@example.com", "a wrong guess"),
    };
    auth.login(&Login::either(login), password.into(), &ClientInfo::unknown()).await.unwrap_err()
}

#[tokio::test]
async fn each_refused_login_does_the_same_work() {
    let (world, auth) = world().await;
    // The work must be the same in each attempt. The times must be close in one of them, because a
    // machine that stops in the middle of a case says nothing about that case.
    let mut seen = Vec::new();
    for _ in 0..3 {
        let fast = measure(&world, &auth).await;
        let (least, most) =
            fast.iter().fold((f64::MAX, 0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
        if most <= least * (1.0 + TOLERANCE) {
            return;
        }
        seen.push(fast);
    }
    panic!("seconds of {CASES:?}: {seen:?}");
}

/// Checks the work of every case, and returns the fastest tenth of its times in seconds.
async fn measure(world: &World, auth: &Auth<User>) -> Vec<f64> {
    let (mut work, mut times) = (vec![Vec::new(); CASES.len()], vec![Vec::new(); CASES.len()]);
    for _ in 0..ROUNDS {
        for (index, case) in CASES.iter().enumerate() {
            world.store.take_calls();
            let before = auth.hash_stats().blocks_filled;
            let start = Instant::now();
            let error = attempt(auth, case).await;
            times[index].push(start.elapsed());
            let blocks = auth.hash_stats().blocks_filled - before;
            work[index].push((error.kind(), error.to_string(), world.store.take_calls(), blocks));
        }
    }
    let expected = (ErrorKind::InvalidCredentials, "Login or password is wrong".to_owned(), 1, 2 * 19_456);
    for (case, work) in CASES.iter().zip(&work) {
        assert!(work.iter().all(|work| *work == expected), "{case}: {:?}", work[0]);
    }
    times.iter_mut().map(|times| fastest_tenth(times).as_secs_f64()).collect()
}

fn fastest_tenth(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 10]
}

#[tokio::test]
async fn a_successful_login_fills_as_much_memory_as_a_refused_one() {
    let (_, auth) = world().await;
    let before = auth.hash_stats().blocks_filled;
    let login = Login::either("ada@example.com");
    assert_eq!(kind(auth.login(&login, PASSWORD.into(), &ClientInfo::unknown()).await), None);
    assert_eq!(auth.hash_stats().blocks_filled - before, 2 * 19_456);
    assert_eq!(auth.hash_stats().waiting, 0);
}

#[tokio::test]
async fn a_taken_address_costs_as_much_as_a_free_one() {
    let (_, auth) = world().await;
    for (email, refused) in [("ada@example.com", Some(ErrorKind::EmailTaken)), ("new@example.com", None)] {
        let before = auth.hash_stats().blocks_filled;
        let registration = portcullis::Registration::new(email, PASSWORD, Profile::default());
        assert_eq!(kind(auth.register(registration, &ClientInfo::unknown()).await), refused);
        assert_eq!(auth.hash_stats().blocks_filled - before, 2 * 19_456, "{email}");
    }
}
