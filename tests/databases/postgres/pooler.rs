//! Tests `PgBouncer` between the store and the server.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    process::Command,
    time::{Duration, Instant},
};

use portcullis::{
    Profile, Registration,
    auth::ClientInfo,
    store::{RevocationFeed, StoreError, sql::PostgresStore},
};
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::Server;
use crate::login::session_of;
use crate::postgres_server::unprivileged;
use crate::proxy::Proxy;
use crate::redis::samples::builder;
use crate::required_servers::can_run;
use crate::server_process::ServerProcess;
use crate::sql_rules::everything_of;

const BINARY: &str = "/usr/sbin/pgbouncer";

struct Pooler(ServerProcess);

impl Pooler {
    async fn start(server: &Server, database: &str, mode: &str) -> Self {
        let settings = format!(
            "[databases]\n{database} = user=tests host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 24\n",
            server.port
        );
        let process = ServerProcess::start(move |port, directory| {
            let file = directory.join("pgbouncer.ini");
            fs::write(&file, format!("{settings}listen_port = {port}\n")).unwrap();
            let mut command = Command::new(BINARY);
            if let Some((uid, gid)) = unprivileged() {
                chown(directory, Some(uid), Some(gid)).unwrap();
                chown(&file, Some(uid), Some(gid)).unwrap();
                command.uid(uid).gid(gid);
            }
            command.arg(&file).current_dir("/");
            command
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        let options: PgConnectOptions = server.url_through(process.port(), database).parse().unwrap();
        let options = options.extra_float_digits(None);
        while PgConnection::connect_with(&options).await.is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self(process)
    }

    fn port(&self) -> u16 {
        self.0.port()
    }
}

/// Returns the error that is no outage. A busy machine may be too slow for the check.
async fn refusal(start: impl AsyncFn() -> Result<(), StoreError>) -> StoreError {
    for _ in 0..20 {
        let error = start().await.unwrap_err();
        if !error.is_unavailable() {
            return error;
        }
    }
    panic!("the check is never answered in time");
}

/// The pool has a connection that works, so that all of `migrate` but the check would succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_check_that_cannot_be_made_is_unavailable() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let proxy = Proxy::start(server.port).await;
    let pool = PgPoolOptions::new().max_connections(1).min_connections(1);
    let pool = pool.connect(&server.url_through(proxy.port(), &database)).await.unwrap();
    let store = PostgresStore::new(pool).with_timeout(Duration::from_millis(500));
    // The second connection of the check is refused, or opened and never answered.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [closed, silent.local_addr().unwrap().port()] {
        proxy.lead_to(server.port);
        store.clone().with_timeout(Duration::from_secs(30)).migrate().await.unwrap();
        proxy.lead_to(port);
        let error = store.migrate().await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
    }
}

/// This pooler keeps no prepared statements of clients, as every `PgBouncer` before 1.21, and every
/// newer one with this setting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_loses_statements_is_refused_at_connect() {
    if !can_run("PostgreSQL", Server::is_installed()) || !can_run("PgBouncer", fs::exists(BINARY).unwrap()) {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    PostgresStore::connect(&server.url(&database)).await.unwrap();
    let pooler = Pooler::start(&server, &database, "transaction").await;
    let url = server.url_through(pooler.port(), &database);
    for _ in 0..5 {
        let error = refusal(async || PostgresStore::connect(&url).await.map(drop)).await;
        let all = everything_of(&error);
        assert!(all.contains("max_prepared_statements") && all.contains("1.21"), "{all}");
    }
    // This is a pool of the app, once with a cache of statements and once without.
    for capacity in [100, 0] {
        let options: PgConnectOptions = url.parse().unwrap();
        let options = options.extra_float_digits(None).statement_cache_capacity(capacity);
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        let store = PostgresStore::new(pool);
        let error = refusal(async || store.migrate().await).await;
        assert!(everything_of(&error).contains("max_prepared_statements"), "{error:?}");
    }
    // The feed through the pooler would receive nothing.
    let direct = PostgresStore::connect(&server.url(&database)).await.unwrap();
    drop(direct.feed().subscribe().await.unwrap());
    let options: PgConnectOptions = url.parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(4).connect_with(options.extra_float_digits(None)).await.unwrap();
    let deaf = PostgresStore::new(pool).with_timeout(Duration::from_secs(1)).feed();
    let error = deaf.subscribe().await.err().expect("a feed that hears nothing");
    assert!(everything_of(&error).contains("transaction mode"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_session_mode_works_for_everything() {
    if !can_run("PostgreSQL", Server::is_installed()) || !can_run("PgBouncer", fs::exists(BINARY).unwrap()) {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let pooler = Pooler::start(&server, &database, "session").await;
    let store = PostgresStore::connect(&server.url_through(pooler.port(), &database)).await.unwrap();
    drop(store.feed().subscribe().await.unwrap());
    let auth = builder(store.clone(), store).build().unwrap();
    let ada = auth
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (auth, ada) = (auth.clone(), ada.clone());
        tasks.spawn(async move {
            let tokens = session_of(&auth, &ada).await;
            auth.refresh(tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}
