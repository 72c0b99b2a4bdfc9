//! Tests users in PostgreSQL or MongoDB with sessions in Redis. The flows work across both engines.
//! While either one is down, no user is logged out.

use std::{any::Any, sync::Arc, time::Duration};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis::{
    Auth, ErrorKind, Profile, Registration, User,
    auth::{Check, ClientInfo, TokenPair},
    clock::ManualClock,
    store::{
        StoreError, UserAdmin, UserStore,
        mongodb::MongoUsers,
        redis::{RedisOptions, RedisSessions},
        sql::PostgresStore,
    },
};
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::login::log_in;
use crate::{
    mongodb, postgres,
    proxy::{Mode, Proxy},
    redis::{
        self,
        samples::{NOW, builder},
    },
    required_servers::can_run,
};

const PASSWORD: &str = "open sesame 42";

/// Two engines, each behind a proxy that can cut the connection, and a node over them.
struct World {
    auth: Auth<User>,
    clock: ManualClock,
    users: Users,
    to_users: Proxy,
    to_sessions: Proxy,
    _engines: (Box<dyn Any + Send + Sync>, redis::Server),
}

/// The engine of the users.
enum Users {
    Postgres(PostgresStore),
    Mongo(MongoUsers),
}

impl Users {
    fn store(&self) -> Arc<dyn UserStore<User = User>> {
        match self {
            Self::Postgres(store) => Arc::new(store.clone()),
            Self::Mongo(users) => Arc::new(users.clone()),
        }
    }

    async fn set_disabled(&self, user: &User, disabled: bool) -> Result<bool, StoreError> {
        match self {
            Self::Postgres(store) => store.set_disabled(&user.id, disabled).await,
            Self::Mongo(users) => users.set_disabled(&user.id, disabled).await,
        }
    }
}

