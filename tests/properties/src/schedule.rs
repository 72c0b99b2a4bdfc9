//! Random schedules: what is done, on which node, with which token, and which store calls fail.
//!
//! Sessions and tokens are chosen by small numbers, modulo the number that exists. A schedule
//! therefore stays valid when shrinking removes parts of it.

use std::fmt;

use proptest::{collection::vec, option, prelude::*};

use crate::{
    faulty::{Fault, Plan},
    settings::{Limit, Settings},
    token::Forgery,
};

/// How many users a schedule has.
pub const PEOPLE: usize = 2;

/// A whole schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub settings: Settings,
    pub nodes: usize,
    pub steps: Vec<Step>,
}

/// One operation of one client.
#[derive(Clone, Debug)]
pub struct Step {
    pub node: usize,
    pub action: Action,
    pub faults: Plan,
}

/// Which token a client presents.
#[derive(Clone, Copy, Debug)]
pub struct Pick {
    /// The number of the session, among those whose tokens clients have.
    pub session: usize,
    /// The age of the token: 0 for the newest that was received, 1 for the one before, and so on.
    pub age: usize,
}

/// The moment to which the clock jumps, and by how many milliseconds it misses.
#[derive(Clone, Copy, Debug)]
pub enum Edge {
    Grace,
    Access,
    Idle,
    Absolute,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Action {
    Login {
        user: usize,
        replaces: Option<Pick>,
    },
    /// Begins a login: reads the user. The password is hashed later.
    ReadUser {
        user: usize,
    },
    /// Continues that login.
    LoginFromBefore,
    Refresh {
        token: Pick,
        forgery: Option<Forgery>,
    },
    Use {
        token: Pick,
    },
    Logout {
        token: Pick,
        forgery: Option<Forgery>,
        also_access: bool,
    },
    LogoutByAccess {
        token: Pick,
    },
    LogoutAll {
        user: usize,
    },
    EndSession {
        session: usize,
    },
    ChangePassword {
        token: Pick,
        right: bool,
    },
    /// Logs in with the password, which costs a hash.
    LogIn {
        user: usize,
    },
    Disable {
        user: usize,
    },
    Enable {
        user: usize,
    },
    Delete {
        user: usize,
    },
    Poll,
    Restart,
    /// Advances the clock.
    Wait {
        millis: u64,
    },
    /// Advances the clock to an edge of a session's life.
    WaitFor {
        edge: Edge,
        session: usize,
        millis: i64,
    },
    /// Sets the clock back.
    StepBack {
        millis: u64,
    },
    Sweep,
    List {
        user: usize,
    },
}

/// What most operations of a schedule are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    Everything,
    /// Refreshes, in time and too late.
    Refreshes,
    /// Ends of sessions, and polls of the nodes.
    Endings,
    /// Waits until something expires.
    Expiry,
}

/// Which schedules are generated.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub nodes: usize,
    pub steps: usize,
    pub focus: Focus,
    pub faults: bool,
    pub passwords: bool,
    /// Sets the clock back by hours.
    pub wild_clock: bool,
}

impl Profile {
    /// Two nodes, a store that works, and a clock that goes forwards or steps back by about a
    /// minute.
    pub const PLAIN: Self =
        Self { nodes: 2, steps: 40, focus: Focus::Everything, faults: false, passwords: false, wild_clock: false };

    /// Returns the schedules of this profile.
    pub fn schedules(self) -> impl Strategy<Value = Schedule> {
        (Settings::any(), 1..=self.nodes, vec(self.step(), 1..self.steps)).prop_map(
            move |(mut settings, nodes, steps)| {
                if self.wild_clock {
                    // When time runs backwards, it is unclear which session was used longest ago.
                    settings.limit = Limit::Ample;
                }
                Schedule { settings, nodes, steps }
            },
        )
    }

    fn step(self) -> impl Strategy<Value = Step> {
        let call = prop_oneof![3 => 0..2_usize, 1 => 2..4_usize];
        let fault = (call, Fault::any(), 1..=2_usize);
        let fault = if self.faults { option::weighted(0.35, fault).boxed() } else { Just(None).boxed() };
        (0..self.nodes, self.action(), fault).prop_map(|(node, action, fault)| {
            // A refresh asks twice, and some outages last longer than that.
            let faults = fault.map(|(call, fault, times)| (call..call + times).map(|call| (call, fault)).collect());
            Step { node, action, faults: faults.unwrap_or_default() }
        })
    }

