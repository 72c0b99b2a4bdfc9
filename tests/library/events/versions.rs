//! Logins that cross a raised token version: what died before it was born, and what nobody came to end.

use portcullis::{
    ErrorKind,
    auth::{Check, ClientInfo},
    store::UserStore,
};

use super::{log_in, node};
use crate::event_log::{EventLog, brief};
use crate::fixture::{PASSWORD, Pair, World, kind, register, start_session};

#[tokio::test]
async fn a_login_that_a_password_change_overtakes_is_no_session() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let pair = start_session(&auth, &user).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    world.store.hold("create_session");
    let thief = tokio::spawn({
        let auth = auth.clone();
        async move { crate::login::log_in(&auth, "ada@example.com", PASSWORD).await }
    });
    world.store.held().await;
    ear.take();
    auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown()).await.unwrap();
    world.store.release();
    let thief = Pair::from(thief.await.unwrap().unwrap());
    let events = ear.take();
    assert_eq!(
        events.iter().map(brief).collect::<Vec<_>>(),
        ["password.changed", "user.sessions_ended reason=password_changed", "login.failed reason=superseded"]
    );
    assert_eq!((&events[2].user_id, events[2].session_id), (&Some(user.id), Some(thief.session)));
    assert_eq!(kind(auth.authenticate(&thief.access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
    assert_eq!(kind(auth.refresh(&thief.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
}

#[tokio::test]
async fn a_login_tells_of_the_sessions_of_lower_versions_that_it_ends() {
    let (world, ear) = (World::new(), EventLog::default());
    let auth = node(&world, &ear);
    let user = register(&auth, "ada").await;
    let old = start_session(&auth, &user).await;
    // Whoever raised it has died before the sessions were told.
    UserStore::bump_token_version(&world.store, &user.id).await.unwrap();
    ear.take();
    assert!(auth.authenticate(&old.access, Check::Stateless).await.is_ok());
    log_in(&auth, PASSWORD).await.unwrap();
    let events = ear.take();
    let told: Vec<_> = events.iter().map(brief).collect();
    assert_eq!(told, ["login.succeeded method=password", "session.ended reason=token_version"]);
    assert_eq!((&events[1].user_id, events[1].session_id), (&Some(user.id), Some(old.session)));
    let refused = auth.authenticate(&old.access, Check::Stateless).await;
    assert_eq!(kind(refused), Some(ErrorKind::TokenRevoked), "at once, not after the next poll");
}
