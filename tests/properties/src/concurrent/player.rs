//! Plays storms, and writes down what happened.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use portcullis::{
    Auth, Claims, Error, User,
    auth::{Check, ClientInfo, LoggedIn, LoginOutcome, Presented},
    user::AuthUser,
};
use tokio::sync::Barrier;

use super::{Deed, Round, Rush, Storm, Weather};
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

/// An operation that writes itself down.
type Noted = BoxFuture<Outcome>;

pub(super) struct Player {
    world: World,
    recorder: Recorder,
    held: Holders,
    /// Which node is which: one that was started again is another.
    names: Vec<usize>,
    passwords: Vec<u32>,
}

/// Checks one rush, one store call after the other.
pub(super) async fn rush(factory: &dyn StoreFactory, rush: &Rush) -> Result<(), String> {
    let (player, operations) = Player::rushing(factory, rush).await;
    interleave(&player.world, &rush.order, operations).await?;
    player.end_of(rush)
}

/// Checks one rush of clients that all begin at once.
pub(super) async fn rush_on_threads(factory: &dyn StoreFactory, rush: &Rush) -> Result<(), String> {
    let (player, operations) = Player::rushing(factory, rush).await;
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
    player.end_of(rush)
}

impl Player {
    pub(super) async fn new(factory: &dyn StoreFactory, storm: &Storm) -> Self {
        Self::over(World::open(factory, storm.settings, storm.nodes, PEOPLE).await)
    }

    fn over(world: World) -> Self {
        let names = (0..world.nodes.len()).collect();
        Self { world, recorder: Recorder::default(), held: Holders::default(), names, passwords: vec![0; PEOPLE] }
    }

    /// Everybody has the one token and is about to refresh with it.
    async fn rushing(factory: &dyn StoreFactory, rush: &Rush) -> (Self, Vec<Operation>) {
        let nodes = rush.clients.iter().max().map_or(1, |most| most + 1);
        let mut player = Self::over(World::open(factory, rush.settings, nodes, PEOPLE).await);
        player.login(0, 0).await;
        let mut operations = Vec::new();
        for node in &rush.clients {
            operations.extend(player.deed(*node, Deed::Refresh { token: Pick { session: 0, age: 0 } }).await);
        }
        (player, operations)
    }

    fn end_of(&self, rush: &Rush) -> Result<(), String> {
        let history = self.recorder.history(rush.settings, false);
        history.check()?;
        history.of_one_rush(0)
    }

    pub(super) async fn play(mut self, storm: &Storm, weather: Weather) -> Result<(), String> {
        for user in &storm.logins {
            self.login(0, *user).await;
        }
        for round in &storm.rounds {
            self.round(round).await?;
        }
        self.aftermath().await;
        self.recorder.history(storm.settings, weather.faults).check()
    }

    async fn round(&mut self, round: &Round) -> Result<(), String> {
        let mut operations = Vec::new();
        let mut changes = BTreeMap::new();
        for (node, deed) in &round.deeds {
            let node = node % self.world.nodes.len();
            if let Deed::ChangePassword { session } = deed {
                let Some(held) = self.held.session(*session) else { continue };
                let (user, sid) = (held.user, held.sid.clone());
                // Of two at once nobody could tell which password came last.
                if changes.contains_key(&user) {
                    continue;
                }
                let Some(claims) = self.claims(node, *session).await else { continue };
                changes.insert(user, self.stored_hash(user).await);
                operations.push(self.change_password(node, user, sid, claims));
            } else {
                operations.extend(self.deed(node, *deed).await);
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

    /// Everybody tries what they have, everywhere, within the grace and after it.
    async fn aftermath(&mut self) {
        self.use_all().await;
        self.refresh_all(0).await;
        self.world.clock.advance(self.world.settings.grace + Duration::from_millis(1));
        self.refresh_all(1).await;
        self.refresh_all(0).await;
        self.use_all().await;
    }

    async fn use_all(&mut self) {
        for node in 0..self.world.nodes.len() {
            self.alone(node, Deed::Poll).await;
            for session in 0..self.held.all().len() {
                for age in 0..self.held.all()[session].access_tokens().len() {
                    self.alone(node, Deed::Use { token: Pick { session, age } }).await;
                }
            }
        }
    }

    async fn refresh_all(&mut self, age: usize) {
        for session in 0..self.held.all().len() {
            let node = session % self.world.nodes.len();
            self.alone(node, Deed::Refresh { token: Pick { session, age } }).await;
        }
    }

    async fn alone(&mut self, node: usize, deed: Deed) {
        if let Some(operation) = self.deed(node, deed).await {
            operation.future.await;
            self.receive();
        }
    }

    async fn login(&mut self, node: usize, user: usize) {
        self.alone(node, Deed::Login { user }).await;
    }

    async fn deed(&self, node: usize, deed: Deed) -> Option<Operation> {
        let auth = self.world.nodes[node].clone();
        Some(match deed {
            Deed::Login { user } => {
                let read = self.world.user(user).await?;
                let what = What::Login { user };
                self.operation(
                    node,
                    what,
                    async move { login(auth.start_session(&read, &ClientInfo::unknown()).await) },
                )
            }
            Deed::Refresh { token } => {
                let token = self.held.refresh(token)?;
                let text = token.text.clone();
                self.operation(node, What::Refresh { token }, async move {
                    logged_in(auth.refresh(&text, &ClientInfo::unknown()).await)
                })
            }
            Deed::Use { token } => {
                let token = self.held.access(token)?;
                let what = What::Use { sid: token.sid, version: token.version, expires: token.expires };
                self.operation(node, what, async move {
                    done(auth.authenticate(&token.text, Check::Stateless).await.map(|_| ()))
                })
            }
            Deed::Logout { session } => {
                let token = self.held.session(session)?.newest().clone();
                let what = What::Logout { sid: token.sid.clone() };
                self.operation(node, what, async move {
                    done(auth.logout(&Presented::refresh(&token.text), &ClientInfo::unknown()).await)
                })
            }
            Deed::LogoutAll { user } => {
                let id = self.world.people[user].id.clone();
                self.operation(node, What::LogoutAll { user }, async move {
                    done(auth.end_sessions_of(&id, &ClientInfo::unknown()).await)
                })
            }
            Deed::Disable { user } => {
                let (admin, id) = (self.world.stores.admin.clone(), self.world.people[user].id.clone());
                self.operation(node, What::Disable { user }, async move {
                    admin.set_disabled(&id, true).await;
                    Outcome::Done
                })
            }
            Deed::Poll => self.operation(node, What::Poll, async move { done(auth.poll_revocations().await) }),
            Deed::ChangePassword { .. } => return None,
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

    /// What a guard would put into the request, if it let the session's newest access token pass.
    async fn claims(&self, node: usize, session: usize) -> Option<Claims> {
        let token = self.held.session(session)?.newest_access().clone();
        let auth: &Auth<User> = &self.world.nodes[node];
        auth.authenticate(&token.text, Check::Stateless).await.ok().map(|passed| passed.claims)
    }

    async fn stored_hash(&self, user: usize) -> Option<String> {
        self.world.user(user).await?.password_hash().map(str::to_owned)
    }

    /// An operation that is written down when it begins and when it ends.
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

    /// A new node in the place of the dead one; it reads what has ended before it serves.
    async fn restart(&mut self, node: usize) {
        self.world.restart(node).await;
        self.names[node] = self.names.iter().max().map_or(0, |most| most + 1);
        let now = self.world.now();
        let number = self.recorder.begin(self.names[node], What::Poll, now);
        self.recorder.end(number, Outcome::Done, now);
    }

    /// Clients keep what they received.
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
