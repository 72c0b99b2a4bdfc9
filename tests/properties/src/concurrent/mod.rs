//! Operations that overlap: whatever the order, the rules of `history` hold.

mod player;

use std::{fmt, time::Duration};

use proptest::{collection::vec, prelude::*};

use self::player::Player;
use crate::{
    StoreFactory,
    faulty::{Fault, Plan},
    interleave::Order,
    run::{Failure, Run, block_on},
    schedule::{PEOPLE, Pick},
    settings::Settings,
};

/// Rounds of operations that overlap, with time passing in between.
#[derive(Clone, Debug)]
pub struct Storm {
    pub settings: Settings,
    pub nodes: usize,
    /// Whose sessions there are to begin with.
    pub logins: Vec<usize>,
    pub rounds: Vec<Round>,
}

/// Operations that overlap.
#[derive(Clone, Debug)]
pub struct Round {
    /// Each with the node that serves it.
    pub deeds: Vec<(usize, Deed)>,
    pub order: Order,
    /// By the number of the call in the round, whoever makes it.
    pub faults: Plan,
    /// How long it is until the next, in milliseconds.
    pub pause: u64,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Login { user: usize },
    Refresh { token: Pick },
    Use { token: Pick },
    Logout { session: usize },
    LogoutAll { user: usize },
    ChangePassword { session: usize },
    Disable { user: usize },
    Poll,
}

/// Which storms are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Refreshes and uses only, so that nothing may end but by reuse.
    pub refreshes_only: bool,
    /// Store calls fail, nodes die and clients hang up.
    pub faults: bool,
    pub passwords: bool,
}

/// Draws storms and checks the rules after each.
///
/// # Errors
/// The smallest storm found that breaks a rule.
pub fn check(factory: &dyn StoreFactory, run: Run, name: &str, weather: Weather) -> Result<u32, Failure> {
    run.check(name, &weather.storms(), |storm| replay(factory, storm, weather))
}

/// Plays one storm.
///
/// # Errors
/// The first rule that it breaks.
pub fn replay(factory: &dyn StoreFactory, storm: &Storm, weather: Weather) -> Result<(), String> {
    block_on(async { Player::new(factory, storm).await.play(storm, weather).await })
}

impl Weather {
    /// Storms of this kind.
    pub fn storms(self) -> impl Strategy<Value = Storm> {
        let grace = prop_oneof![1 => Just(0), 1 => Just(2), 3 => Just(10)];
        let logins = vec(0..PEOPLE, 1..4);
        (grace, 1..=3_usize, logins, vec(self.round(), 1..3)).prop_map(|(grace, nodes, logins, rounds)| {
            let settings = Settings::with_grace(Duration::from_secs(grace));
            Storm { settings, nodes, logins, rounds }
        })
    }

    fn round(self) -> impl Strategy<Value = Round> {
        let fault = prop_oneof![Just(Fault::Before), Just(Fault::After), Just(Fault::Late)];
        let plan = vec((0..12_usize, fault), 0..4).prop_map(|faults| faults.into_iter().collect());
        let plan = if self.faults { plan.boxed() } else { Just(Plan::new()).boxed() };
        let order = Order::any(LONGEST_CALLS, self.faults);
        let pause = prop_oneof![2 => 0..3_000_u64, 1 => 0..20_000_u64];
        (vec((0..3_usize, self.deed()), 2..7), order, plan, pause).prop_map(|(deeds, order, faults, pause)| Round {
            deeds,
            order,
            faults,
            pause,
        })
    }

    fn deed(self) -> impl Strategy<Value = Deed> {
        let pick = || {
            let age = prop_oneof![5 => Just(0_usize), 2 => Just(1), 1 => Just(2)];
            (0..3_usize, age).prop_map(|(session, age)| Pick { session, age })
        };
        let mut deeds = vec![
            (8, pick().prop_map(|token| Deed::Refresh { token }).boxed()),
            (3, pick().prop_map(|token| Deed::Use { token }).boxed()),
            (1, Just(Deed::Poll).boxed()),
        ];
        if !self.refreshes_only {
            deeds.extend([
                (1, (0..PEOPLE).prop_map(|user| Deed::Login { user }).boxed()),
                (2, (0..3_usize).prop_map(|session| Deed::Logout { session }).boxed()),
                (2, (0..PEOPLE).prop_map(|user| Deed::LogoutAll { user }).boxed()),
                (1, (0..PEOPLE).prop_map(|user| Deed::Disable { user }).boxed()),
            ]);
        }
        if self.passwords {
            deeds.push((4, (0..3_usize).prop_map(|session| Deed::ChangePassword { session }).boxed()));
        }
        proptest::strategy::Union::new_weighted(deeds)
    }
}

/// How long the operations of a round take, all together: calls are shorter than the grace.
const LONGEST_CALLS: Duration = Duration::from_secs(9);

/// Clients that refresh with one token at once.
#[derive(Clone, Debug)]
pub struct Rush {
    pub settings: Settings,
    /// The node of each.
    pub clients: Vec<usize>,
    pub order: Order,
}

impl Rush {
    fn any(clients: usize) -> impl Strategy<Value = Self> {
        let grace = prop::bool::ANY.prop_map(|grace| Duration::from_secs(if grace { 10 } else { 0 }));
        (grace, vec(0..3_usize, 2..=clients), Order::any(LONGEST_CALLS, false))
            .prop_map(|(grace, clients, order)| Self { settings: Settings::with_grace(grace), clients, order })
    }
}

/// Draws clients that refresh with one token at once: with a grace all get the one next token, without it one does.
///
/// # Errors
/// The smallest rush found in which it is otherwise.
pub fn check_rush(factory: &dyn StoreFactory, run: Run, name: &str) -> Result<u32, Failure> {
    run.check(name, &Rush::any(6), |rush| block_on(player::rush(factory, rush)))
}

/// The same in earnest: on several threads, in whatever order the machine has them.
///
/// # Errors
/// The smallest rush found in which it is otherwise, though it may be in order when it is tried again.
///
/// # Panics
/// Where the machine has no threads to spare.
pub fn check_threads(factory: &dyn StoreFactory, run: Run, name: &str) -> Result<u32, Failure> {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let threads = threads.expect("the machine has threads to spare");
    run.check(name, &Rush::any(24), |rush| threads.block_on(player::rush_on_threads(factory, rush)))
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "grace {:?}, {} node(s), sessions of users {:?}", self.settings.grace, self.nodes, self.logins)?;
        for Round { deeds, order, faults, pause } in &self.rounds {
            writeln!(f, "  at once, {order:?}")?;
            for (node, deed) in deeds {
                writeln!(f, "    node {}: {deed:?}", node % self.nodes)?;
            }
            writeln!(f, "    store calls {faults:?}, then {pause} ms")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "grace {:?}, refreshes on nodes {:?}, {:?}", self.settings.grace, self.clients, self.order)
    }
}
