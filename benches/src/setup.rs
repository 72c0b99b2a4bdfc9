//! Ready-made `Auth`s, and stores that are full.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use portcullis::{
    Auth, AuthBuilder, Profile, Secret, User,
    auth::{Check, ClientInfo, TokenPair},
    clock::{Clock, SystemClock, Timestamp},
    session::{AuthLevel, AuthMethods, EndReason, Ended, Rotation, Session, SessionId, TokenId},
    store::{
        EndAll, NewSession, SessionLimit, SessionStore, UserStore,
        memory::{MemorySessions, MemoryStore},
    },
    user::{Email, NewUser, PasswordHash, UserId},
};

use crate::rng::Dice;

/// The `iss` and `aud` of all tokens here.
pub const ISSUER: &str = "https://example.com";
/// The key of access tokens.
pub const ACCESS_SECRET: &str = "Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe";
/// The key of refresh tokens.
pub const REFRESH_SECRET: &str = "Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs";

/// What a browser calls itself: 110 bytes, as most do.
pub const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Ed/1.0.0";

const DAY: Duration = Duration::from_hours(24);

/// What the memory store answers, which never waits.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the memory store never waits")
}

/// The present moment.
pub fn now() -> Timestamp {
    SystemClock.now()
}

/// All settings that are required, over this store.
pub fn builder(store: &MemoryStore) -> AuthBuilder<User> {
    Auth::builder(store.clone(), store.clone())
        .issuer(ISSUER)
        .access_secret(ACCESS_SECRET)
        .refresh_secret(REFRESH_SECRET)
}

/// An `Auth` over this store.
pub fn auth(store: &MemoryStore) -> Auth<User> {
    builder(store).build().expect("the settings are good")
}

/// Authenticates a valid token. The first one waits for the revocations.
pub fn start(auth: &Auth<User>, access_token: &str) {
    at_once(auth.authenticate(access_token, Check::Stateless)).expect("it is a good token");
}

/// A device like any other.
pub fn client() -> ClientInfo {
    let mut client = ClientInfo::unknown();
    client.user_agent = Some(USER_AGENT.to_owned());
    client.ip = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    client
}

/// Adds a user without a known password.
pub fn add_user(store: &MemoryStore) -> User {
    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let email = format!("user{}@example.com", store.users().len());
    let email = email.parse::<Email>().expect("it is an address");
    let new = NewUser::new(email, None, PasswordHash::new(HASH), Profile::default(), now());
    at_once(store.users().create(new)).expect("there is room")
}

/// Starts a session and returns its tokens.
pub fn session_of(auth: &Auth<User>, user: &User) -> TokenPair {
    let outcome = at_once(auth.start_session(user, &client())).expect("there is room");
    outcome.into_logged_in().expect("nothing is missing").tokens
}

/// Access tokens of different users, with these roles.
pub fn access_tokens(store: &MemoryStore, auth: &Auth<User>, count: usize, roles: &[&str]) -> Vec<String> {
    let tokens = (0..count).map(|_| {
        let mut user = add_user(store);
        user.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        session_of(auth, &user).access_token.expose().clone()
    });
    tokens.collect()
}

/// A session as it is after a login.
pub fn session(user_id: UserId, number: usize) -> Session {
    let now = now();
    Session {
        id: session_id(number),
        user_id,
        token_version: 0,
        generation: 0,
        token_id: token_id(number, 0),
        previous_token_id: None,
        auth_time: now,
        amr: AuthMethods::PASSWORD,
        acr: AuthLevel::Aal1,
        restamped_generation: None,
        created_at: now,
        rotated_at: now,
        expires_at: now.plus(DAY * 7),
        absolute_expires_at: now.plus(DAY * 30),
        ended: None,
        user_agent: Some(USER_AGENT.into()),
        ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
    }
}

/// How a session ends whose tombstone may be swept at once.
pub fn ended_for_good() -> Ended {
    Ended { at: now(), reason: EndReason::Logout, keep_until: Timestamp::EPOCH }
}

/// How a session ends whose tombstone is needed for as long as a token lives.
pub fn ended() -> Ended {
    let now = now();
    Ended { at: now, reason: EndReason::Logout, keep_until: now.plus(DAY) }
}

fn session_id(number: usize) -> SessionId {
    SessionId::from_bytes(bytes(number as u64, 0))
}

