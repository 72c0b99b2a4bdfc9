//! Tests changes that others make to the database: permissions, constraints, and tables that change
//! while the app runs.

use portcullis::{
    Profile, Registration,
    auth::ClientInfo,
    store::{
        SessionStore, UserStore,
        sql::{PostgresStore, fetch_rows},
    },
    user::Login,
};
use sqlx::{PgPool, Row, postgres::PgPoolOptions};

use super::Server;
use crate::log_buffer::LogBuffer;
use crate::login::log_in;
use crate::redis::samples::{NOW, at, builder, id, new, rotation, session};
use crate::required_servers::can_run;
use crate::sql_rules::{everything_of, new_user};

/// The hash of "open sesame 42" by bcrypt at its lowest cost.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu6HICv6XKD8GIKOwCODZrbxd40u1TitO";

/// A constraint of an earlier app, which accepts only hashes of bcrypt.
const ONLY_BCRYPT: &str =
    "ALTER TABLE portcullis_users ADD CONSTRAINT only_bcrypt CHECK (password_hash LIKE '$2%') NOT VALID";

#[tokio::test]
async fn errors_of_postgres_have_only_the_code_and_the_name() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let pool = server.pool("read committed").await;
    let store = PostgresStore::new(pool.clone());
    store.migrate().await.unwrap();
    let auth = builder(store.clone(), store.clone()).build().unwrap();
    auth.register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    sqlx::query("UPDATE portcullis_users SET password_hash = $1").bind(BCRYPT).execute(&pool).await.unwrap();
    sqlx::query(ONLY_BCRYPT).execute(&pool).await.unwrap();

    let error = UserStore::create(&store, new_user()).await.unwrap_err();
    let all = everything_of(&error);
    assert!(!all.contains("Y2FuYXJ5") && !all.contains("canary"), "{all}");
    assert!(all.contains("23514") && all.contains("only_bcrypt"), "the operator learns nothing: {all}");

    let log = LogBuffer::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || written.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // The password is correct, so the login would renew the hash.
    log_in(&auth, "ada@example.com", "open sesame 42").await.unwrap();
    let registration = Registration::new("eve@example.com", "open sesame 42", Profile::default());
    assert_eq!(
        auth.register(registration, &ClientInfo::unknown()).await.unwrap_err().kind(),
        portcullis::ErrorKind::Internal
    );
    let log = log.text();
    assert!(log.contains("could not be renewed") && log.contains("only_bcrypt"), "{log}");
    assert!(!log.contains("$argon2id$") && !log.contains("$2b$"), "a hash is in the log");
}

/// The prepared plan of a statement no longer fits after its table has changed.
#[tokio::test]
async fn a_table_that_changes_while_the_app_runs_fails_no_call() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let pool = server.pool("read committed").await;
    let store = PostgresStore::new(pool.clone());
    store.migrate().await.unwrap();
    let auth = builder(store.clone(), store.clone()).build().unwrap();
    let ada = auth
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let user = "eve".into();
    SessionStore::create(&store, new(session(&user, id(1), NOW))).await.unwrap();
    store.find(&user, &id(1), at(1)).await.unwrap();
    let login = Login::email("ada@example.com");
    assert!(store.find_by_login(&login).await.unwrap().is_some());
    for change in [
        "ALTER TABLE portcullis_users ADD COLUMN nickname TEXT, ALTER COLUMN name TYPE VARCHAR(500)",
        "ALTER TABLE portcullis_sessions ADD COLUMN device TEXT, ALTER COLUMN user_agent TYPE VARCHAR(500)",
    ] {
        sqlx::query(change).execute(&pool).await.unwrap();
    }
    assert!(store.find_by_login(&login).await.unwrap().is_some());
    assert!(store.find_by_id(&ada.id).await.unwrap().is_some());
    assert!(store.find(&user, &id(1), at(1)).await.unwrap().is_some());
    assert_eq!(store.list(&user, at(1)).await.unwrap().len(), 1);
    store.rotate(&rotation(&user, id(1), at(1))).await.unwrap();
    // This is in a transaction, which a failure would end.
    SessionStore::create(&store, new(session(&user, id(2), at(2)))).await.unwrap();
    assert_eq!(store.list(&user, at(2)).await.unwrap().len(), 2);
}

/// PostgreSQL refuses a prepared statement whose columns are no longer those of its plan.
#[tokio::test]
async fn a_table_of_the_apps_own_may_change_while_it_runs() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.url(&server.database().await)).await.unwrap();
    sqlx::query("CREATE TABLE members (id BIGINT, email TEXT)").execute(&pool).await.unwrap();
    let read = || sqlx::query("SELECT * FROM members");
    let write = || sqlx::query("INSERT INTO members (id, email) VALUES (1, 'ada@example.com') RETURNING *");
    assert_eq!(fetch_rows(&pool, write).await.unwrap().len(), 1);
    assert_eq!(fetch_rows(&pool, read).await.unwrap().len(), 1);
    sqlx::query("ALTER TABLE members ADD COLUMN phone TEXT").execute(&pool).await.unwrap();
    assert_eq!(fetch_rows(&pool, read).await.unwrap()[0].len(), 3);
    assert_eq!(fetch_rows(&pool, write).await.unwrap()[0].len(), 3);
    assert_eq!(fetch_rows(&pool, read).await.unwrap().len(), 2, "the refused write was not done twice");
}

#[tokio::test]
async fn a_role_without_create_starts_where_the_tables_exist() {
    if !can_run("PostgreSQL", Server::is_installed()) {
        return;
    }
    let server = Server::start().await;
    let database = server.database().await;
    let owner = PgPool::connect(&server.url(&database)).await.unwrap();
    for statement in ["CREATE ROLE app LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"] {
        sqlx::query(statement).execute(&owner).await.unwrap();
    }
    let url = server.url(&database).replace("tests@", "app@");
    let refused = PostgresStore::connect(&url).await.unwrap_err();
    assert!(everything_of(&refused).contains("42501"), "{refused:?}");

    PostgresStore::new(owner.clone()).migrate().await.unwrap();
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app";
    sqlx::query(grant).execute(&owner).await.unwrap();
    let store = PostgresStore::connect(&url).await.unwrap();
    let auth = builder(store.clone(), store).build().unwrap();
    auth.register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    log_in(&auth, "ada@example.com", "open sesame 42").await.unwrap();
}
