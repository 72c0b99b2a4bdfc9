//! The world of one schedule: a database, a clock, users, and nodes that share all three.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use portcullis::{
    Auth, Profile, Registration, User,
    auth::ClientInfo,
    clock::{Clock, ManualClock, Timestamp},
    store::{SessionStore, UserStore, memory::MemoryStore},
    user::{AuthUser, Email, NewUser, PasswordHash, UserId},
};

use crate::{
    StoreFactory, Stores,
    faulty::{Control, WatchedSessions, WatchedUsers},
    settings::Settings,
};

/// The moment at which every schedule begins. It is not a whole second, because tokens round to
/// seconds and records do not.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_322_845_678);

/// The stores as nodes use them, behind a [`Control`].
#[derive(Clone)]
pub(crate) struct Wrapped {
    pub(crate) users: Arc<dyn UserStore<User = User>>,
    pub(crate) sessions: Arc<dyn SessionStore>,
}

/// Everything that a schedule works on.
pub struct World {
    pub settings: Settings,
    pub clock: ManualClock,
    pub control: Control,
    pub nodes: Vec<Auth<User>>,
    /// The users, by their number in the schedule.
    pub people: Vec<Person>,
    /// The stores themselves, without counting or failing.
    pub stores: Stores,
    wrapped: Vec<Wrapped>,
}

/// A user of a schedule.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: UserId,
    pub email: String,
}

impl World {
    /// Opens empty stores of the factory, with `people` users and `nodes` nodes.
    pub async fn open(factory: &dyn StoreFactory, settings: Settings, nodes: usize, people: usize) -> Self {
        let control = Control::default();
        let stores = factory.open(&control).await;
        let wrapped: Vec<_> = (0..nodes).map(|node| wrapped(factory, &stores, &control, node)).collect();
        let clock = ManualClock::new(START);
        let nodes: Vec<_> = wrapped.iter().map(|stores| settings.node(stores, &clock)).collect();
        for node in &nodes {
            node.ready().await.expect("the store works");
        }
        let mut world = Self { settings, clock, control, nodes, people: Vec::new(), stores, wrapped };
        for _ in 0..people {
            world.add_person().await;
        }
        world
    }

    async fn add_person(&mut self) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // A factory may open the same database again, in another process too.
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let email = format!("p{}-{started}@properties.example", NEXT.fetch_add(1, Ordering::Relaxed));
        let parsed = email.parse::<Email>().expect("an address");
        let new = NewUser::new(parsed, None, first_password_hash().await, Profile::default(), START);
        let user = self.stores.users.create(new).await.expect("the store takes a user");
        self.people.push(Person { id: user.id(), email });
    }

    /// Returns whether a node hashes a password or is about to.
    pub(crate) fn hashes(&self) -> bool {
        self.nodes.iter().map(Auth::hash_stats).any(|stats| stats.running > 0 || stats.waiting > 0)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the user as the store has them, without faults and waits.
    ///
    /// # Panics
    /// Panics where the store fails by itself.
    pub async fn user(&self, number: usize) -> Option<User> {
        self.stores.users.find_by_id(&self.people[number].id).await.expect("the store beneath works")
    }

    /// Starts a new node in the place of an old one. Nothing of the old one's memory is left.
    ///
    /// # Panics
    /// Panics where the store fails by itself.
    pub async fn restart(&mut self, node: usize) {
        self.nodes[node] = self.settings.node(&self.wrapped[node], &self.clock);
        self.nodes[node].ready().await.expect("the store works");
    }
}

fn wrapped(factory: &dyn StoreFactory, stores: &Stores, control: &Control, node: usize) -> Wrapped {
    let users = WatchedUsers { inner: Arc::clone(&stores.users), control: control.clone(), node };
    let sessions = WatchedSessions { inner: Arc::clone(&stores.sessions), control: control.clone(), node };
    Wrapped { users: Arc::new(users), sessions: factory.outermost(Arc::new(sessions)) }
}

/// Returns the password of a user after this many changes.
pub(crate) fn password(number: u32) -> String {
    format!("correct horse battery staple {number}")
}

/// Returns the hash of the first password. It is made once, because a hash costs as much as a
/// hundred operations.
async fn first_password_hash() -> PasswordHash {
    static HASH: OnceLock<String> = OnceLock::new();
    if HASH.get().is_none() {
        let store = MemoryStore::new();
        let wrapped = Wrapped { users: Arc::new(store.clone()), sessions: Arc::new(store) };
        let auth = Settings::with_grace(std::time::Duration::ZERO).node(&wrapped, &ManualClock::new(START));
        let registration = Registration::new("first@properties.example", password(0), Profile::default());
        let user = auth.register(registration, &ClientInfo::unknown()).await.expect("a registration");
        // Another thread may have been faster. Every hash works.
        let _ = HASH.set(user.password_hash().expect("a hash").to_owned());
    }
    PasswordHash::new(HASH.get().expect("the hash was just set"))
}
