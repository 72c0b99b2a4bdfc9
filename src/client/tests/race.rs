//! Whatever happens in whatever order, the session goes on: many seeds, two processes, faults and callers that leave.

use super::*;

/// A small generator (xorshift64*): the same seed is the same run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

const SEEDS: u64 = 150;

#[test]
fn a_session_outlives_faults_and_callers_that_leave() {
    for seed in 1..=SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(seed));
    }
}

async fn play(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let world = World::new();
    // Two attempts, so that nobody waits a second for the third.
    let processes = [(); 2].map(|()| world.process_with(|builder| builder.refresh_attempts(2)));
    processes[0].log_in("ada", "open sesame 42".into()).await.unwrap();
    let mut calls = Vec::new();
    for step in 0..60 {
        match dice.roll(12) {
            0 => world.server().good.clear(),
            // An answer that is lost is asked for again at once; two in a row would leave that to the next caller.
            1 => world.fault(Fault::Unanswered),
            2 => world.fault(Fault::Lost),
            3 => world.fault(Fault::Instead(503, "0", "")),
            4 => {
                // An answer that is missing for longer than the grace costs a sign-in; here nothing is.
                calm(&world, &processes).await;
                world.clock.advance(Duration::from_secs(dice.roll(4) * 300));
            }
            5 => world.storage.fail(["save", "load", "lock"][usize::try_from(dice.roll(3)).unwrap()]),
            6 => world.storage.recover(),
            7 if !calls.is_empty() => {
                let call: tokio::task::JoinHandle<_> =
                    calls.swap_remove(usize::try_from(dice.roll(calls.len() as u64)).unwrap());
                call.abort();
            }
            _ => {
                let (world, auth) = (world.clone(), processes[usize::from(step % 2 == 0)].clone());
                calls.push(tokio::spawn(async move { call(&world, &auth, "/notes").await }));
            }
        }
        for _ in 0..dice.roll(12) {
            tokio::task::yield_now().await;
        }
    }
    calm(&world, &processes).await;
    for call in calls {
        // It may have met a fault, or a token that was refused before it arrived.
        let _ = call.await;
    }
    assert!(!world.server().ended, "seed {seed}");
    assert!(world.storage.stored().await.is_some(), "seed {seed}");
    world.clock.advance(Duration::from_secs(86_400));
    for auth in &processes {
        assert_eq!(call(&world, auth, "/notes").await, OK, "seed {seed}");
    }
    assert!(!world.server().ended, "seed {seed}");
}

/// Lets everybody ask again for what they may have missed, and store what they hold.
async fn calm(world: &World, processes: &[ClientAuth]) {
    world.storage.recover();
    world.server().faults.clear();
    for auth in processes {
        auth.settled().await;
        world.server().faults.clear();
        world.refuse_access();
        // Twice: what another process has stored may be refused as well.
        for _ in 0..2 {
            world.clock.advance(Duration::from_secs(1));
            let _ = call(world, auth, "/notes").await;
        }
    }
}
