//! Nobody learns by a login who exists: one answer, and the same work.
//!
//! Work is compared by what is done (calls to the store, memory that Argon2 fills), which no noise can blur, and by time
//! with a threshold that only a difference worth measuring crosses.

use std::time::{Duration, Instant};

use portcullis::{
    Auth, Error, ErrorKind, Profile, User,
    auth::ClientInfo,
    store::{UserAdmin, UserStore},
    user::{Email, Login, NewUser, PasswordHash},
};

use crate::fixture::{PASSWORD, World, kind, register};

/// Rounds, each of which asks for every case once, so that whatever the machine does meanwhile slows all alike.
const ROUNDS: usize = 60;

/// How far the times may lie apart: a skipped hash is a factor of a hundred, a decoy of half the cost a factor of two.
/// Compared is the fastest tenth of each case, because noise only ever adds time: on a busy machine medians have been half
/// as long again as each other.
const TOLERANCE: f64 = 0.75;

const CASES: [&str; 6] =
    ["unknown", "unknown username", "disabled", "without a password", "corrupt row", "wrong password"];

async fn world() -> (World, Auth<User>) {
    let world = World::new();
    // What a node asks by itself is no work of a login: it has begun, and asks again after a minute.
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
    auth.login(&Login::either(login), password.into(), &ClientInfo::unknown())
        .await
        .map(|outcome| outcome.complete().unwrap())
        .unwrap_err()
}

#[tokio::test]
async fn each_refused_login_does_the_same_work() {
    let (world, auth) = world().await;
    // The work must be the same each time; the times once, because a machine that is taken away from the test in the middle
    // of one case says nothing about that case.
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

/// Checks the work of every case, and answers the fastest tenth of its times in seconds.
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
async fn a_good_login_fills_no_more_memory_than_a_refused_one() {
    let (_, auth) = world().await;
    let before = auth.hash_stats().blocks_filled;
    let login = Login::either("ada@example.com");
    assert_eq!(
        kind(
            auth.login(&login, PASSWORD.into(), &ClientInfo::unknown())
                .await
                .map(|outcome| outcome.complete().unwrap())
        ),
        None
    );
    assert_eq!(auth.hash_stats().blocks_filled - before, 2 * 19_456);
    assert_eq!(auth.hash_stats().waiting, 0);
}

#[tokio::test]
async fn a_taken_address_costs_what_a_free_one_does() {
    let (_, auth) = world().await;
    for (email, refused) in [("ada@example.com", Some(ErrorKind::EmailTaken)), ("new@example.com", None)] {
        let before = auth.hash_stats().blocks_filled;
        let registration = portcullis::Registration::new(email, PASSWORD, Profile::default());
        assert_eq!(kind(auth.register(registration, &ClientInfo::unknown()).await), refused);
        assert_eq!(auth.hash_stats().blocks_filled - before, 2 * 19_456, "{email}");
    }
}
