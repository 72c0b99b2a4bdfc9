//! Logins that run while the token version is raised: sessions that end at once, and sessions of
//! lower versions that were not ended.

use portcullis::{
    ErrorKind,
    auth::{Check, ClientInfo},
    store::UserStore,
};

use super::{log_in, node};
use crate::event_log::{EventLog, brief};
use crate::fixture::{PASSWORD, Pair, World, kind, register, start_session};

#[tokio::test]
async fn a_login_during_a_password_change_gives_no_live_session() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    world.store.hold("create_session");
    let thief = tokio::spawn({
        let auth = auth.clone();
        async move { crate::login::log_in(&auth, "ada@example.com", PASSWORD).await }
    });
    world.store.held().await;
    sink.take();
    auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown()).await.unwrap();
    world.store.release();
    let thief = Pair::from(thief.await.unwrap().unwrap());
    let events = sink.take();
    assert_eq!(
        events.iter().map(brief).collect::<Vec<_>>(),
        ["password.changed", "user.sessions_ended reason=password_changed", "login.failed reason=superseded"]
    );
    assert_eq!((&events[2].user_id, events[2].session_id), (&Some(user.id), Some(thief.session)));
    assert_eq!(kind(auth.authenticate(&thief.access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
    assert_eq!(kind(auth.refresh(&thief.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
}

#[tokio::test]
async fn a_login_emits_the_ended_sessions_of_lower_versions() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let user = register(&auth, "ada").await;
    let old = start_session(&auth, &user).await;
    // The process that raised the version has stopped before it ended the sessions.
    UserStore::bump_token_version(&world.store, &user.id).await.unwrap();
    sink.take();
    assert!(auth.authenticate(&old.access, Check::Stateless).await.is_ok());
    log_in(&auth, PASSWORD).await.unwrap();
    let events = sink.take();
    let emitted: Vec<_> = events.iter().map(brief).collect();
    assert_eq!(emitted, ["login.succeeded method=password", "session.ended reason=token_version"]);
    assert_eq!((&events[1].user_id, events[1].session_id), (&Some(user.id), Some(old.session)));
    let refused = auth.authenticate(&old.access, Check::Stateless).await;
    assert_eq!(kind(refused), Some(ErrorKind::TokenRevoked), "at once, not after the next poll");
}
