//! Tests how many round trips each operation takes, and by which index it finds its rows.

use std::time::Duration;

use portcullis::{
    Auth, Profile, Registration, User,
    auth::{Check, ClientInfo, Presented},
    clock::{Clock, SystemClock},
    store::{SessionStore, UserStore, sql::PostgresStore},
    user::Login,
};
use sqlx::{AssertSqlSafe, PgPool, Row, postgres::PgPoolOptions};

use super::Server;
use crate::login::{log_in, session_of};
use crate::outages::PASSWORD;
use crate::proxy::Proxy;
use crate::redis::samples::{NOW, at, id, new, rotation, session};
use crate::required_servers::can_run;

fn node(store: &PostgresStore) -> Auth<User> {
    crate::auth::builder(store.clone(), store.clone()).revocation_poll(Duration::from_secs(60)).build().unwrap()
}

/// Runs everything that an app does, and returns the round trips of each.
async fn table(store: &PostgresStore, proxy: &Proxy, name: &str) -> Vec<(&'static str, usize)> {
    let auth = node(store);
    let client = ClientInfo::unknown();
    let mut table = Vec::new();
    // The first guarded request waits for the start of the node, which reads the clock and the
    // revocations.
    let registration = Registration::new(format!("first-{name}@example.com"), PASSWORD, Profile::default());
    let first = auth.register(registration, &ClientInfo::unknown()).await.unwrap();
    let tokens = session_of(&auth, &first).await;
    auth.authenticate(tokens.access_token.expose(), Check::Stateless).await.unwrap();
    proxy.quiet().await;
    proxy.take_round_trips();
    let mut cost = async |operation: &'static str| {
        proxy.quiet().await;
        table.push((operation, proxy.take_round_trips()));
    };
    let registration = Registration::new(format!("{name}@example.com"), PASSWORD, Profile::default());
    let ada = auth.register(registration, &ClientInfo::unknown()).await.unwrap();
    cost("register").await;
    let first = log_in(&auth, &format!("{name}@example.com"), PASSWORD).await.unwrap();
    cost("login").await;
    let access = first.tokens.access_token.expose();
    let claims = auth.authenticate(access, Check::Stateless).await.unwrap().claims;
    cost("protected request, stateless").await;
    auth.authenticate(access, Check::Session).await.unwrap();
    cost("protected request, session checked").await;
    auth.authenticate(access, Check::User).await.unwrap();
    cost("protected request, user loaded").await;
    auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    cost("refresh").await;
    auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    cost("refresh, replayed").await;
    for _ in 0..30 {
        session_of(&auth, &ada).await;
    }
    proxy.quiet().await;
    proxy.take_round_trips();
    assert_eq!(auth.sessions(&ada.id).await.unwrap().len(), 31);
    proxy.quiet().await;
    table.push(("list of 31 sessions", proxy.take_round_trips()));
    let mut cost = async |operation: &'static str| {
        proxy.quiet().await;
        table.push((operation, proxy.take_round_trips()));
    };
    let changed = auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap();
    cost("password change").await;
    auth.poll_revocations().await.unwrap();
    cost("poll").await;
    auth.logout(&Presented::refresh(changed.tokens.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    cost("logout").await;
    auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    cost("logout everywhere").await;
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_takes_the_documented_round_trips() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let proxy = Proxy::start(server.port).await;
    let url = server.url_through(proxy.port(), &server.database().await);
    // The pool has one connection, on which every statement has been prepared.
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).connect(&url).await.unwrap();
    let store = PostgresStore::new(pool.clone());
    store.migrate().await.unwrap();
    table(&store, &proxy, "ada").await;
    // Some logins also sweep, whose round trips do not count.
    let seen = table(&store, &proxy, "eve").await;
    assert_eq!(
        seen,
        [
            ("register", 1),
            ("login", 1 + 6),
            ("protected request, stateless", 0),
            ("protected request, session checked", 1),
            ("protected request, user loaded", 1),
            ("refresh", 2),
            ("refresh, replayed", 3),
            ("list of 31 sessions", 1),
            ("password change", 2 + 5),
            ("poll", 1),
            ("logout", 1),
            ("logout everywhere", 1 + 4),
        ]
    );
    every_statement_finds_its_rows_by_an_index(&store, &pool, &url).await;
}

