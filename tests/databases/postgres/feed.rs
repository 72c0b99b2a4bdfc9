//! Tests revocations that other nodes get at once.

use std::time::Duration;

use portcullis::{
    Auth, ErrorKind, Profile, Registration, User,
    auth::{Check, ClientInfo, Presented, TokenPair},
    store::sql::PostgresStore,
};
use sqlx::PgPool;

use super::Server;
use crate::login::session_of;
use crate::outages::PASSWORD;
use crate::proxy::Proxy;
use crate::required_servers::can_run;

/// Returns a node with its own pool. It polls so rarely that only the feed can report a revocation
/// during the test.
fn node(store: &PostgresStore) -> Auth<User> {
    crate::auth::builder(store.clone(), store.clone())
        .revocation_feed(store.feed())
        .revocation_poll(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// Selects the connections that listen. Their last statement was `LISTEN`, or the check that a
/// listener makes after a silence.
const LISTENERS: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                         AND (query LIKE 'LISTEN %portcullis_endings%' OR query = 'SELECT 1')";

/// Waits until both nodes listen on connections other than the old ones.
async fn wait_for_listeners(admin: &PgPool, old: &[i32]) -> Vec<i32> {
    for _ in 0..600 {
        let found: Vec<i32> = sqlx::query_scalar(LISTENERS).fetch_all(admin).await.unwrap();
        if found.len() == 2 && found.iter().all(|pid| !old.contains(pid)) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there are never two new listeners");
}

async fn is_revoked(auth: &Auth<User>, tokens: &TokenPair) -> bool {
    let seen = auth.authenticate(tokens.access_token.expose(), Check::Stateless).await;
    seen.err().is_some_and(|error| error.kind() == ErrorKind::TokenRevoked)
}

/// Waits until the token is revoked, which happens long before a poll.
async fn becomes_revoked(auth: &Auth<User>, tokens: &TokenPair, when: &str) {
    for _ in 0..400 {
        if is_revoked(auth, tokens).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the other node never hears of an ending {when}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_arrives_after_the_listener_lost_its_connection() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let name = server.database().await;
    let admin = PgPool::connect(&server.url(&name)).await.unwrap();
    let proxy = Proxy::start(server.port).await;
    let here = PostgresStore::new(PgPool::connect(&server.url(&name)).await.unwrap());
    let there = PgPool::connect(&server.url_through(proxy.port(), &name)).await.unwrap();
    let there = PostgresStore::new(there).with_timeout(Duration::from_millis(500));
    here.migrate().await.unwrap();
    let (here, there) = (node(&here), node(&there));
    let ada = here
        .register(Registration::new("ada@example.com", PASSWORD, Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(session_of(&here, &ada).await);
        let token = tokens.last().unwrap();
        assert!(!is_revoked(&here, token).await && !is_revoked(&there, token).await);
    }
    let listeners = wait_for_listeners(&admin, &[]).await;
    let end = async |number: usize| {
        here.logout(&Presented::refresh(tokens[number].refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    };

    end(0).await;
    becomes_revoked(&there, &tokens[0], "while it listens").await;

    for pid in &listeners {
        sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&admin).await.unwrap();
    }
    wait_for_listeners(&admin, &listeners).await;
    end(1).await;
    becomes_revoked(&there, &tokens[1], "after its backend was terminated").await;

    proxy.cut();
    end(2).await;
    there.poll_revocations().await.unwrap();
    assert!(is_revoked(&there, &tokens[2]).await, "a poll brings what was missed");

    // The listener cannot notice that its connection is broken, except that its check gets no
    // answer.
    proxy.fall_silent();
    tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let extra = session_of(&here, &ada).await;
            here.logout(&Presented::refresh(extra.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            if is_revoked(&there, &extra).await {
                break;
            }
        }
    })
    .await
    .unwrap();

    here.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    becomes_revoked(&there, &tokens[4], "of all sessions").await;
}
