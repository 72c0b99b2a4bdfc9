//! Databases: whether a login's lookup or a refresh costs more where there are more users.
//!
//! What varies is the number of users, each with one session: 10,000, and a million or
//! `PORTCULLIS_BENCH_USERS`. Both are found by an index, so a ratio above 1 is a level more of a
//! tree and less of it in caches. SQLite is a file of the directory for temporary files;
//! PostgreSQL, where the packages of the system have it, a server of its own without `fsync`.

#[allow(dead_code, clippy::duration_suboptimal_units, reason = "the tests use the rest of it")]
#[path = "../../tests/support/postgres_server.rs"]
mod postgres_server;
#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/temp_dir.rs"]
mod temp_dir;

use std::{env, hint::black_box, time::Duration};

use portcullis::{
    clock::Timestamp,
    session::{RotateOutcome, Rotation, SessionId, TokenId},
    store::{
        SessionStore, UserStore,
        sql::{PostgresStore, SqliteStore},
    },
    user::{Login, User, UserId},
};
use portcullis_benches::{
    cases::{Case, Run, chunked, compare, criterion, is_trial},
    rng::Dice,
    setup::now,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tokio::runtime::Runtime;

/// A store of so many users.
struct Filled<S> {
    store: S,
    generations: Vec<u64>,
}

impl<S: UserStore<User = User> + SessionStore> Filled<S> {
    fn new(store: S, users: usize) -> Self {
        Self { store, generations: vec![0; users] }
    }

    fn login(&self, runtime: &Runtime) -> impl Run {
        let mut dice = Dice::new(1);
        let users = self.generations.len();
        chunked(
            64,
            move || Login::email(&format!("user{}@example.com", dice.below(users) + 1)),
            |login| {
                let found = runtime.block_on(self.store.find_by_login(&login)).expect("the store is there");
                assert!(black_box(found).is_some());
            },
        )
    }

    /// The two calls of a refresh.
    fn refresh(&mut self, runtime: &Runtime) -> impl Run {
        let mut dice = Dice::new(2);
        let Self { store, generations } = self;
        chunked(
            64,
            move || {
                let one = dice.below(generations.len());
                let generation = generations[one];
                generations[one] += 1;
                rotation(one + 1, generation)
            },
            |rotation| {
                let refresh = async {
                    let user = store.find_by_id(&rotation.user_id).await.expect("the store is there");
                    (user, store.rotate(&rotation).await.expect("the store is there"))
                };
                let (user, outcome) = runtime.block_on(refresh);
                assert!(user.is_some() && matches!(black_box(outcome), RotateOutcome::Rotated(_)));
            },
        )
    }
}

/// As the statements below write it.
fn session_id(number: usize) -> SessionId {
    SessionId::from_bytes(format!("{number:016}").into_bytes().try_into().expect("16 digits"))
}

fn token_id(number: usize, generation: u64) -> TokenId {
    let first = *session_id(number).as_bytes();
    TokenId::from_bytes(if generation == 0 {
        first
    } else {
        (u128::from(generation) << 64 | number as u128).to_be_bytes()
    })
}

fn rotation(number: usize, generation: u64) -> Rotation {
    Rotation {
        user_id: UserId::from(number.to_string()),
        session_id: session_id(number),
        generation,
        token_id: token_id(number, generation),
        token_version: 0,
        next_token_id: token_id(number, generation + 1),
        now: now(),
        grace: Duration::from_secs(10),
        idle: Duration::from_hours(24),
        tombstone: Duration::from_mins(16),
    }
}

/// The statements that fill either engine; `text` and `number` say how it turns a number into
/// bytes.
fn fill(numbers: &str, always: &str, text: &str, sixteen: &str) -> [String; 2] {
    let (now, later) = (now().as_millis(), Timestamp::from_millis(now().as_millis()).plus(Duration::from_hours(240)));
    let later = later.as_millis();
    [
        format!(
            "INSERT INTO portcullis_users (id, email, email_key, username, username_key, roles, password_hash, \
             token_version, disabled, created_at) {always} {numbers} SELECT n, 'user' || n || '@example.com', \
             'user' || n || '@example.com', 'user' || n, 'user' || n, '[]', \
             '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', \
             0, FALSE, {now} FROM numbers"
        ),
        format!(
            "INSERT INTO portcullis_sessions (user_id, id, token_version, generation, token_id, auth_time, created_at, \
             rotated_at, expires_at, absolute_expires_at, user_agent, ip, delete_at) {numbers} \
             SELECT {text}, {sixteen}, 0, 0, {sixteen}, {now}, {now}, {now}, {later}, {later}, \
             'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0', '203.0.113.7', \
             {later} FROM numbers"
        ),
    ]
}

async fn sqlite(directory: &temp_dir::TempDir, users: usize) -> SqliteStore {
    let path = directory.path().join(format!("{users}.db"));
    let store = SqliteStore::open(&path).await.expect("the file opens");
    let mut filling = SqliteConnection::connect(path.to_str().expect("it is UTF-8")).await.expect("the file opens");
    let numbers =
        format!("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {users})");
    for statement in fill(&numbers, "", "CAST(CAST(n AS TEXT) AS BLOB)", "CAST(printf('%016d', n) AS BLOB)") {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut filling).await.expect("it is filled");
    }
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut filling).await.expect("it is written");
    store
}

