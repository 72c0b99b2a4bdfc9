//! Two processes, faults and aborted callers in random order: the session never ends.

use super::*;

/// A small random number generator (xorshift64*). The same seed gives the same run.
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
fn a_session_outlives_faults_and_aborted_callers() {
    for seed in 1..=SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(seed));
    }
}

async fn play(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let world = World::new();
    // Two attempts, because the pause before a third one is a second.
    let processes = [(); 2].map(|()| world.process_with(|builder| builder.refresh_attempts(2)));
    processes[0].login("ada", "open sesame 42".into()).await.unwrap();
    let mut calls = Vec::new();
    for step in 0..60 {
        match dice.roll(12) {
            0 => world.server().valid.clear(),
            // A lost answer is requested again at once.
            1 => world.fault(Fault::Unanswered),
            2 => world.fault(Fault::Lost),
            3 => world.fault(Fault::Instead(503, "0", "")),
            4 => {
                // No answer may be missing while the clock moves: one that is missing for longer
                // than the grace ends the session.
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
        // A call may fail: it may have met a fault or a token that was refused before it arrived.
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

/// Lets each process request lost answers again, and store what it holds.
async fn calm(world: &World, processes: &[ClientAuth]) {
    world.storage.recover();
    world.server().faults.clear();
    for auth in processes {
        auth.settled().await;
        world.server().faults.clear();
        world.refuse_access();
        // Twice, because the pair that another process has stored may be refused as well.
        for _ in 0..2 {
            world.clock.advance(Duration::from_secs(1));
            let _ = call(world, auth, "/notes").await;
        }
    }
}