impl World {
    async fn postgres() -> Self {
        let server = postgres::Server::start().await;
        let proxy = Proxy::start(server.port).await;
        let url = format!("postgres://tests@{}/postgres", proxy.addr());
        let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(2)).connect(&url).await.unwrap();
        let users = PostgresStore::new(pool);
        users.migrate().await.unwrap();
        Self::over(Users::Postgres(users), proxy, Box::new(server)).await
    }

    async fn mongo() -> Self {
        let server = mongodb::server::Server::start_own().await;
        let proxy = Proxy::start(server.addr().port()).await;
        let users = mongodb::users_at(proxy.addr()).await;
        Self::over(Users::Mongo(users), proxy, Box::new(server)).await
    }

    async fn over(users: Users, to_users: Proxy, engine: Box<dyn Any + Send + Sync>) -> Self {
        let redis = redis::Server::start().await;
        let to_sessions = Proxy::start(redis.port()).await;
        let sessions = RedisSessions::connect(RedisOptions::from(redis::url_of(to_sessions.port()))).await.unwrap();
        let clock = ManualClock::new(NOW);
        let auth = builder(users.store(), sessions).clock(clock.clone()).build().unwrap();
        Self { auth, clock, users, to_users, to_sessions, _engines: (engine, redis) }
    }

    async fn login(&self, password: &str) -> TokenPair {
        log_in(&self.auth, "ada@example.com", password).await.unwrap().tokens
    }

    async fn refresh(&self, tokens: &TokenPair) -> Result<TokenPair, ErrorKind> {
        let answer = self.auth.refresh(tokens.refresh_token.expose(), &ClientInfo::unknown()).await;
        answer.map(|logged_in| logged_in.tokens).map_err(|error| error.kind())
    }

    async fn access(&self, tokens: &TokenPair) -> Option<ErrorKind> {
        self.auth.authenticate(tokens.access_token.expose(), Check::Stateless).await.err().map(|error| error.kind())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_in_postgres_work_with_sessions_in_redis() {
    if redis::Server::can_run() && can_run("PostgreSQL", postgres::Server::is_installed()) {
        both_work_together(World::postgres().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_in_mongodb_work_with_sessions_in_redis() {
    if redis::Server::can_run() && mongodb::server::Server::can_run() {
        both_work_together(World::mongo().await).await;
    }
}

async fn both_work_together(world: World) {
    let registration = Registration::new("ada@example.com", PASSWORD, Profile::default());
    let ada = world.auth.register(registration, &ClientInfo::unknown()).await.unwrap();
    every_flow_works(&world).await;
    // The next refresh of a disabled user ends the session.
    let tokens = world.login("close sesame 43").await;
    world.users.set_disabled(&ada, true).await.unwrap();
    assert_eq!(world.refresh(&tokens).await.err(), Some(ErrorKind::RefreshInvalid));
    world.users.set_disabled(&ada, false).await.unwrap();
    assert_eq!(world.refresh(&tokens).await.err(), Some(ErrorKind::RefreshInvalid));
    each_engine_may_be_down(&world).await;
}

async fn every_flow_works(world: &World) {
    let first = world.login(PASSWORD).await;
    let other = world.login(PASSWORD).await;
    let second = world.refresh(&first).await.unwrap();
    world.clock.advance(Duration::from_secs(11));
    assert_eq!(world.refresh(&first).await.err(), Some(ErrorKind::RefreshReused));
    assert_eq!(world.refresh(&second).await.err(), Some(ErrorKind::RefreshReused));
    assert_eq!(world.access(&second).await, Some(ErrorKind::TokenRevoked));

    let claims = world.auth.authenticate(other.access_token.expose(), Check::User).await.unwrap().claims;
    let third = world.login(PASSWORD).await;
    let new = "close sesame 43";
    let changed =
        world.auth.change_password(&claims, PASSWORD.into(), new.into(), &ClientInfo::unknown()).await.unwrap();
    assert_eq!(world.access(&third).await, Some(ErrorKind::TokenRevoked));
    assert_eq!(world.refresh(&third).await.err(), Some(ErrorKind::RefreshInvalid));
    let kept = world.refresh(&changed.tokens).await.unwrap();
    assert_eq!(kept.session_id, other.session_id);

    let more = world.login(new).await;
    assert_eq!(world.auth.sessions(&changed.user.id).await.unwrap().len(), 2);
    let claims = world.auth.authenticate(more.access_token.expose(), Check::User).await.unwrap().claims;
    world.auth.logout_all(&claims, &ClientInfo::unknown()).await.unwrap();
    for tokens in [&kept, &more] {
        assert_eq!(world.access(tokens).await, Some(ErrorKind::TokenRevoked));
        assert_eq!(world.refresh(tokens).await.err(), Some(ErrorKind::RefreshInvalid));
    }
    assert_eq!(world.auth.sessions(&changed.user.id).await.unwrap().len(), 0);
    let user = world.users.store().find_by_id(&changed.user.id).await.unwrap().unwrap();
    assert_eq!(user.token_version, 2, "a password change and a logout-all");
}

/// Checks the answers while one engine is down. The same tokens work when it is up again.
async fn each_engine_may_be_down(world: &World) {
    let mut tokens = world.login("close sesame 43").await;
    assert_eq!(world.access(&tokens).await, None);
    let both =
        [("POST", "/auth/login", "email=ada@example.com&password=close+sesame+43"), ("POST", "/auth/refresh", "")];
    let users = [
        ("POST", "/auth/register", "email=eve@example.com&password=open+sesame+42"),
        ("GET", "/auth/me", ""),
        ("PUT", "/auth/password", "current_password=close+sesame+43&new_password=other+sesame+45"),
        ("POST", "/auth/logout-all", ""),
    ];
    let sessions = [("GET", "/auth/sessions", ""), ("DELETE", "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", "")];
    for (engine, calls) in
        [(&world.to_users, [&both[..], &users].concat()), (&world.to_sessions, [both, sessions].concat())]
    {
        engine.set(Mode::Refuse);
        // The requests run at the same time, because each waits for the timeout of the store. None
        // of them changes anything.
        let mut asked = JoinSet::new();
        for call in calls {
            asked.spawn(assert_down(world.auth.clone(), tokens.clone(), call));
        }
        asked.join_all().await;
        engine.set(Mode::Pass);
        tokens = world.refresh(&tokens).await.unwrap();
    }
    // This node enforces a logout at once that Redis missed. Redis gets it when it is up again.
    world.to_sessions.set(Mode::Refuse);
    assert_down(world.auth.clone(), tokens.clone(), ("POST", "/auth/logout", "")).await;
    assert_eq!(world.access(&tokens).await, Some(ErrorKind::TokenRevoked));
    world.to_sessions.set(Mode::Pass);
    world.auth.poll_revocations().await.unwrap();
    assert_eq!(world.refresh(&tokens).await.err(), Some(ErrorKind::RefreshInvalid));
}

/// Method, path and body of a request.
type Call = (&'static str, &'static str, &'static str);

/// Asserts that a request is answered 503, clears no cookie and names no cause.
async fn assert_down(auth: Auth<User>, tokens: TokenPair, (method, path, body): Call) {
    let (access, refresh) = (tokens.access_token.expose(), tokens.refresh_token.expose());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("cookie", format!("__Host-access_token={access}; __Host-refresh_token={refresh}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::<bytes::Bytes>::from(body))
        .unwrap();
    let response = auth.routes().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
    assert!(!response.headers().contains_key("set-cookie"), "{method} {path}");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body).to_lowercase();
    assert!(
        body.contains("store_unavailable")
            && !body.contains("redis")
            && !body.contains("sql")
            && !body.contains("mongo"),
        "{path}: {body}"
    );
}
