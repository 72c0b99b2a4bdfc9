//! The store of `examples/existing_app`, as an adopter would prove it.

use std::sync::atomic::{AtomicU32, Ordering};

use portcullis::store::conformance;
use sqlx::Row;

use crate::{
    members::{Joining, Members},
    scratch::Scratch,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_of_the_existing_app_keeps_every_promise() {
    let scratch = Scratch::new();
    let number = AtomicU32::new(0);
    let fresh = async || {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        Members::open(scratch.path().join(name).to_str().unwrap()).await.unwrap()
    };
    let joining = || Joining { full_name: "Ada".to_owned() };
    conformance::users_by_email(&fresh, joining).await.assert_kept();
}

#[tokio::test]
async fn its_logins_are_found_by_the_index_that_adoption_made() {
    let scratch = Scratch::new();
    let members = Members::open(scratch.path().join("app.db").to_str().unwrap()).await.unwrap();
    let explain = sqlx::query("EXPLAIN QUERY PLAN SELECT * FROM members WHERE mail_key = $1");
    let plan: String = explain.fetch_one(members.pool()).await.unwrap().get("detail");
    assert!(plan.contains("USING INDEX members_mail_key"), "{plan}");
}

#[test]
fn its_store_has_at_most_forty_lines() {
    let store = include_str!("../../examples/existing_app/store.rs");
    let implementation = store.lines().skip_while(|line| *line != "#[async_trait]");
    assert!(implementation.count() <= 40);
}
