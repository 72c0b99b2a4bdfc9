//! No event contains a password, token, hash or key, in any form that it can be written in.

use std::time::Duration;

use portcullis::{
    Auth, User,
    auth::{Check, ClientInfo, Presented},
    user::Login,
};

use super::node;
use crate::event_log::EventLog;
use crate::fixture::{Failure, PASSWORD, Pair, World, kind, register};

/// Runs every flow with everything that can go wrong in it. Returns each secret that one of them
/// had.
async fn everything(world: &World, auth: &Auth<User>) -> Vec<String> {
    let mut secrets = vec![PASSWORD.to_owned(), "canary-password".to_owned(), "close sesame 43".to_owned()];
    let mut keep = |pair: Pair| {
        // The signature alone shows that a token was written out.
        secrets.extend([&pair.access, &pair.refresh].map(|token| token.rsplit('.').next().unwrap().to_owned()));
        pair
    };
    let mut client = ClientInfo::unknown();
    client.user_agent = Some("Firefox".to_owned());
    let ada = register(auth, "ada").await;
    // People type the password into the field of the login. One of these looks like an address.
    for typed in ["canary-password", "canary-password@example.com"] {
        auth.login(&Login::either(typed), "canary-password".into(), &client).await.unwrap_err();
    }
    let ours = Login::either("ada@example.com");
    let first = keep(auth.login(&ours, PASSWORD.into(), &client).await.unwrap().into_logged_in().unwrap().into());
    let second = keep(auth.refresh(&first.refresh, &ClientInfo::unknown()).await.unwrap().into());
    keep(auth.refresh(&first.refresh, &ClientInfo::unknown()).await.unwrap().into());
    let claims = auth.authenticate(&second.access, Check::User).await.unwrap().claims;
    auth.change_password(&claims, "canary-password".into(), "close sesame 43".into(), &client).await.unwrap_err();
    let third =
        keep(auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap().into());
    world.clock.advance(Duration::from_secs(60));
    auth.refresh(&second.refresh, &ClientInfo::unknown()).await.unwrap_err();
    auth.refresh(&third.refresh, &ClientInfo::unknown()).await.unwrap_err();
    client.refresh_token = Some(third.refresh.clone().into());
    let fourth =
        keep(auth.login(&ours, "close sesame 43".into(), &client).await.unwrap().into_logged_in().unwrap().into());
    for call in ["find_by_login", "find_by_id", "create_session", "rotate", "end", "end_all", "bump_token_version"] {
        world.store.fail(call, Failure::After);
        let _ = kind(auth.login(&ours, "close sesame 43".into(), &client).await);
        let _ = kind(auth.refresh(&fourth.refresh, &ClientInfo::unknown()).await);
        let _ = kind(
            auth.logout(&Presented::refresh(&fourth.refresh).with_access(&fourth.access), &ClientInfo::unknown()).await,
        );
        let _ = kind(auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await);
        world.store.recover();
    }
    auth.poll_revocations().await.unwrap();
    auth.logout_all(&claims, &ClientInfo::unknown()).await.unwrap();
    for _ in 0..7 {
        let _ = kind(auth.login(&ours, "canary-password".into(), &client).await);
    }
    for user in [Some(ada), portcullis::store::UserStore::find_by_login(&world.store, &ours).await.unwrap()] {
        secrets.push(user.unwrap().password_hash.unwrap().rsplit('$').next().unwrap().to_owned());
    }
    secrets
}

#[tokio::test]
async fn no_form_of_any_event_of_any_flow_shows_a_secret() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node(&world, &sink);
    let mut secrets = everything(&world, &auth).await;
    secrets.extend(["Jo8mWqk1Yb0cK3zv".to_owned(), "Qe7uAa4VxZi1Rk9p".to_owned()]);
    let events = sink.take();
    let mut names: Vec<_> = events.iter().map(portcullis::event::AuthEvent::name).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() >= 12, "the flows emit most kinds: {names:?}");
    for event in &events {
        let written = [format!("{event:?}"), format!("{event:#?}"), serde_json::to_string(event).unwrap()];
        for secret in &secrets {
            for text in &written {
                assert!(!text.contains(secret.as_str()), "{secret} is in {text}");
            }
        }
    }
}