async fn postgres(server: &postgres_server::Server, users: usize) -> PostgresStore {
    let url = server.url(&server.database().await);
    let store = PostgresStore::connect(&url).await.expect("the server is there");
    let mut filling = PgConnection::connect(&url).await.expect("the server is there");
    let numbers = format!("WITH numbers AS (SELECT n FROM generate_series(1, {users}) n)");
    let text = "convert_to(n::text, 'UTF8')";
    let sixteen = "convert_to(lpad(n::text, 16, '0'), 'UTF8')";
    for statement in fill(&numbers, "OVERRIDING SYSTEM VALUE", text, sixteen) {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut filling).await.expect("it is filled");
    }
    sqlx::query("VACUUM ANALYZE").execute(&mut filling).await.expect("it is counted");
    sqlx::query("CHECKPOINT").execute(&mut filling).await.expect("it is written");
    store
}

fn table<S: UserStore<User = User> + SessionStore>(engine: &str, runtime: &Runtime, stores: [S; 2], sizes: [usize; 2]) {
    let [few, many] = stores;
    let (mut few, mut many) = (Filled::new(few, sizes[0]), Filled::new(many, sizes[1]));
    let [fewer, more] = sizes.map(|size| format!("{size} users"));
    let criterion = &mut criterion();
    let cases = vec![Case::new(&fewer, few.login(runtime)), Case::new(&more, many.login(runtime)).within(1.3, &fewer)];
    compare(criterion, &format!("stores/{engine}, lookup of a login"), cases);
    let cases =
        vec![Case::new(&fewer, few.refresh(runtime)), Case::new(&more, many.refresh(runtime)).within(1.3, &fewer)];
    compare(criterion, &format!("stores/{engine}, refresh"), cases);
    criterion.final_summary();
}

fn main() {
    let wanted = env::var("PORTCULLIS_BENCH_USERS").ok().and_then(|users| users.parse().ok());
    let sizes = if is_trial() { [50, 100] } else { [10_000, wanted.unwrap_or(1_000_000)] };
    let runtime = Runtime::new().expect("a runtime starts");
    let directory = temp_dir::TempDir::new();
    let stores = sizes.map(|users| runtime.block_on(sqlite(&directory, users)));
    table("SQLite", &runtime, stores, sizes);
    if postgres_server::Server::is_installed() && !is_trial() {
        let server = runtime.block_on(postgres_server::Server::start());
        let stores = sizes.map(|users| runtime.block_on(postgres(&server, users)));
        table("PostgreSQL", &runtime, stores, sizes);
    }
}
