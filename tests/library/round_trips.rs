//! Calls to the stores that each operation takes.

use portcullis::auth::{Check, ClientInfo, Presented};

use crate::fixture::{PASSWORD, World, register, start_session};
use crate::login::log_in;

#[tokio::test]
async fn each_operation_takes_the_documented_round_trips() {
    let world = World::new();
    let auth = world.node();
    let store = &world.store;
    let client = ClientInfo::unknown();
    // At its start a node reads what has ended. The first guarded request waits for that.
    let eve = register(&auth, "eve").await;
    let pair = start_session(&auth, &eve).await;
    auth.authenticate(&pair.access, Check::Stateless).await.unwrap();
    assert_eq!(store.take_calls(), 3);
    let mut table = Vec::new();
    let mut cost = |operation: &'static str| table.push((operation, store.take_calls()));

    let ada = register(&auth, "ada").await;
    start_session(&auth, &ada).await;
    cost("register, logged in");
    let first = log_in(&auth, "ada@example.com", PASSWORD).await.unwrap();
    cost("login");
    let access = first.tokens.access_token.expose().clone();
    let claims = auth.authenticate(&access, Check::Stateless).await.unwrap().claims;
    cost("protected request, stateless");
    auth.authenticate(&access, Check::Session).await.unwrap();
    cost("protected request, session checked");
    auth.authenticate(&access, Check::User).await.unwrap();
    cost("protected request, user loaded");
    auth.authenticate(&access, Check::SessionAndUser).await.unwrap();
    cost("protected request, both");
    let second = auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    cost("refresh");
    auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    cost("refresh, replayed");
    auth.sessions(&ada.id).await.unwrap();
    cost("list sessions");
    let changed = auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap();
    cost("password change");
    auth.poll_revocations().await.unwrap();
    cost("poll");
    auth.logout(&Presented::refresh(changed.tokens.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    cost("logout");
    auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    cost("logout everywhere");
    let forged = format!("{}x", second.tokens.access_token.expose());
    auth.authenticate(&forged, Check::User).await.unwrap_err();
    auth.refresh(&forged, &ClientInfo::unknown()).await.unwrap_err();
    auth.logout(&Presented::refresh(&forged).with_access(&forged), &ClientInfo::unknown()).await.unwrap();
    cost("forged tokens");

    assert_eq!(
        table,
        [
            ("register, logged in", 2),
            ("login", 2),
            ("protected request, stateless", 0),
            ("protected request, session checked", 1),
            ("protected request, user loaded", 1),
            ("protected request, both", 2),
            ("refresh", 2),
            ("refresh, replayed", 2),
            ("list sessions", 1),
            ("password change", 3),
            ("poll", 1),
            ("logout", 1),
            ("logout everywhere", 2),
            ("forged tokens", 0),
        ]
    );
}
