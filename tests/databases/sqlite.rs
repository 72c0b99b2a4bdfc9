//! SQLite.

use std::sync::atomic::{AtomicU32, Ordering};

use portcullis::{
    Client, Registration,
    store::{UserStore, conformance, sql::SqliteStore},
    user::{Login, Profile},
};

use crate::scratch::Scratch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_every_promise() {
    let scratch = Scratch::new();
    let number = AtomicU32::new(0);
    let fresh = async || {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        SqliteStore::open(scratch.path().join(name)).await.unwrap()
    };
    conformance::sessions(&fresh).await.assert_kept();
    conformance::users(&fresh, Profile::default).await.assert_kept();
}

#[tokio::test]
async fn a_restart_of_the_process_forgets_nothing() {
    let scratch = Scratch::new();
    let path = scratch.path().join("app.db");
    let start = async || {
        let store = SqliteStore::open(&path).await.unwrap();
        let auth = portcullis::Auth::builder(store.clone(), store.clone())
            .issuer("https://example.com")
            .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
            .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
            .build()
            .unwrap();
        (store, auth)
    };
    let (store, auth) = start().await;
    let profile = Profile { name: Some("Ada 🦀".into()), avatar_url: Some("https://example.com/a.png".into()) };
    let ada = auth.register(Registration::new("Ada@example.com", "open sesame 42", profile)).await.unwrap();
    store.set_roles(&ada.id, &["admin".into(), "it's \"odd\"".into()]).await.unwrap();
    let tokens = auth.start_session(&ada, &Client::unknown()).await.unwrap();
    let ended = auth.start_session(&ada, &Client::unknown()).await.unwrap();
    auth.logout(Some(ended.refresh_token.expose()), None).await.unwrap();
    drop((store, auth));

    let (store, auth) = start().await;
    let found = store.find_by_login(&Login::email("ada@example.com")).await.unwrap().unwrap();
    assert_eq!((found.name.as_deref(), found.roles.len()), (Some("Ada 🦀"), 2));
    let next = auth.refresh(tokens.refresh_token.expose()).await.unwrap();
    assert!(next.user.roles.contains(&"admin".to_owned()));
    assert!(auth.authenticate(ended.access_token.expose(), portcullis::Check::Stateless).await.is_err());
    assert!(store.set_disabled(&ada.id, true).await.unwrap());
    assert!(auth.refresh(next.tokens.refresh_token.expose()).await.is_err());
    assert!(store.remove_user(&ada.id).await.unwrap());
    assert!(!store.remove_user(&ada.id).await.unwrap());
}