fn token_id(number: usize, generation: u64) -> TokenId {
    TokenId::from_bytes(bytes(number as u64, generation + 1))
}

fn bytes(high: u64, low: u64) -> [u8; 16] {
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}

/// Adds a session to a store.
pub fn add_session(sessions: &MemorySessions, session: Session) {
    let new = NewSession::new(session, SessionLimit::EndLeastRecentlyUsed(100), DAY);
    at_once(sessions.create(new)).expect("there is room");
}

/// Ends a session for each number, and all sessions of a user. The users have no other use here.
pub fn end_others(sessions: &MemorySessions, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let gone = session(UserId::from(format!("gone-{number}")), usize::MAX - number);
        let (user, id) = (gone.user_id.clone(), gone.id);
        add_session(sessions, gone);
        at_once(sessions.end(&user, &id, ended())).expect("the memory store is there");
        let banned = EndAll::new(UserId::from(format!("banned-{number}")), 1, ended());
        at_once(sessions.end_all(&banned)).expect("the memory store is there");
    }
}

/// A store with many users who have one session each.
///
/// Most sessions were written to the store as a login writes them. Some users, spread among the
/// others, have really logged in, because only `Auth` makes tokens.
#[derive(Debug)]
pub struct Full {
    /// How many users and sessions there are.
    pub size: usize,
    /// The store.
    pub store: MemoryStore,
    /// An `Auth` over it.
    pub auth: Auth<User>,
    /// Who has logged in.
    pub logged_in: Vec<LoggedIn>,
    /// The other sessions.
    pub sessions: Vec<Known>,
}

/// A user who has logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who.
    pub user: User,
    /// Their current refresh token.
    pub refresh_token: Secret<String>,
    /// Their access token.
    pub access_token: Secret<String>,
}

/// A session with all its ids and tokens.
#[derive(Debug)]
pub struct Known {
    user: String,
    number: usize,
    /// Of its next rotation; shared, so that several measurements can take turns.
    generation: AtomicU64,
}

impl Full {
    /// Largest number of users who log in: too many to fit into the caches with their sessions.
    const SIGNED_IN: usize = 10_000;

    /// Fills a store.
    pub fn new(size: usize) -> Self {
        let store = MemoryStore::new();
        let auth = auth(&store);
        let every = (size / Self::SIGNED_IN).max(2);
        let mut full = Self { size, store, auth, logged_in: Vec::new(), sessions: Vec::new() };
        for number in 0..size {
            let user = add_user(&full.store);
            if number % every == 0 {
                let tokens = session_of(&full.auth, &user);
                let (refresh_token, access_token) = (tokens.refresh_token, tokens.access_token);
                full.logged_in.push(LoggedIn { user, refresh_token, access_token });
            } else {
                add_session(full.store.sessions(), session(user.id.clone(), number));
                full.sessions.push(Known { user: user.id.as_str().to_owned(), number, generation: AtomicU64::new(0) });
            }
        }
        // In the order of the memory they lie in, the processor would guess the next one.
        let mut shuffled: Vec<Option<LoggedIn>> = full.logged_in.drain(..).map(Some).collect();
        for number in Dice::new(7).permutation(shuffled.len()) {
            full.logged_in.extend(shuffled.get_mut(number).and_then(Option::take));
        }
        full
    }
}

impl Known {
    /// Its user, as read from a token that has just come in.
    pub fn user(&self) -> UserId {
        UserId::from(self.user.as_str())
    }

    /// Its id.
    pub fn id(&self) -> SessionId {
        session_id(self.number)
    }

    /// The session as it was at first, for a store that no longer has it.
    pub fn renewed(&self) -> Session {
        self.generation.store(0, Ordering::Relaxed);
        session(self.user(), self.number)
    }

    /// What its current refresh token asks for; after that it is the next one's turn.
    pub fn rotation(&self, now: Timestamp) -> Rotation {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        Rotation {
            user_id: self.user(),
            session_id: self.id(),
            generation,
            token_id: token_id(self.number, generation),
            token_version: 0,
            next_token_id: token_id(self.number, generation + 1),
            now,
            grace: Duration::from_secs(10),
            idle: DAY * 7,
            tombstone: DAY,
        }
    }
}
