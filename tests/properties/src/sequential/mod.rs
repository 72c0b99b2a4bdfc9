//! One operation after the other. The model predicts each answer exactly.

mod operations;
mod waits;

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use portcullis::{User, clock::Timestamp};

use self::waits::Waits;
use crate::{
    StoreFactory,
    faulty::Plan,
    holders::Holders,
    model::{Model, Op},
    run::{Failure, Run, block_on},
    schedule::{Action, Edge, PEOPLE, Profile, Schedule, Step},
    settings::Limit,
    world::World,
};

/// Generates schedules of the profile, and compares every answer with the model.
///
/// # Errors
/// Returns the smallest schedule found with an answer that the model does not expect.
pub fn check(factory: &dyn StoreFactory, run: Run, name: &str, profile: Profile) -> Result<u32, Failure> {
    run.check(name, &profile.schedules(), |schedule| replay(factory, schedule, profile))
}

/// How long a login may take from reading the user to its session. It is below the minute, plus the
/// lifetime of an access token, for which a raised version is kept.
const LONGEST_LOGIN: Duration = Duration::from_secs(59);
/// How far the clock may be set back in total, unless a profile allows more. It is below the minute
/// for which tombstones are kept beyond the lifetime of an access token.
const LONGEST_STEP_BACK: Duration = Duration::from_secs(59);

/// Runs one schedule.
///
/// # Errors
/// Returns the first answer that the model does not expect.
pub fn replay(factory: &dyn StoreFactory, schedule: &Schedule, profile: Profile) -> Result<(), String> {
    block_on(play(factory, schedule, profile)).map(|_| ())
}

/// How often each operation had each answer.
pub type Answers = BTreeMap<(&'static str, String), u32>;

/// Generates schedules and counts the answers, to show which answers they reach.
///
/// # Errors
/// Returns the errors of [`check`].
pub fn answers(factory: &dyn StoreFactory, run: Run, name: &str, profile: Profile) -> Result<Answers, Failure> {
    let all = RefCell::new(Answers::new());
    run.check(name, &profile.schedules(), |schedule| {
        for (answer, times) in block_on(play(factory, schedule, profile))? {
            *all.borrow_mut().entry(answer).or_default() += times;
        }
        Ok(())
    })?;
    Ok(all.into_inner())
}

async fn play(factory: &dyn StoreFactory, schedule: &Schedule, profile: Profile) -> Result<Answers, String> {
    let mut player = Player::new(factory, schedule, profile).await;
    // Without a session, most operations could do nothing.
    player.step(&Step { node: 0, action: Action::Login { user: 0, replaces: None }, faults: BTreeMap::new() }).await?;
    for (number, step) in schedule.steps.iter().enumerate() {
        player.step(step).await.map_err(|problem| format!("step {number}: {problem}"))?;
    }
    Ok(player.answers)
}

struct Player {
    world: World,
    model: Model,
    profile: Profile,
    held: Holders,
    waits: Waits,
    /// The faults of the current step.
    plan: Plan,
    /// Logins that have read their user, and whose password is not hashed yet.
    read: Vec<(usize, User, Timestamp)>,
    passwords: Vec<u32>,
    latest: Timestamp,
    answers: Answers,
}

impl Player {
    async fn new(factory: &dyn StoreFactory, schedule: &Schedule, profile: Profile) -> Self {
        let world = World::open(factory, schedule.settings, schedule.nodes, PEOPLE).await;
        let model = Model::new(schedule.settings, PEOPLE, schedule.nodes);
        let latest = world.now();
        let passwords = vec![0; PEOPLE];
        Self {
            world,
            model,
            profile,
            held: Holders::default(),
            waits: Waits::default(),
            plan: Plan::new(),
            read: Vec::new(),
            passwords,
            latest,
            answers: Answers::new(),
        }
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        self.world.control.deliver_late().await;
        if self.world.settings.limit != Limit::Ample {
            // If two sessions are used in the same millisecond, it is unclear which one was used
            // longest ago.
            self.world.clock.advance(Duration::from_millis(1));
        }
        let node = step.node % self.world.nodes.len();
        self.plan.clone_from(&step.faults);
        self.world.control.begin(step.faults.clone());
        self.act(node, &step.action).await?;
        self.latest = self.latest.max(self.world.now());
        self.model.look_at_the_clock(self.latest);
        Ok(())
    }

    async fn act(&mut self, node: usize, action: &Action) -> Result<(), String> {
        match *action {
            Action::Login { user, replaces } => {
                let Some(read) = self.world.user(user).await else { return Ok(()) };
                let replaces = replaces.and_then(|pick| self.held.refresh(pick));
                self.login(node, user, read, replaces).await
            }
            Action::ReadUser { user } => {
                let now = self.world.now();
                self.read.extend(self.world.user(user).await.map(|read| (user, read, now)));
                Ok(())
            }
            Action::LoginFromBefore => match self.read.pop() {
                Some((user, read, at)) if self.latest.max(self.world.now()).since(at) <= LONGEST_LOGIN => {
                    self.login(node, user, read, None).await
                }
                _ => Ok(()),
            },
            Action::Refresh { token, forgery } => self.refresh(node, token, forgery).await,
            Action::Use { token } => self.use_access(node, token).await.map(|_| ()),
            Action::Logout { token, forgery, also_access } => {
                let access = self.held.access(token).filter(|_| also_access);
                self.logout(node, self.held.refresh(token), forgery, access).await
            }
            Action::LogoutByAccess { token } => self.logout(node, None, None, self.held.access(token)).await,
            Action::LogoutAll { user } => self.logout_all(node, user).await,
            Action::EndSession { session } => self.end_session(node, session).await,
            Action::ChangePassword { token, right } => self.change_password(node, token, right).await,
            Action::LogIn { user } => self.log_in(node, user).await,
            Action::Disable { user } => self.admin(&Op::Disable { user }, user, Some(true)).await,
            Action::Enable { user } => self.admin(&Op::Enable { user }, user, Some(false)).await,
            Action::Delete { user } => self.admin(&Op::Delete { user }, user, None).await,
            Action::Poll => self.poll(node).await,
            Action::Restart => self.restart(node).await,
            Action::Wait { millis } => {
                self.world.clock.advance(Duration::from_millis(millis));
                Ok(())
            }
            Action::WaitFor { edge, session, millis } => {
                self.wait_for(edge, session, millis);
                Ok(())
            }
            Action::StepBack { millis } => {
                self.step_back(Duration::from_millis(millis));
                Ok(())
            }
            Action::Sweep => {
                self.world.stores.admin.sweep(self.world.now()).await;
                Ok(())
            }
            Action::List { user } => self.list(node, user).await,
        }
    }

    fn wait_for(&self, edge: Edge, session: usize, millis: i64) {
        let Some(moment) = self.held.edge(edge, session, &self.world.settings) else { return };
        let moment = Timestamp::from_millis(moment.as_millis().saturating_add(millis));
        if moment > self.world.now() {
            self.world.clock.set(moment);
        }
    }

    fn step_back(&self, by: Duration) {
        if self.world.settings.limit != Limit::Ample {
            return;
        }
        let least = if self.profile.wild_clock { Timestamp::EPOCH } else { self.latest.minus(LONGEST_STEP_BACK) };
        self.world.clock.set(self.world.now().minus(by).max(least));
    }
}