/// Checks the plans of all prepared statements. There are so many rows that reading all of them
/// would be the wrong plan.
async fn every_statement_finds_its_rows_by_an_index(store: &PostgresStore, pool: &PgPool, url: &str) {
    let admin: PgPool = PgPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    for statement in [
        "INSERT INTO portcullis_users (email, email_key, username, username_key, roles, token_version, disabled, created_at) \
         SELECT n || '@x', n || '@x', 'n' || n, 'n' || n, '[]', 0, FALSE, 0 FROM generate_series(1, 20000) n",
        "INSERT INTO portcullis_sessions (user_id, id, token_version, generation, token_id, auth_time, created_at, \
         rotated_at, expires_at, absolute_expires_at, delete_at, ended_at, ended_reason, ended_keep_until) \
         SELECT int8send(n), int8send(n), 0, 0, int8send(n), 0, 0, 0, n, n, n, CASE WHEN n % 10 = 0 THEN n END, \
         CASE WHEN n % 10 = 0 THEN 'logout' END, CASE WHEN n % 10 = 0 THEN n END FROM generate_series(1, 20000) n",
        "INSERT INTO portcullis_floors (user_id, min_version, raised_at, keep_until) \
         SELECT int8send(n), 1, n, n FROM generate_series(1, 20000) n",
        "ANALYZE",
    ] {
        sqlx::query(statement).execute(&admin).await.unwrap();
    }
    let now = SystemClock.now();
    for login in [Login::email("1@x"), Login::username("n1")] {
        store.find_by_login(&login).await.unwrap();
    }
    store.sweep(now).await.unwrap();
    store.ended_since(now, now).await.unwrap();
    let eve = "eve".into();
    let old = portcullis::session::Session { generation: 9, ..session(&eve, id(1), NOW) };
    SessionStore::create(store, new(old)).await.unwrap();
    store.rotate(&rotation(&eve, id(1), at(1))).await.unwrap();
    // The statements are prepared on the one connection of the store's pool, so this connection is
    // asked.
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("SET plan_cache_mode = force_generic_plan").execute(&mut *connection).await.unwrap();
    let prepared = "SELECT name, statement, cardinality(parameter_types) AS count FROM pg_prepared_statements \
                    WHERE statement LIKE '%portcullis_%' AND statement NOT LIKE 'CREATE%' \
                    AND statement NOT LIKE '%portcullis_schema%'";
    let prepared = sqlx::query(prepared).fetch_all(&mut *connection).await.unwrap();
    assert!(prepared.len() >= 15, "{} statements were prepared", prepared.len());
    let mut seen = Vec::new();
    for row in prepared {
        let (name, statement): (String, String) = (row.get("name"), row.get("statement"));
        let nothing = vec!["NULL"; usize::try_from(row.get::<i32, _>("count")).unwrap()].join(", ");
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE \"{name}\" ({nothing})"));
        let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *connection).await.unwrap();
        let plan = plan.join("\n");
        let inserts = statement.starts_with("INSERT");
        assert!(plan.contains("Index") || inserts, "{statement}\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{statement}\n{plan}");
        for (part, index) in [
            ("DELETE FROM portcullis_sessions WHERE ctid", "portcullis_sessions_delete_at"),
            ("DELETE FROM portcullis_floors WHERE ctid", "portcullis_floors_keep_until"),
            ("ended_reason = 'reuse'", "portcullis_sessions_reuse"),
            ("ORDER BY rotated_at", "portcullis_sessions_live"),
            ("ORDER BY ended_at, id", "portcullis_sessions_ended_at"),
        ] {
            if statement.contains(part) {
                seen.push(index);
                assert!(plan.contains(index), "{statement}\n{plan}");
            }
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5, "not every statement was looked at: {seen:?}");
}
