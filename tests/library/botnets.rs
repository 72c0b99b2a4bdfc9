//! Simulates botnets against the throttle in memory, and prints how many guesses they get.
//!
//! The figures of `src/throttle/mod.rs` and of the threat model are those of this table: `cargo
//! test --all-features --test library botnets -- --nocapture`.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use portcullis::{
    clock::Timestamp,
    throttle::{Admission, Attempt, MemoryThrottle, Outcome, Throttle},
    user::UserId,
};

const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// A botnet, by the addresses that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Botnet {
    Ipv4(u32),
    /// The /64 networks of an IPv6 network.
    Ipv6(u8),
}

impl Botnet {
    fn size(self) -> u32 {
        match self {
            Self::Ipv4(addresses) => addresses,
            Self::Ipv6(prefix) => 1 << (64 - prefix),
        }
    }

    fn address(self, bot: u32) -> IpAddr {
        match self {
            Self::Ipv4(_) => Ipv4Addr::from_bits(0x0b00_0000 + bot).into(),
            Self::Ipv6(_) => Ipv6Addr::from_bits((0x2001_0db8_0077 << 80) | (u128::from(bot) << 64)).into(),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Ipv4(1) => "1 IPv4 address".to_owned(),
            Self::Ipv4(addresses) => format!("{addresses} IPv4 addresses"),
            Self::Ipv6(prefix) => format!("one /{prefix}"),
        }
    }
}

/// Logins that the botnet guesses at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    OneLogin,
    /// Many logins, each once.
    AllLogins,
}

/// Random numbers of a fixed seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }
}

/// Returns how many guesses were admitted within each of these numbers of seconds. Each bot guesses
/// as soon as it may.
async fn guesses(botnet: Botnet, target: Target, until: &[u64]) -> Vec<u64> {
    let (throttle, mut dice) = (MemoryThrottle::new(), Dice(0x9e37_79b9_7f4a_7c15));
    let end = until.iter().max().unwrap() * 1_000;
    // In a large botnet, enough bots come in every second to take each slot. The others need not be
    // computed.
    let pause = u64::from(botnet.size()) * 1_000 / 5;
    let is_large = botnet.size() > 300 && (target == Target::OneLogin || matches!(botnet, Botnet::Ipv6(_)));
    let mut turns: BinaryHeap<_> = (0..botnet.size()).map(|bot| Reverse((dice.below(1_000), bot))).collect();
    let (mut counts, mut guessed) = (vec![0; until.len()], 0_u64);
    let ada = UserId::from("1");
    while let Some(Reverse((millis, bot))) = turns.pop() {
        if millis >= end {
            break;
        }
        let now = START.plus(Duration::from_millis(millis));
        let login = match target {
            Target::OneLogin => "ada@example.com".to_owned(),
            Target::AllLogins => format!("user{guessed}@example.com"),
        };
        let typed = Attempt::login(&login, Some(botnet.address(bot).into()));
        let mut admission = throttle.admit(&typed, now).await.unwrap();
        if (target, admission) == (Target::OneLogin, Admission::Admitted) {
            // `Auth` asks in the same way about the user that it has found.
            let found = typed.with_user(&ada);
            admission = throttle.admit(&found, now).await.unwrap();
            let (attempt, outcome) = match admission {
                Admission::Admitted => (found, Outcome::Failed),
                Admission::Delayed(_) => (typed, Outcome::Undecided),
            };
            throttle.settle(&attempt, outcome, now).await.unwrap();
        } else if admission == Admission::Admitted {
            throttle.settle(&typed, Outcome::Failed, now).await.unwrap();
        }
        let wait = match admission {
            Admission::Admitted => {
                guessed += 1;
                for (count, until) in counts.iter_mut().zip(until) {
                    *count += u64::from(millis < until * 1_000);
                }
                1_000
            }
            Admission::Delayed(wait) => {
                let wait = u64::try_from(wait.as_millis()).unwrap();
                // A delay that is longer than that of a login ends in a first guess. The bot comes
                // back in time for it.
                if is_large && wait <= 60_000 { wait.max(dice.below(2 * pause)) } else { wait }
            }
        };
        turns.push(Reverse((millis + wait + dice.below(200), bot)));
    }
    counts
}

#[tokio::test]
async fn botnets_of_every_size_are_bounded() {
    let botnets = [
        Botnet::Ipv4(1),
        Botnet::Ipv4(100),
        Botnet::Ipv4(10_000),
        Botnet::Ipv6(64),
        Botnet::Ipv6(56),
        Botnet::Ipv6(48),
    ];
    println!("| botnet | one login, an hour | a day | all logins, an hour | a day |\n|---|---|---|---|---|");
    for botnet in botnets {
        let one = guesses(botnet, Target::OneLogin, &[HOUR, DAY]).await;
        let all = match botnet {
            // Addresses share no budget when there are many logins, so that the day of a hundred
            // addresses is computed and multiplied.
            Botnet::Ipv4(10_000) => {
                let hour = guesses(botnet, Target::AllLogins, &[HOUR]).await[0];
                vec![hour, 100 * guesses(Botnet::Ipv4(100), Target::AllLogins, &[DAY]).await[0]]
            }
            _ => guesses(botnet, Target::AllLogins, &[HOUR, DAY]).await,
        };
        println!("| {} | {} | {} | {} | {} |", botnet.name(), one[0], one[1], all[0], all[1]);
        let (an_hour, a_day) = match botnet {
            Botnet::Ipv4(1) | Botnet::Ipv6(64) => (20, 115),
            Botnet::Ipv6(_) => (140, 1_440 + 100),
            Botnet::Ipv4(_) => (200, 2 * 1_440 + 100),
        };
        assert!(one[0] <= an_hour && one[1] <= a_day, "{botnet:?} at one login: {one:?}");
        let (an_hour, a_day) = match botnet {
            Botnet::Ipv4(addresses) => (80 * u64::from(addresses), 770 * u64::from(addresses)),
            Botnet::Ipv6(64) => (80, 770),
            Botnet::Ipv6(56) => (150, 1_550),
            Botnet::Ipv6(_) => (500, 6_050),
        };
        assert!(all[0] <= an_hour && all[1] <= a_day, "{botnet:?} at all logins: {all:?}");
        // A throttle that admits nothing would pass the checks above.
        assert!(one[1] >= 90 && all[1] >= 700, "{botnet:?}: {one:?} {all:?}");
    }
}

#[tokio::test]
async fn a_second_network_48_gets_its_first_guesses_only() {
    // The two networks share the budget of the login. The second adds only its first guesses.
    let one = guesses(Botnet::Ipv6(48), Target::OneLogin, &[DAY]).await[0];
    let two = guesses(Botnet::Ipv6(47), Target::OneLogin, &[DAY]).await[0];
    assert!(two <= one + 40, "{one} {two}");
}
