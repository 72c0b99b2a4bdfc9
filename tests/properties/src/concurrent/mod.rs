//! Operations that overlap. In every order they must obey the rules of `history`.

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

/// Rounds of operations that overlap, with pauses between the rounds.
#[derive(Clone, Debug)]
pub struct Overlap {
    pub settings: Settings,
    pub nodes: usize,
    /// The users who log in before the first round.
    pub logins: Vec<usize>,
    pub rounds: Vec<Round>,
}

/// Operations that overlap.
#[derive(Clone, Debug)]
pub struct Round {
    /// Each operation, with the node that serves it.
    pub actions: Vec<(usize, OverlapAction)>,
    pub order: Order,
    /// The faults, by the number of the store call in the round. Any operation may make the call.
    pub faults: Plan,
    /// How long it is until the next round, in milliseconds.
    pub pause: u64,
}

/// One of the operations.
#[derive(Clone, Copy, Debug)]
pub enum OverlapAction {
    Login { user: usize },
    Refresh { token: Pick },
    Use { token: Pick },
    Logout { session: usize },
    LogoutAll { user: usize },
    ChangePassword { session: usize },
    Disable { user: usize },
    Poll,
}

/// Which rounds are generated.
#[derive(Clone, Copy, Debug)]
pub struct OverlapProfile {
    /// Generates only refreshes and uses, so that a session may end only by reuse.
    pub refreshes_only: bool,
    /// Generates failing store calls, dying nodes and clients that disconnect.
    pub faults: bool,
    pub passwords: bool,
}

/// Generates rounds, and checks the rules after each schedule.
///
/// # Errors
/// Returns the smallest schedule found that breaks a rule.
pub fn check(factory: &dyn StoreFactory, run: Run, name: &str, profile: OverlapProfile) -> Result<u32, Failure> {
    run.check(name, &profile.overlaps(), |overlap| replay(factory, overlap, profile))
}

/// Runs one schedule.
///
/// # Errors
/// Returns the first rule that it breaks.
pub fn replay(factory: &dyn StoreFactory, overlap: &Overlap, profile: OverlapProfile) -> Result<(), String> {
    block_on(async { Player::new(factory, overlap).await.play(overlap, profile).await })
}

impl OverlapProfile {
    /// Returns the schedules of this profile.
    pub fn overlaps(self) -> impl Strategy<Value = Overlap> {
        let grace = prop_oneof![1 => Just(0), 1 => Just(2), 3 => Just(10)];
        let logins = vec(0..PEOPLE, 1..4);
        (grace, 1..=3_usize, logins, vec(self.round(), 1..3)).prop_map(|(grace, nodes, logins, rounds)| {
            let settings = Settings::with_grace(Duration::from_secs(grace));
            Overlap { settings, nodes, logins, rounds }
        })
    }

    fn round(self) -> impl Strategy<Value = Round> {
        let fault = prop_oneof![Just(Fault::Before), Just(Fault::After), Just(Fault::Late)];
        let plan = vec((0..12_usize, fault), 0..4).prop_map(|faults| faults.into_iter().collect());
        let plan = if self.faults { plan.boxed() } else { Just(Plan::new()).boxed() };
        let order = Order::any(LONGEST_CALLS, self.faults);
        let pause = prop_oneof![2 => 0..3_000_u64, 1 => 0..20_000_u64];
        (vec((0..3_usize, self.action()), 2..7), order, plan, pause).prop_map(|(actions, order, faults, pause)| Round {
            actions,
            order,
            faults,
            pause,
        })
    }

    fn action(self) -> impl Strategy<Value = OverlapAction> {
        let pick = || {
            let age = prop_oneof![5 => Just(0_usize), 2 => Just(1), 1 => Just(2)];
            (0..3_usize, age).prop_map(|(session, age)| Pick { session, age })
        };
        let mut actions = vec![
            (8, pick().prop_map(|token| OverlapAction::Refresh { token }).boxed()),
            (3, pick().prop_map(|token| OverlapAction::Use { token }).boxed()),
            (1, Just(OverlapAction::Poll).boxed()),
        ];
        if !self.refreshes_only {
            actions.extend([
                (1, (0..PEOPLE).prop_map(|user| OverlapAction::Login { user }).boxed()),
                (2, (0..3_usize).prop_map(|session| OverlapAction::Logout { session }).boxed()),
                (2, (0..PEOPLE).prop_map(|user| OverlapAction::LogoutAll { user }).boxed()),
                (1, (0..PEOPLE).prop_map(|user| OverlapAction::Disable { user }).boxed()),
            ]);
        }
        if self.passwords {
            actions.push((4, (0..3_usize).prop_map(|session| OverlapAction::ChangePassword { session }).boxed()));
        }
        proptest::strategy::Union::new_weighted(actions)
    }
}

/// How long the operations of a round take together. Calls must be shorter than the grace.
const LONGEST_CALLS: Duration = Duration::from_secs(9);

/// Clients that refresh with one token at the same time.
#[derive(Clone, Debug)]
pub struct Race {
    pub settings: Settings,
    /// The node of each client.
    pub clients: Vec<usize>,
    pub order: Order,
}

impl Race {
    fn any(clients: usize) -> impl Strategy<Value = Self> {
        let grace = prop::bool::ANY.prop_map(|grace| Duration::from_secs(if grace { 10 } else { 0 }));
        (grace, vec(0..3_usize, 2..=clients), Order::any(LONGEST_CALLS, false))
            .prop_map(|(grace, clients, order)| Self { settings: Settings::with_grace(grace), clients, order })
    }
}

/// Generates clients that refresh with one token at the same time. With a grace, all get the same
/// next token. Without a grace, exactly one gets it.
///
/// # Errors
/// Returns the smallest race found in which this does not hold.
pub fn check_race(factory: &dyn StoreFactory, run: Run, name: &str) -> Result<u32, Failure> {
    run.check(name, &Race::any(6), |race| block_on(player::race(factory, race)))
}

/// Checks the same on several threads, in the order in which the machine runs them.
///
/// # Errors
/// Returns the smallest race found in which this does not hold. A repetition of the same race may
/// succeed.
///
/// # Panics
/// Panics where the machine cannot start threads.
pub fn check_threads(factory: &dyn StoreFactory, run: Run, name: &str) -> Result<u32, Failure> {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let threads = threads.expect("the machine has threads to spare");
    run.check(name, &Race::any(24), |race| threads.block_on(player::race_on_threads(factory, race)))
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "grace {:?}, {} node(s), sessions of users {:?}", self.settings.grace, self.nodes, self.logins)?;
        for Round { actions, order, faults, pause } in &self.rounds {
            writeln!(f, "  at once, {order:?}")?;
            for (node, action) in actions {
                writeln!(f, "    node {}: {action:?}", node % self.nodes)?;
            }
            writeln!(f, "    store calls {faults:?}, then {pause} ms")?;
        }
        Ok(())
    }
}

impl fmt::Display for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "grace {:?}, refreshes on nodes {:?}, {:?}", self.settings.grace, self.clients, self.order)
    }
}
