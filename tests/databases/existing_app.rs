//! Tests the store of `examples/existing_app`, as an app would test its own store.

use std::sync::atomic::{AtomicU32, Ordering};

use portcullis::{
    AuthUser,
    clock::Timestamp,
    store::{UserStore, conformance},
    user::{Email, Login, NewUser, PasswordHash},
};
use sqlx::{AssertSqlSafe, Row};

use crate::{
    members::{Joining, Members, columns},
    temp_dir::TempDir,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_of_the_existing_app_keeps_every_promise() {
    let scratch = TempDir::new();
    let number = AtomicU32::new(0);
    let fresh = async || {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        Members::open(scratch.path().join(name).to_str().unwrap()).await.unwrap()
    };
    let joining = || Joining { full_name: "Ada".to_owned() };
    conformance::users_by_email(&fresh, joining).await.assert_kept();
    conformance::user_admin(&fresh, joining, &["admin"]).await.assert_kept();
}

#[tokio::test]
async fn logins_are_found_by_the_index_of_the_migration() {
    let scratch = TempDir::new();
    let members = Members::open(scratch.path().join("app.db").to_str().unwrap()).await.unwrap();
    let explain = concat!("EXPLAIN QUERY PLAN SELECT ", columns!(), " FROM members WHERE mail_key = $1");
    let explain = sqlx::query(explain);
    let plan: String = explain.fetch_one(members.pool()).await.unwrap().get("detail");
    assert!(plan.contains("USING INDEX members_mail_key"), "{plan}");
}

/// Another tool adds a column to the table while the app runs.
#[tokio::test]
async fn a_column_added_while_the_app_runs_hides_no_user() {
    let scratch = TempDir::new();
    let members = Members::open(scratch.path().join("app.db").to_str().unwrap()).await.unwrap();
    let email = "ada@example.com".parse::<Email>().unwrap();
    let joining = Joining { full_name: "Ada".to_owned() };
    let new = NewUser::new(email, None, PasswordHash::new("$argon2id$"), joining, Timestamp::from_secs(1));
    let ada = members.create(new).await.unwrap().id();
    for column in ["nickname", "birthday"] {
        assert!(members.find_by_login(&Login::email("ada@example.com")).await.unwrap().is_some());
        assert!(members.find_by_id(&ada).await.unwrap().is_some());
        assert!(members.bump_token_version(&ada).await.unwrap().is_some());
        let alter = AssertSqlSafe(format!("ALTER TABLE members ADD COLUMN {column} TEXT"));
        sqlx::query(alter).execute(members.pool()).await.unwrap();
    }
    for _ in 0..20 {
        assert!(members.find_by_login(&Login::email("ada@example.com")).await.unwrap().is_some());
        assert!(members.find_by_id(&ada).await.unwrap().is_some());
        assert!(members.bump_token_version(&ada).await.unwrap().is_some());
    }
}

#[test]
fn the_store_of_the_example_has_at_most_40_lines() {
    let store = include_str!("../../examples/existing_app/store.rs");
    let implementation = store.lines().skip_while(|line| *line != "#[async_trait]");
    assert!(implementation.count() <= 40);
}
