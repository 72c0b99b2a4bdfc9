//! Runs schedules, and records what happened.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use portcullis::{
    Auth, Claims, Error, User,
    auth::{Check, ClientInfo, LoggedIn, LoginOutcome, Presented},
    user::AuthUser,
};
use tokio::sync::Barrier;

use super::{Overlap, OverlapAction, OverlapProfile, Race, Round};
use crate::{
    StoreFactory,
    faulty::{BoxFuture, Fault, ON_CALL, Plan},
    history::{Outcome, Recorder, What},
    holders::Holders,
    interleave::{Operation, interleave},
    model::Seen,
    schedule::{PEOPLE, Pick},
    token::Pair,
    world::{World, password},
};

/// An operation that records itself.
type Noted = BoxFuture<Outcome>;

pub(super) struct Player {
    world: World,
    recorder: Recorder,
    held: Holders,
    /// The number of each node. A node that was started again gets a new number.
    names: Vec<usize>,
    passwords: Vec<u32>,
}

/// Checks one race, one store call after the other.
pub(super) async fn race(factory: &dyn StoreFactory, race: &Race) -> Result<(), String> {
    let (player, operations) = Player::racing(factory, race).await;
    interleave(&player.world, &race.order, operations).await?;
    player.end_of(race)
}

/// Checks one race of clients that all begin at the same time.
pub(super) async fn race_on_threads(factory: &dyn StoreFactory, race: &Race) -> Result<(), String> {
    let (player, operations) = Player::racing(factory, race).await;
    let start = Arc::new(Barrier::new(operations.len()));
    let clients = operations.into_iter().map(|operation| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            operation.future.await;
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.map_err(|error| format!("a client panicked: {error}"))?;
    }
    player.end_of(race)
}

impl Player {
    pub(super) async fn new(factory: &dyn StoreFactory, overlap: &Overlap) -> Self {
        Self::over(World::open(factory, overlap.settings, overlap.nodes, PEOPLE).await)
    }

    fn over(world: World) -> Self {
        let names = (0..world.nodes.len()).collect();
        Self { world, recorder: Recorder::default(), held: Holders::default(), names, passwords: vec![0; PEOPLE] }
    }

    /// Gives every client the same token, and makes the refresh of each.
    async fn racing(factory: &dyn StoreFactory, race: &Race) -> (Self, Vec<Operation>) {
        let nodes = race.clients.iter().max().map_or(1, |most| most + 1);
        let mut player = Self::over(World::open(factory, race.settings, nodes, PEOPLE).await);
        player.login(0, 0).await;
        let mut operations = Vec::new();
        for node in &race.clients {
            operations
                .extend(player.action(*node, OverlapAction::Refresh { token: Pick { session: 0, age: 0 } }).await);
        }
        (player, operations)
    }

    fn end_of(&self, race: &Race) -> Result<(), String> {
        let history = self.recorder.history(race.settings, false);
        history.check()?;
        history.of_one_race(0)
    }

    pub(super) async fn play(mut self, overlap: &Overlap, profile: OverlapProfile) -> Result<(), String> {
        for user in &overlap.logins {
            self.login(0, *user).await;
        }
        for round in &overlap.rounds {
            self.round(round).await?;
        }
        self.try_every_token().await;
        self.recorder.history(overlap.settings, profile.faults).check()
    }

    async fn round(&mut self, round: &Round) -> Result<(), String> {
        let mut operations = Vec::new();
        let mut changes = BTreeMap::new();
        for (node, action) in &round.actions {
            let node = node % self.world.nodes.len();
            if let OverlapAction::ChangePassword { session } = action {
                let Some(held) = self.held.session(*session) else { continue };
                let (user, sid) = (held.user, held.sid.clone());
                // If two changes ran at the same time, the model could not know which password came
                // last.
                if changes.contains_key(&user) {
                    continue;
                }
                let Some(claims) = self.claims(node, *session).await else { continue };
                changes.insert(user, self.stored_hash(user).await);
                operations.push(self.change_password(node, user, sid, claims));
            } else {
                operations.extend(self.action(node, *action).await);
            }
        }
        let first = self.recorder.len();
        self.world.control.begin(round.faults.clone());
        let killed = interleave(&self.world, &round.order, operations).await?;
        self.world.control.begin(Plan::new());
        self.world.control.deliver_late().await;
        if round.faults.values().any(|fault| *fault == Fault::Late) {
            self.recorder.land(first, self.world.now());
        }
        if let Some(node) = killed.filter(|node| *node < self.world.nodes.len()) {
            self.restart(node).await;
        }
        for (user, hash) in changes {
            self.passwords[user] += u32::from(self.stored_hash(user).await != hash);
        }
        self.receive();
        self.world.clock.advance(Duration::from_millis(round.pause));
        Ok(())
    }

    /// Presents every token of every session on every node, within the grace and after it.
    async fn try_every_token(&mut self) {
        self.use_all().await;
        self.refresh_all(0).await;
        self.world.clock.advance(self.world.settings.grace + Duration::from_millis(1));
        self.refresh_all(1).await;
        self.refresh_all(0).await;
        self.use_all().await;
    }

    async fn use_all(&mut self) {
        for node in 0..self.world.nodes.len() {
            self.alone(node, OverlapAction::Poll).await;
            for session in 0..self.held.all().len() {
                for age in 0..self.held.all()[session].access_tokens().len() {
                    self.alone(node, OverlapAction::Use { token: Pick { session, age } }).await;
                }
            }
        }
    }

