//! Tests users whose keys come from a release without normal forms. The migration of the ready
//! stores replaces the keys.

use portcullis::{
    Auth, ErrorKind, Profile, Registration, User,
    auth::ClientInfo,
    store::{
        SessionStore, UserStore,
        sql::{PostgresStore, SqliteStore},
    },
    user::Login,
};
use sqlx::{AssertSqlSafe, sqlite::SqlitePoolOptions};

use crate::login::log_in;
use crate::{log_buffer::LogBuffer, postgres::Server, required_servers::can_run};

const PASSWORD: &str = "open sesame 42";

/// Changes the tables back to those before the third migration, which is that of the keys.
const BACK: [&str; 4] = [
    "DELETE FROM portcullis_schema WHERE version >= 3",
    "ALTER TABLE portcullis_sessions DROP COLUMN restamped_generation",
    "ALTER TABLE portcullis_sessions DROP COLUMN amr",
    "ALTER TABLE portcullis_sessions DROP COLUMN acr",
];

/// Addresses of an earlier release. Each has the key that the release made: trimmed, and in the
/// lower case of Rust's `str`.
pub(crate) const EMAILS: [&str; 6] = [
    "νίκος@example.com",
    "Max@Bücher.example",
    "jose\u{301}@example.com",
    // These two are one address by today's rule.
    "ΖΕΎΣ@example.com",
    "ζεύσ@example.com",
    "Ada@example.com",
];

/// What users type, and which of the users each text finds.
pub(crate) const TYPED: [(&str, Option<usize>); 12] = [
    ("νίκος@example.com", Some(0)),
    ("ΝΊΚΟΣ@EXAMPLE.COM", Some(0)),
    ("νίκοσ@example.com", Some(0)),
    ("max@bücher.example", Some(1)),
    ("max@xn--bcher-kva.example", Some(1)),
    ("jos\u{e9}@example.com", Some(2)),
    ("JOSE\u{301}@example.com", Some(2)),
    ("ΖΕΎΣ@example.com", Some(3)),
    ("ζεύς@example.com", Some(3)),
    ("ζεύσ@example.com", Some(4)),
    ("ada@EXAMPLE.com", Some(5)),
    ("jose@example.com", None),
];

pub(crate) fn auth<S: UserStore<User = User> + SessionStore + Clone>(store: &S) -> Auth<User> {
    crate::auth::builder(store.clone(), store.clone()).no_throttle().build().unwrap()
}

/// Adds the users of an earlier release to current tables, and then changes the tables back to that
/// release.
async fn from_before<S>(store: &S, run: impl AsyncFn(String)) -> Vec<User>
where
    S: UserStore<User = User> + SessionStore + Clone,
{
    let someone = Registration::new("someone@example.com", PASSWORD, Profile::default());
    let hash = auth(store).register(someone, &ClientInfo::unknown()).await.unwrap().password_hash.unwrap();
    for (number, email) in EMAILS.iter().enumerate() {
        let (key, username) = (email.to_lowercase(), format!("ΝΊΚΟΣ{number}"));
        let username_key = username.to_lowercase();
        run(format!(
            "INSERT INTO portcullis_users (email, email_key, username, username_key, roles, password_hash, \
             token_version, disabled, created_at) \
             VALUES ('{email}', '{key}', '{username}', '{username_key}', '[]', '{hash}', 0, FALSE, 0)"
        ))
        .await;
    }
    // This user is in a table of an app.
    run(format!(
        "INSERT INTO portcullis_users (email, email_key, roles, password_hash, token_version, disabled, created_at) \
         VALUES ('Eve@Bücher.example', 'number 7 of the clüb', '[]', '{hash}', 0, FALSE, 0)"
    ))
    .await;
    for statement in BACK {
        run(statement.to_owned()).await;
    }
    let mut users = Vec::new();
    for email in EMAILS {
        let found = store.find_by_login(&Login::Email(email.to_lowercase().into())).await.unwrap();
        users.push(found.unwrap());
    }
    users
}

async fn keys_are_made_anew<S>(store: S, run: impl AsyncFn(String), migrate: impl AsyncFn())
where
    S: UserStore<User = User> + SessionStore + Clone,
{
    let users = from_before(&store, run).await;
    let auth = auth(&store);
    let log_in = async |typed: &str| log_in(&auth, typed, PASSWORD).await.ok().map(|logged_in| logged_in.user.id);
    // Before the migration, each user is found by the address of the registration.
    for (email, user) in EMAILS.iter().zip(&users) {
        let login = Login::either(email);
        let found = store.find_by_login(&login.earlier().unwrap_or(login)).await.unwrap();
        assert_eq!(found.map(|user| user.id).as_ref(), Some(&user.id), "{email} before");
    }

    let (log, guard) = LogBuffer::collect();
    migrate().await;
    migrate().await;
    drop(guard);
    for (typed, user) in TYPED {
        assert_eq!(log_in(typed).await, user.map(|user| users[user].id.clone()), "{typed}");
        let again = auth.register(Registration::new(typed, PASSWORD, Profile::default()), &ClientInfo::unknown()).await;
        let refused = again.as_ref().map_err(portcullis::Error::kind).err();
        assert_eq!(refused, user.map(|_| ErrorKind::EmailTaken), "{typed} again");
    }
    for typed in ["νίκοσ1", "νίκος1", "ΝΊΚΟΣ1"] {
        assert_eq!(log_in(typed).await.as_ref(), Some(&users[1].id), "{typed}");
    }
    let own = store.find_by_login(&Login::Email("number 7 of the clüb".into())).await.unwrap();
    assert!(own.is_some(), "a key that the app made is left alone");

    let log = log.text();
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    for twin in &users[3..=4] {
        assert!(log.contains(&format!("={}", twin.id)) || log.contains(&format!("=\"{}\"", twin.id)), "{log}");
    }
    assert!(!log.contains('@') && !log.to_lowercase().contains("ζεύ"), "{log}");
}

#[tokio::test]
async fn sqlite_replaces_the_keys_of_earlier_users() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.unwrap();
    let run = async |sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    };
    keys_are_made_anew(store.clone(), run, async || store.migrate().await.unwrap()).await;
}

#[tokio::test]
async fn postgres_replaces_the_keys_of_earlier_users() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let pool = server.pool("read committed").await;
    let store = PostgresStore::new(pool.clone());
    store.migrate().await.unwrap();
    let run = async |sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    };
    keys_are_made_anew(store.clone(), run, async || store.migrate().await.unwrap()).await;
}

/// The table has more users than one page, and only a few of them have another key today.
#[tokio::test]
async fn a_table_of_many_pages_gets_all_its_keys() {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.unwrap();
    for number in 0..1200 {
        let email = format!("{number}@bücher.example");
        sqlx::query(
            "INSERT INTO portcullis_users (email, email_key, roles, token_version, disabled, created_at) \
             VALUES ($1, $1, '[]', 0, FALSE, 0)",
        )
        .bind(email)
        .execute(&pool)
        .await
        .unwrap();
    }
    for statement in BACK {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    store.migrate().await.unwrap();
    for number in [0, 499, 500, 501, 999, 1000, 1199] {
        let login = Login::email(&format!("{number}@xn--bcher-kva.example"));
        assert!(store.find_by_login(&login).await.unwrap().is_some(), "{number}");
    }
}
