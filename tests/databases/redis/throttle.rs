//! The throttle that all nodes share.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use portcullis::{
    clock::Timestamp,
    session::SessionId,
    store::redis::{RedisOptions, RedisSessions},
    throttle::{Admission, Attempt, MemoryThrottle, Outcome, RedisThrottle, Throttle, conformance},
    user::UserId,
};
use tokio::task::JoinSet;

use super::{Server, scripts_match_memory::Dice};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const LOGINS: [&str; 3] = ["ada@example.com", "ada", "bob@example.com"];
const ADDRESSES: [&str; 5] = ["203.0.113.1", "203.0.113.2", "2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:100::1"];
/// More than all free guesses of an address, so that every rule is reached.
const STEPS: usize = 4000;

fn throttle(server: &Server, prefix: &str) -> RedisThrottle {
    RedisThrottle::connect(RedisOptions::from(server.url()).key_prefix(prefix)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shared_throttle_keeps_every_promise() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let made = std::sync::atomic::AtomicUsize::new(0);
    let make = async || {
        let number = made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        throttle(&server, &format!("suite{number}"))
    };
    conformance::throttle(make).await.assert_kept();
}

/// A step of the comparison: an attempt, and how it ends where it is admitted.
struct Step {
    login: &'static str,
    user: Option<UserId>,
    device: Option<SessionId>,
    address: Option<IpAddr>,
    kind: u64,
    outcome: Outcome,
    later: Duration,
}

fn step(dice: &mut Dice) -> Step {
    let login = LOGINS[dice.index(LOGINS.len())];
    let user = UserId::from(if login.starts_with("ada") { "1" } else { "2" });
    Step {
        login,
        user: (dice.roll(3) == 0).then_some(user),
        device: (dice.roll(8) == 0).then(|| SessionId::from_bytes([u8::try_from(dice.roll(2)).unwrap(); 16])),
        address: (dice.roll(10) > 0).then(|| ADDRESSES[dice.index(ADDRESSES.len())].parse().unwrap()),
        kind: dice.roll(12),
        outcome: match dice.roll(12) {
            0 => Outcome::Succeeded,
            1 => Outcome::Undecided,
            _ => Outcome::Failed,
        },
        later: match dice.roll(200) {
            0 => Duration::from_secs(dice.roll(4000)),
            1..20 => Duration::from_millis(dice.roll(90_000)),
            _ => Duration::from_millis(dice.roll(50)),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_answers_as_the_throttle_in_memory() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    for seed in 1..=4 {
        let (mut dice, mut now) = (Dice::new(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed)), NOW);
        let (memory, redis) = (MemoryThrottle::new(), throttle(&server, &format!("seed{seed}")));
        let (mut delayed, mut admitted) = (0, 0);
        for number in 0..STEPS {
            let step = step(&mut dice);
            let Step { login, device, address, outcome, .. } = step;
            let address = address.map(Into::into);
            let attempt = match (step.kind, device, &step.user) {
                (0, ..) => Attempt::register(address),
                (1, Some(device), Some(user)) => Attempt::change_password(user, device),
                (_, Some(device), Some(user)) => Attempt::login(login, address).with_user(user).with_device(device),
                (_, _, Some(user)) => Attempt::login(login, address).with_user(user),
                _ => Attempt::login(login, address),
            };
            now = now.plus(step.later);
            let of_memory = memory.admit(&attempt, now).await.unwrap();
            let of_redis = redis.admit(&attempt, now).await.unwrap();
            assert_eq!(of_redis, of_memory, "seed {seed}, step {number}: {attempt:?}");
            if of_memory == Admission::Admitted {
                memory.settle(&attempt, outcome, now).await.unwrap();
                redis.settle(&attempt, outcome, now).await.unwrap();
                admitted += 1;
            } else {
                delayed += 1;
            }
        }
        assert!(admitted > STEPS / 10 && delayed > STEPS / 10, "{admitted} admitted, {delayed} delayed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_the_budget_of_a_login() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let nodes = Arc::new([(); 10].map(|()| throttle(&server, "app")));
    let mut guesses = JoinSet::new();
    for number in 0..1000 {
        let nodes = Arc::clone(&nodes);
        guesses.spawn(async move {
            let attempt = Attempt::login("ada@example.com", Some(IpAddr::from([203, 0, 113, 1]).into()));
            nodes[number % nodes.len()].admit(&attempt, NOW).await.unwrap()
        });
    }
    let admitted = guesses.join_all().await.into_iter().filter(|guess| *guess == Admission::Admitted).count();
    assert_eq!(admitted, 6, "of a thousand guesses sent to ten nodes at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_login_or_address_is_in_the_server_and_every_key_expires() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let throttle = throttle(&server, "app");
    let user = UserId::from("canary-user");
    let address = IpAddr::from([203, 0, 113, 77]).into();
    for number in 0..70 {
        let login = format!("canary{}@example.com", number % 2);
        let attempt = Attempt::login(&login, Some(address));
        let _ = throttle.admit(&attempt, NOW).await.unwrap();
        let found = attempt.with_user(&user);
        let _ = throttle.admit(&found, NOW).await.unwrap();
        let outcome = if number == 0 { Outcome::Succeeded } else { Outcome::Failed };
        throttle.settle(&found, outcome, NOW).await.unwrap();
    }
    let keys: BTreeSet<String> = server.ask(&["KEYS", "*"]).await;
    assert!(keys.len() >= 8, "{keys:?}");
    for key in keys {
        assert!(key.starts_with("{app:throttle}:") && !key.contains("canary") && !key.contains("203.0"), "{key}");
        let value: String = server.ask(&["GET", &key]).await;
        assert!(!value.contains("canary"), "{value}");
        let left: i64 = server.ask(&["TTL", &key]).await;
        assert!(left > 0 && left <= 31 * 86_400, "{key} expires in {left} s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_reported_or_counted_in_memory() {
    if !Server::can_run() {
        return;
    }
    let mut server = Server::start().await;
    let strict = throttle(&server, "app");
    let lenient = strict.clone().with_memory_fallback();
    let attempt = Attempt::login("ada@example.com", Some(IpAddr::from([203, 0, 113, 1]).into()));
    assert_eq!(lenient.admit(&attempt, NOW).await.unwrap(), Admission::Admitted);
    server.kill();
    let error = strict.admit(&attempt, NOW).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(strict.settle(&attempt, Outcome::Failed, NOW).await.unwrap_err().is_unavailable());
    let mut admitted = 0;
    for _ in 0..20 {
        if lenient.admit(&attempt, NOW).await.unwrap() == Admission::Admitted {
            lenient.settle(&attempt, Outcome::Failed, NOW).await.unwrap();
            admitted += 1;
        }
    }
    assert_eq!(admitted, 6, "the budget of this node");
    server.restart().await;
    assert_eq!(lenient.admit(&attempt, NOW).await.unwrap(), Admission::Admitted, "Redis counts again");
}

#[test]
fn bad_options_are_refused() {
    assert!(RedisThrottle::connect("http://127.0.0.1/").is_err());
    assert!(RedisThrottle::connect(RedisOptions::from("redis://127.0.0.1/".to_owned()).key_prefix("a{b")).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_throttle_runs_in_a_cluster_and_under_an_access_list() {
    if !Server::can_run() {
        return;
    }
    let cluster = Server::with(&["--cluster-enabled", "yes"]).await;
    cluster.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    while !cluster.ask::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let attempt = Attempt::login("ada@example.com", None);
    assert_eq!(throttle(&cluster, "app").admit(&attempt, NOW).await.unwrap(), Admission::Admitted);
    let server = Server::start().await;
    let rule = ["ACL", "SETUSER", "app", "on", ">secret", "~{app:throttle}:*", "+@all"];
    server.ask::<()>(&rule).await;
    let url = server.url().replace("redis://", "redis://app:secret@");
    let limited = RedisThrottle::connect(RedisOptions::from(url).key_prefix("app")).unwrap();
    assert_eq!(limited.admit(&attempt, NOW).await.unwrap(), Admission::Admitted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_that_cannot_be_read_counts_as_none() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let throttle = throttle(&server, "app");
    let attempt = Attempt::login("ada@example.com", Some(IpAddr::from([203, 0, 113, 1]).into()));
    throttle.admit(&attempt, NOW).await.unwrap();
    for key in server.ask::<Vec<String>>(&["KEYS", "*"]).await {
        server.ask::<()>(&["SET", &key, "of another release"]).await;
    }
    assert_eq!(throttle.admit(&attempt, NOW).await.unwrap(), Admission::Admitted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_fast_clock_delays_the_others_once() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let throttle = throttle(&server, "app");
    let attempt = Attempt::login("ada@example.com", Some(IpAddr::from([203, 0, 113, 1]).into()));
    let tomorrow = NOW.plus(Duration::from_secs(86_400));
    throttle.admit(&attempt, tomorrow).await.unwrap();
    throttle.settle(&attempt, Outcome::Failed, tomorrow).await.unwrap();
    for minutes in [0, 5, 10, 60] {
        let now = NOW.plus(Duration::from_secs(60 * minutes));
        let admission = throttle.admit(&attempt, now).await.unwrap();
        assert_eq!(admission, Admission::Admitted, "after {minutes} minutes: one failure is no delay");
        throttle.settle(&attempt, Outcome::Undecided, now).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_throttle_waits_for_no_replica() {
    if !Server::can_run() {
        return;
    }
    let server = Server::start().await;
    let options = server.options().wait_for_replicas(1, Duration::from_millis(50));
    let sessions = RedisSessions::connect(options).await.unwrap();
    let throttle = RedisThrottle::new(&sessions);
    let attempt = Attempt::login("ada@example.com", None);
    assert_eq!(throttle.admit(&attempt, NOW).await.unwrap(), Admission::Admitted);
}