    async fn refresh_all(&mut self, age: usize) {
        for session in 0..self.held.all().len() {
            let node = session % self.world.nodes.len();
            self.alone(node, OverlapAction::Refresh { token: Pick { session, age } }).await;
        }
    }

    async fn alone(&mut self, node: usize, action: OverlapAction) {
        if let Some(operation) = self.action(node, action).await {
            operation.future.await;
            self.receive();
        }
    }

    async fn login(&mut self, node: usize, user: usize) {
        self.alone(node, OverlapAction::Login { user }).await;
    }

    async fn action(&self, node: usize, action: OverlapAction) -> Option<Operation> {
        let auth = self.world.nodes[node].clone();
        Some(match action {
            OverlapAction::Login { user } => {
                let read = self.world.user(user).await?;
                let what = What::Login { user };
                self.operation(
                    node,
                    what,
                    async move { login(auth.start_session(&read, &ClientInfo::unknown()).await) },
                )
            }
            OverlapAction::Refresh { token } => {
                let token = self.held.refresh(token)?;
                let text = token.text.clone();
                self.operation(node, What::Refresh { token }, async move {
                    logged_in(auth.refresh(&text, &ClientInfo::unknown()).await)
                })
            }
            OverlapAction::Use { token } => {
                let token = self.held.access(token)?;
                let what = What::Use { sid: token.sid, version: token.version, expires: token.expires };
                self.operation(node, what, async move {
                    done(auth.authenticate(&token.text, Check::Stateless).await.map(|_| ()))
                })
            }
            OverlapAction::Logout { session } => {
                let token = self.held.session(session)?.newest().clone();
                let what = What::Logout { sid: token.sid.clone() };
                self.operation(node, what, async move {
                    done(auth.logout(&Presented::refresh(&token.text), &ClientInfo::unknown()).await)
                })
            }
            OverlapAction::LogoutAll { user } => {
                let id = self.world.people[user].id.clone();
                self.operation(node, What::LogoutAll { user }, async move {
                    done(auth.end_sessions_of(&id, &ClientInfo::unknown()).await)
                })
            }
            OverlapAction::Disable { user } => {
                let (admin, id) = (self.world.stores.admin.clone(), self.world.people[user].id.clone());
                self.operation(node, What::Disable { user }, async move {
                    admin.set_disabled(&id, true).await;
                    Outcome::Done
                })
            }
            OverlapAction::Poll => self.operation(node, What::Poll, async move { done(auth.poll_revocations().await) }),
            OverlapAction::ChangePassword { .. } => return None,
        })
    }

    fn change_password(&self, node: usize, user: usize, sid: String, claims: Claims) -> Operation {
        let auth = self.world.nodes[node].clone();
        let (current, new) = (password(self.passwords[user]), password(self.passwords[user] + 1));
        let what = What::ChangePassword { user, sid };
        self.operation(node, what, async move {
            logged_in(auth.change_password(&claims, current.into(), new.into(), &ClientInfo::unknown()).await)
        })
    }

    /// Returns the claims that a guard would put into the request, if it accepts the session's
    /// newest access token.
    async fn claims(&self, node: usize, session: usize) -> Option<Claims> {
        let token = self.held.session(session)?.newest_access().clone();
        let auth: &Auth<User> = &self.world.nodes[node];
        auth.authenticate(&token.text, Check::Stateless).await.ok().map(|passed| passed.claims)
    }

    async fn stored_hash(&self, user: usize) -> Option<String> {
        self.world.user(user).await?.password_hash().map(str::to_owned)
    }

    /// Makes an operation that records its beginning and its end.
    fn operation(&self, node: usize, what: What, work: impl Future<Output = Outcome> + Send + 'static) -> Operation {
        let (recorder, clock, name) = (self.recorder.clone(), self.world.clock.clone(), self.names[node]);
        let work: Noted = Box::pin(work);
        let future = Box::pin(async move {
            use portcullis::clock::Clock;
            let number = recorder.begin(name, what, clock.now());
            let (notes, time) = (recorder.clone(), clock.clone());
            let tell = Box::new(move || notes.act(number, time.now()));
            let outcome = ON_CALL.scope(tell, work).await;
            recorder.end(number, outcome, clock.now());
        });
        Operation { node, future }
    }

    /// Starts a new node in the place of the dead one. It reads the revocations before it serves.
    async fn restart(&mut self, node: usize) {
        self.world.restart(node).await;
        self.names[node] = self.names.iter().max().map_or(0, |most| most + 1);
        let now = self.world.now();
        let number = self.recorder.begin(self.names[node], What::Poll, now);
        self.recorder.end(number, Outcome::Done, now);
    }

    /// Adds the tokens that clients received.
    fn receive(&mut self) {
        for (user, pair) in self.recorder.received() {
            let user = user.unwrap_or_else(|| self.held.owner(&pair.refresh.sid));
            self.held.receive(user, &Seen::Pair(pair), self.world.now());
        }
    }
}

fn login(answer: Result<LoginOutcome<User>, Error>) -> Outcome {
    logged_in(answer.map(|outcome| outcome.into_logged_in().unwrap()))
}

fn logged_in(answer: Result<LoggedIn<User>, Error>) -> Outcome {
    match answer {
        Ok(logged_in) => Outcome::Pair(Pair::of(&logged_in.tokens)),
        Err(error) => Outcome::Refused(error.kind()),
    }
}

fn done(answer: Result<(), Error>) -> Outcome {
    answer.map_or_else(|error| Outcome::Refused(error.kind()), |()| Outcome::Done)
}
