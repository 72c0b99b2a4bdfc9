//! Nodes whose clocks differ: decisions about a session use the clock that the nodes share.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use portcullis::{
    Auth, ErrorKind, User,
    auth::{Check, ClientInfo, Presented},
    clock::{Clock, ManualClock, Timestamp},
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
    store::{Created, EndAll, NewSession, SessionStore, StoreError, memory::MemoryStore},
    user::UserId,
};

use crate::fixture::{Pair, kind, register, start_session};
use crate::login::session_of;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn node(store: &MemoryStore, sessions: impl SessionStore, clock: &ManualClock) -> Auth<User> {
    crate::auth::builder(store.clone(), sessions).clock(clock.clone()).build().unwrap()
}

/// Two nodes over one store, with a clock each.
struct Apart {
    clocks: [ManualClock; 2],
    nodes: [Auth<User>; 2],
}

impl Apart {
    fn new(by: u64, is_second_behind: bool) -> Self {
        let store = MemoryStore::new();
        let other = if is_second_behind { NOW.minus(secs(by)) } else { NOW.plus(secs(by)) };
        let clocks = [NOW, other].map(ManualClock::new);
        let nodes = [0, 1].map(|n: usize| node(&store, store.clone(), &clocks[n]));
        Self { clocks, nodes }
    }

    fn advance(&self, by: Duration) {
        self.clocks.iter().for_each(|clock| clock.advance(by));
    }

    async fn pair(&self) -> Pair {
        let ada = register(&self.nodes[0], "ada").await;
        start_session(&self.nodes[0], &ada).await
    }
}

#[tokio::test]
async fn tabs_that_refresh_at_once_on_two_nodes_both_go_on() {
    for by in [1, 24, 59, 60] {
        for is_second_behind in [false, true] {
            for (first, second) in [(0, 1), (1, 0)] {
                let apart = Apart::new(by, is_second_behind);
                let pair = apart.pair().await;
                let won = Pair::from(apart.nodes[first].refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap());
                apart.advance(secs(10));
                let other = apart.nodes[second].refresh(&pair.refresh, &ClientInfo::unknown()).await;
                let other = Pair::from(other.unwrap_or_else(|error| panic!("{by} s apart: {error:?}")));
                assert_eq!(won.session, other.session);
                // Both tabs have the same next token.
                apart.nodes[first].refresh(&other.refresh, &ClientInfo::unknown()).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn the_grace_ends_at_the_same_time_on_every_node() {
    for by in [0, 24, 60] {
        for is_second_behind in [false, true] {
            for (first, second) in [(0, 1), (1, 0), (0, 0), (1, 1)] {
                let apart = Apart::new(by, is_second_behind);
                let pair = apart.pair().await;
                apart.nodes[first].refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
                apart.advance(Duration::from_millis(10_001));
                let refused = kind(apart.nodes[second].refresh(&pair.refresh, &ClientInfo::unknown()).await);
                assert_eq!(refused, Some(ErrorKind::RefreshReused), "{by} s apart, {first} then {second}");
            }
        }
    }
}

#[tokio::test]
async fn a_node_reads_what_ended_on_a_node_of_another_time() {
    for is_second_behind in [false, true] {
        let apart = Apart::new(60, is_second_behind);
        let (here, there) = (&apart.nodes[0], &apart.nodes[1]);
        let pair = apart.pair().await;
        there.authenticate(&pair.access, Check::Stateless).await.unwrap();
        for (one, other) in [(here, there), (there, here)] {
            let ada = here.authenticate(&pair.access, Check::User).await.unwrap().user.unwrap();
            let next = start_session(one, &ada).await;
            other.authenticate(&next.access, Check::Stateless).await.unwrap();
            one.logout(&Presented::refresh(&next.refresh), &ClientInfo::unknown()).await.unwrap();
            other.poll_revocations().await.unwrap();
            apart.advance(secs(300));
            let refused = kind(other.authenticate(&next.access, Check::Stateless).await);
            assert_eq!(refused, Some(ErrorKind::TokenRevoked));
        }
    }
}

/// The memory store, as if on a server with another clock.
#[derive(Clone)]
struct Server {
    memory: MemoryStore,
    clock: ManualClock,
    is_down: Arc<std::sync::atomic::AtomicBool>,
}

#[async_trait]
impl SessionStore for Server {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        SessionStore::create(&self.memory, new).await
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        self.memory.find(user, id, now).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        self.memory.rotate(rotation).await
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        self.memory.end(user, id, ended).await
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        self.memory.end_all(all).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.memory.list(user, now).await
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        self.memory.ended_since(since, now).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.is_down.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StoreError::unavailable("no answer"));
        }
        Ok(Some(self.clock.now()))
    }
}

#[tokio::test]
async fn sessions_are_written_by_the_clock_of_the_store() {
    let store = MemoryStore::new();
    let server = Server { memory: store.clone(), clock: ManualClock::new(NOW), is_down: Arc::default() };
    // A difference of a minute is corrected. A larger one is not.
    for (differs, written_at) in [(60, NOW), (61, NOW.plus(secs(61)))] {
        let clock = ManualClock::new(NOW.plus(secs(differs)));
        let auth = node(&store, server.clone(), &clock);
        let ada = register(&auth, &format!("ada{differs}")).await;
        let pair = session_of(&auth, &ada).await;
        assert_eq!(pair.issued_at, clock.now(), "tokens have the time of their node");
        assert_eq!(auth.sessions(&ada.id).await.unwrap()[0].created_at, written_at);
    }
}

#[tokio::test]
async fn clocks_are_compared_again_after_ten_minutes() {
    let store = MemoryStore::new();
    let server = Server { memory: store.clone(), clock: ManualClock::new(NOW), is_down: Arc::default() };
    server.is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let clock = ManualClock::new(NOW.plus(secs(30)));
    let auth = node(&store, server.clone(), &clock);
    let ada = register(&auth, "ada").await;
    let written_at = async || {
        let pair = start_session(&auth, &ada).await;
        let sessions = auth.sessions(&ada.id).await.unwrap();
        sessions.into_iter().find(|session| session.id == pair.session).unwrap().created_at
    };
    assert_eq!(written_at().await, NOW.plus(secs(30)), "a session does not wait for the clock");
    server.is_down.store(false, std::sync::atomic::Ordering::SeqCst);
    auth.poll_revocations().await.unwrap();
    assert_eq!(written_at().await, NOW);
    // Ten minutes later the clock of the node has gained some seconds.
    clock.advance(secs(605));
    server.clock.advance(secs(600));
    assert_eq!(written_at().await, NOW.plus(secs(605)));
    auth.poll_revocations().await.unwrap();
    assert_eq!(written_at().await, NOW.plus(secs(600)));
}
