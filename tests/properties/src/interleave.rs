//! Runs operations at the same time, one store call after the other, in an order that the schedule
//! chooses.

use std::time::{Duration, Instant};

use proptest::{collection::vec, option, prelude::*};
use tokio::task::JoinHandle;

use crate::{
    faulty::{BoxFuture, Control},
    world::World,
};

/// In which order the calls run, and what happens between them.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which of the waiting calls runs next, modulo their number. The list is repeated when it
    /// ends.
    pub choices: Vec<u8>,
    /// How many milliseconds pass before each call. Together they are at most the given maximum.
    pub ticks: Vec<u64>,
    pub longest: u64,
    /// Before which turn an operation is cut short, and how.
    pub cut: Option<(usize, Cut)>,
}

/// What cuts operations short.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// A node dies with all its operations.
    Kill { node: usize },
    /// A client disconnects, and its operation is dropped.
    HangUp { operation: usize },
}

impl Order {
    /// Returns any order in which at most `longest` passes.
    pub fn any(longest: Duration, cuts: bool) -> impl Strategy<Value = Self> {
        let cut = prop_oneof![
            (0..3_usize).prop_map(|node| Cut::Kill { node }),
            (0..6_usize).prop_map(|operation| Cut::HangUp { operation }),
        ];
        let cut = (1..12_usize, cut);
        let cut = if cuts { option::weighted(0.5, cut).boxed() } else { Just(None).boxed() };
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let tick = prop_oneof![3 => Just(0), 1 => 0..=longest / 20, 1 => 0..=longest / 2];
        (vec(any::<u8>(), 1..TURNS), vec(tick, 1..8), cut).prop_map(move |(choices, ticks, cut)| Self {
            choices,
            ticks,
            longest,
            cut,
        })
    }

    /// Returns the order in which the calls arrive.
    pub fn plain() -> Self {
        Self { choices: vec![0], ticks: vec![0], longest: 0, cut: None }
    }
}

/// More turns than the calls of one round take.
const TURNS: usize = 40;

/// One of the operations.
pub(crate) struct Operation {
    pub(crate) node: usize,
    pub(crate) future: BoxFuture<()>,
}

enum Slot {
    Waits(Operation),
    Runs { node: usize, task: JoinHandle<()> },
    Over,
}

/// Runs the operations to their ends. Returns the node that was killed, if there is one.
///
/// # Errors
/// Returns an error where the operations never end.
pub(crate) async fn interleave(
    world: &World,
    order: &Order,
    operations: Vec<Operation>,
) -> Result<Option<usize>, String> {
    let mut slots: Vec<_> = operations.into_iter().map(Slot::Waits).collect();
    let control = &world.control;
    let (mut killed, mut left) = (None, order.longest);
    control.close_gate();
    for turn in 0.. {
        quiet(world, &mut slots).await?;
        if let Some((_, cut)) = order.cut.filter(|(at, _)| *at == turn) {
            killed = cut.apply(control, &mut slots).or(killed);
            continue;
        }
        let starts: Vec<_> = (0..slots.len()).filter(|slot| matches!(slots[*slot], Slot::Waits(_))).collect();
        let ready = starts.len() + control.tickets().len();
        if ready == 0 {
            break;
        }
        let tick = order.ticks[turn % order.ticks.len()].min(left);
        left -= tick;
        world.clock.advance(Duration::from_millis(tick));
        let choice = usize::from(order.choices[turn % order.choices.len()]) % ready;
        if let Some(slot) = starts.get(choice) {
            slots[*slot].start();
        } else {
            let ticket = control.tickets().remove(choice - starts.len());
            ticket.go();
        }
    }
    control.open_gate();
    Ok(killed)
}

/// Waits until every operation waits for its turn, has ended, or waits for another operation.
async fn quiet(world: &World, slots: &mut [Slot]) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(10);
    const PAUSE: Duration = Duration::from_micros(200);
    let mut still_since = Instant::now();
    loop {
        // Passwords are hashed on threads. The others wait for these, because otherwise the order
        // would depend on their speed.
        let hashed = world.hashes();
        world.control.settle().await;
        if hashed || world.hashes() {
            still_since = Instant::now();
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut running = 0;
        for slot in &mut *slots {
            match slot {
                Slot::Runs { task, .. } if task.is_finished() => {
                    let Slot::Runs { task, .. } = std::mem::replace(slot, Slot::Over) else { unreachable!() };
                    task.await.map_err(|error| format!("an operation panicked: {error}"))?;
                }
                Slot::Runs { .. } => running += 1,
                Slot::Waits(_) | Slot::Over => {}
            }
        }
        // If a call waits for its turn, every operation without a waiting call waits for an
        // operation with one.
        if running == 0 || !world.control.tickets().is_empty() {
            return Ok(());
        }
        if still_since.elapsed() > PATIENCE {
            return Err("operations wait for each other for ever".to_owned());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Slot {
    fn start(&mut self) {
        if let Self::Waits(Operation { node, future }) = std::mem::replace(self, Self::Over) {
            *self = Self::Runs { node, task: tokio::spawn(future) };
        }
    }

    fn abort(&mut self) {
        if let Self::Runs { task, .. } = self {
            task.abort();
            *self = Self::Over;
        }
    }
}

impl Cut {
    fn apply(self, control: &Control, slots: &mut [Slot]) -> Option<usize> {
        match self {
            Self::HangUp { operation } => {
                slots.get_mut(operation).into_iter().for_each(Slot::abort);
                None
            }
            Self::Kill { node } => {
                for slot in slots {
                    if matches!(slot, Slot::Runs { node: of, .. } if *of == node) {
                        slot.abort();
                    }
                }
                // Tasks that outlive their clients wait for ever, as if they did not exist.
                control.tickets().retain(|ticket| ticket.node != node);
                Some(node)
            }
        }
    }
}