    fn action(self) -> BoxedStrategy<Action> {
        let user = || 0..PEOPLE;
        let more = |focus, weight| if self.focus == focus { 4 * weight } else { weight };
        let login = (user(), option::weighted(0.3, pick()));
        let mut choices = vec![
            (more(Focus::Refreshes, 12), refresh().boxed()),
            (8, pick().prop_map(|token| Action::Use { token }).boxed()),
            (5, login.prop_map(|(user, replaces)| Action::Login { user, replaces }).boxed()),
            (more(Focus::Expiry, 5), waits(self.focus).boxed()),
            (more(Focus::Endings, 3), Just(Action::Poll).boxed()),
            (more(Focus::Endings, 2), ends().boxed()),
            (more(Focus::Endings, 1), user().prop_map(|user| Action::ReadUser { user }).boxed()),
            (more(Focus::Endings, 1), Just(Action::LoginFromBefore).boxed()),
            (1, user().prop_map(|user| Action::Enable { user }).boxed()),
            (more(Focus::Endings, 1), Just(Action::Restart).boxed()),
            (more(Focus::Expiry, 1), Just(Action::Sweep).boxed()),
            (more(Focus::Expiry, 2), user().prop_map(|user| Action::List { user }).boxed()),
        ];
        if self.passwords {
            let change = (pick(), prop::bool::weighted(0.9));
            choices.push((4, change.prop_map(|(token, right)| Action::ChangePassword { token, right }).boxed()));
            choices.push((1, user().prop_map(|user| Action::LogIn { user }).boxed()));
        }
        let longest: u64 = if self.wild_clock { 7_200_000 } else { 70_000 };
        choices.push((1, (1..longest).prop_map(|millis| Action::StepBack { millis }).boxed()));
        proptest::strategy::Union::new_weighted(choices).boxed()
    }
}

/// Chooses sessions 0 and 1 often, so that several steps use the same session.
fn pick() -> impl Strategy<Value = Pick> {
    let session = prop_oneof![3 => 0..2_usize, 1 => 0..8_usize];
    let age = prop_oneof![5 => Just(0_usize), 3 => Just(1), 1 => 2..6_usize];
    (session, age).prop_map(|(session, age)| Pick { session, age })
}

fn refresh() -> impl Strategy<Value = Action> {
    (pick(), option::weighted(0.08, Forgery::any())).prop_map(|(token, forgery)| Action::Refresh { token, forgery })
}

fn waits(focus: Focus) -> impl Strategy<Value = Action> {
    let last = if focus == Focus::Expiry { 4 } else { 1 };
    let edge = prop_oneof![
        4 => Just(Edge::Grace),
        2 => Just(Edge::Access),
        last => Just(Edge::Idle),
        last => Just(Edge::Absolute),
    ];
    let near = prop_oneof![3 => -1..=1_i64, 1 => -1500..1500_i64];
    prop_oneof![
        2 => (0..4_000_u64).prop_map(|millis| Action::Wait { millis }),
        1 => (0..90_000_u64).prop_map(|millis| Action::Wait { millis }),
        3 => (edge, 0..4_usize, near).prop_map(|(edge, session, millis)| Action::WaitFor { edge, session, millis }),
    ]
}

fn ends() -> impl Strategy<Value = Action> {
    let forgery = || option::weighted(0.2, Forgery::any());
    let user = || 0..PEOPLE;
    prop_oneof![
        4 => (pick(), forgery(), any::<bool>())
            .prop_map(|(token, forgery, also_access)| Action::Logout { token, forgery, also_access }),
        2 => pick().prop_map(|token| Action::LogoutByAccess { token }),
        3 => user().prop_map(|user| Action::LogoutAll { user }),
        2 => (0..8_usize).prop_map(|session| Action::EndSession { session }),
        2 => user().prop_map(|user| Action::Disable { user }),
        1 => user().prop_map(|user| Action::Delete { user }),
    ]
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}, {} node(s)", self.settings, self.nodes)?;
        for (number, step) in self.steps.iter().enumerate() {
            write!(f, "  {number:>2}. node {}: {:?}", step.node % self.nodes, step.action)?;
            for (call, fault) in &step.faults {
                write!(f, ", store call {call}: {fault:?}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
