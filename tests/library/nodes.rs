//! Several nodes over one store, and a node that starts anew.

use std::time::Duration;

use portcullis::{
    Auth, ErrorKind, User,
    auth::{Check, ClientInfo, Presented},
    store::{UserAdmin, memory::MemoryFeed},
};

use crate::fixture::{PASSWORD, Pair, World, end_by, kind, register, start_session};
use crate::login::log_in;

async fn access(auth: &Auth<User>, pair: &Pair) -> Option<ErrorKind> {
    kind(auth.authenticate(&pair.access, Check::Stateless).await)
}

const REVOKED: Option<ErrorKind> = Some(ErrorKind::TokenRevoked);

#[tokio::test]
async fn a_session_ends_here_at_once_and_elsewhere_at_a_poll() {
    let world = World::new();
    let (here, there) = (world.node(), world.node());
    let ada = register(&here, "ada").await;
    let pair = start_session(&here, &ada).await;
    assert_eq!((access(&here, &pair).await, access(&there, &pair).await), (None, None));
    here.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    assert_eq!((access(&here, &pair).await, access(&there, &pair).await), (REVOKED, None));
    there.poll_revocations().await.unwrap();
    assert_eq!(access(&there, &pair).await, REVOKED);
}

#[tokio::test]
async fn every_way_to_end_a_session_reaches_other_nodes() {
    for way in ["logout", "logout_all", "end_session", "reuse", "password", "login_again", "limit", "disabled"] {
        let world = World::new();
        let (here, there) = (world.node(), world.node());
        let ada = register(&here, "ada").await;
        let pair = start_session(&here, &ada).await;
        let other = start_session(&here, &ada).await;
        assert_eq!((access(&there, &pair).await, access(&there, &other).await), (None, None));
        let claims = here.authenticate(&other.access, Check::Stateless).await.unwrap().claims;
        match way {
            "logout" => here.logout(&Presented::access(&pair.access), &ClientInfo::unknown()).await.unwrap(),
            "reuse" => {
                here.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
                world.clock.advance(Duration::from_secs(11));
                assert_eq!(
                    kind(here.refresh(&pair.refresh, &ClientInfo::unknown()).await),
                    Some(ErrorKind::RefreshReused)
                );
            }
            _ => end_by(way, &world, &here, (&ada, &pair), &claims).await,
        }
        assert_eq!(access(&here, &pair).await, REVOKED, "{way}: here");
        there.poll_revocations().await.unwrap();
        assert_eq!(access(&there, &pair).await, REVOKED, "{way}: there");
        let refused = kind(there.refresh(&pair.refresh, &ClientInfo::unknown()).await);
        let expected = if way == "reuse" { ErrorKind::RefreshReused } else { ErrorKind::RefreshInvalid };
        assert_eq!(refused, Some(expected), "{way}");
    }
}

#[tokio::test]
async fn a_restarted_node_knows_what_had_ended() {
    let world = World::new();
    let before = world.node();
    let ada = register(&before, "ada").await;
    let (one, all) = (start_session(&before, &ada).await, start_session(&before, &ada).await);
    before.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap();
    before.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    drop(before);
    let after = world.node();
    assert_eq!((access(&after, &one).await, access(&after, &all).await), (REVOKED, REVOKED));
}

#[tokio::test]
async fn a_feed_brings_revocations_at_once() {
    let world = World::new();
    let feed = MemoryFeed::new();
    let node = || world.node_with(|builder| builder.revocation_feed(feed.clone()));
    let (here, there) = (node(), node());
    let ada = register(&here, "ada").await;
    let (one, all) = (start_session(&here, &ada).await, start_session(&here, &ada).await);
    // Each node begins to listen with its first request.
    assert_eq!((access(&here, &one).await, access(&there, &one).await), (None, None));
    here.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap();
    here.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    // This lets the listening task run. The clock stands still, so that no poll can have read it.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!((access(&there, &one).await, access(&there, &all).await), (REVOKED, REVOKED));
}

#[tokio::test]
async fn a_full_set_of_revocations_asks_the_store() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.revocation_capacity(1));
    let ada = register(&auth, "ada").await;
    let live = start_session(&auth, &ada).await;
    assert_eq!(access(&auth, &live).await, None);
    let mut ended = Vec::new();
    for _ in 0..90 {
        let pair = start_session(&auth, &ada).await;
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
        ended.push(pair);
    }
    for pair in &ended {
        assert_eq!(access(&auth, pair).await, REVOKED);
    }
    world.store.take_calls();
    assert_eq!(access(&auth, &live).await, None);
    assert_eq!(world.store.take_calls(), 1, "the live session was asked for");
}

#[tokio::test]
async fn a_login_during_a_password_change_ends_at_once() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let current = start_session(&auth, &ada).await;
    let claims = auth.authenticate(&current.access, Check::Stateless).await.unwrap().claims;
    // `ada` is what a login read before its hashing. The password is changed while it hashes.
    let changed =
        auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown()).await.unwrap();
    let late = start_session(&auth, &ada).await;
    assert_eq!(access(&auth, &late).await, REVOKED);
    assert_eq!(kind(auth.refresh(&late.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
    let kept = Pair::from(changed);
    assert_eq!(kept.session, current.session);
    assert_eq!(access(&auth, &kept).await, None);
    assert!(auth.refresh(&kept.refresh, &ClientInfo::unknown()).await.is_ok());
}

#[tokio::test]
async fn a_failed_password_change_still_allows_a_new_login() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let current = start_session(&auth, &ada).await;
    let claims = auth.authenticate(&current.access, Check::Stateless).await.unwrap().claims;
    // A refresh of another tab saw the raised version before the session was moved to it, and ended
    // the session.
    world.store.fail("end_all", crate::fixture::Failure::Before);
    let change = |old: &'static str, new: &'static str| {
        let (auth, claims) = (auth.clone(), claims.clone());
        async move { auth.change_password(&claims, old.into(), new.into(), &ClientInfo::unknown()).await }
    };
    assert_eq!(kind(change(PASSWORD, "close sesame 43").await), Some(ErrorKind::StoreUnavailable));
    world.store.recover();
    assert_eq!(kind(auth.refresh(&current.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
    // The password was changed and the sessions are ended. A login with the new password works.
    let pair = Pair::from(log_in(&auth, "ada@example.com", "close sesame 43").await.unwrap());
    assert_eq!(access(&auth, &pair).await, None);
}

#[tokio::test]
async fn a_clock_that_was_ahead_hides_no_revocation() {
    let world = World::new();
    let (here, there) = (world.node(), world.node());
    let ada = register(&here, "ada").await;
    let pair = start_session(&here, &ada).await;
    let now = portcullis::clock::Clock::now(&world.clock);
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(access(&there, &pair).await, None, "this loads what had ended, ten minutes ahead");
    world.clock.set(now);
    here.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    there.poll_revocations().await.unwrap();
    assert_eq!(access(&there, &pair).await, REVOKED);
}

#[tokio::test]
async fn a_password_change_goes_on_when_the_client_hangs_up() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let (mine, other) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
    let claims = auth.authenticate(&mine.access, Check::Stateless).await.unwrap().claims;
    world.store.hold("set_password");
    let change = {
        let auth = auth.clone();
        tokio::spawn(async move {
            auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown()).await
        })
    };
    world.store.held().await;
    change.abort();
    assert!(change.await.unwrap_err().is_cancelled());
    world.store.release();
    world.store.idle_after("end_all").await;
    assert_eq!(access(&auth, &other).await, REVOKED);
}

#[tokio::test]
async fn a_shorter_access_lifetime_revives_no_revoked_token() {
    let world = World::new();
    let hour = Duration::from_secs(3600);
    let long = world.node_with(|builder| builder.access_lifetime(hour));
    let ada = register(&long, "ada").await;
    let (one, all) = (start_session(&long, &ada).await, start_session(&long, &ada).await);
    long.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap();
    // A node of the next deployment ends the other session.
    let short = world.node_with(|builder| builder.access_lifetime(Duration::from_secs(300)));
    short.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    world.clock.advance(Duration::from_secs(50 * 60));
    let fresh = world.node_with(|builder| builder.access_lifetime(Duration::from_secs(300)));
    for node in [&long, &short, &fresh] {
        node.poll_revocations().await.unwrap();
        assert_eq!((access(node, &one).await, access(node, &all).await), (REVOKED, REVOKED));
    }
}

#[tokio::test]
async fn revocations_of_a_node_whose_clock_is_behind_are_read() {
    let world = World::new();
    let behind = World {
        store: world.store.clone(),
        clock: portcullis::clock::ManualClock::new(
            portcullis::clock::Clock::now(&world.clock).minus(Duration::from_secs(55)),
        ),
    };
    let (here, there) = (behind.node(), world.node());
    let ada = register(&here, "ada").await;
    let pair = start_session(&here, &ada).await;
    assert_eq!(access(&there, &pair).await, None);
    here.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    there.poll_revocations().await.unwrap();
    assert_eq!(access(&there, &pair).await, REVOKED);
}

#[tokio::test]
async fn a_logout_everywhere_during_a_password_change_wins() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    world.store.hold("end_all");
    let change = {
        let auth = auth.clone();
        tokio::spawn(async move {
            auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &ClientInfo::unknown()).await
        })
    };
    world.store.held().await;
    auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    world.store.release();
    assert_eq!(kind(change.await.unwrap()), REVOKED);
    assert!(auth.sessions(&ada.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refresh_token_from_before_a_password_change_is_refused() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let stolen = start_session(&auth, &ada).await;
    let claims = auth.authenticate(&stolen.access, Check::Stateless).await.unwrap().claims;
    world.clock.advance(Duration::from_secs(60));
    let new = "close sesame 43".into();
    let kept = auth.change_password(&claims, PASSWORD.into(), new, &ClientInfo::unknown()).await.unwrap();
    assert_eq!(kind(auth.refresh(&stolen.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
    let next = Pair::from(auth.refresh(kept.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap());
    assert_eq!(access(&auth, &next).await, None);
    // Later it is treated as a stolen token.
    assert_eq!(kind(auth.refresh(&stolen.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshReused));
}

#[tokio::test]
async fn roles_that_fit_into_no_cookie_end_no_session() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let users = world.store.memory.users();
    let many: Vec<String> = (0..500).map(|n| format!("a-role-with-a-long-name-{n}")).collect();
    users.set_roles(&ada.id, &many).await.unwrap();
    assert_eq!(kind(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::Internal));
    world.clock.advance(Duration::from_secs(60));
    users.set_roles(&ada.id, &["admin".into()]).await.unwrap();
    assert_eq!(kind(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await), None);
}

#[tokio::test]
async fn a_revocation_is_remembered_for_an_access_lifetime() {
    let minute = Duration::from_secs(60);
    for (lifetime, maximum, remembered) in [
        (15, None, 16),
        (5, None, 6),
        // The setting is given while tokens of an earlier lifetime are still valid.
        (5, Some(15), 16),
        (15, Some(15), 16),
    ] {
        let world = World::new();
        let auth = world.node_with(|builder| {
            let builder = builder.access_lifetime(minute * lifetime);
            maximum.into_iter().fold(builder, |builder, maximum| builder.max_access_lifetime(minute * maximum))
        });
        let ada = register(&auth, "ada").await;
        let pair = start_session(&auth, &ada).await;
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
        auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
        let now = portcullis::clock::Clock::now(&world.clock);
        let revoked_after = async |later: Duration| {
            let sessions = world.store.memory.sessions();
            portcullis::store::SessionStore::ended_since(sessions, now, now.plus(later)).await.unwrap().len()
        };
        assert_eq!(revoked_after(Duration::from_secs(remembered * 60 - 1)).await, 2);
        assert_eq!(
            revoked_after(Duration::from_secs(remembered * 60)).await,
            0,
            "{lifetime} minutes, at most {maximum:?}"
        );
    }
}

#[tokio::test]
async fn the_store_is_asked_about_a_token_of_a_longer_lifetime() {
    let (minute, world) = (Duration::from_secs(60), World::new());
    let long = world.node_with(|builder| builder.access_lifetime(minute * 60));
    let ada = register(&long, "ada").await;
    let (live, ended) = (start_session(&long, &ada).await, start_session(&long, &ada).await);
    // The next deployment has shorter tokens, and no setting says how long the earlier ones lived.
    let short = world.node_with(|builder| builder.access_lifetime(minute * 5));
    assert_eq!(access(&short, &live).await, None);
    short.logout(&Presented::refresh(&ended.refresh), &ClientInfo::unknown()).await.unwrap();
    let cost = async |pair: &Pair| {
        world.store.take_calls();
        (access(&short, pair).await, world.store.take_calls())
    };
    assert_eq!((cost(&live).await, cost(&ended).await), ((None, 0), (REVOKED, 0)));
    world.clock.advance(minute * 5);
    assert_eq!(cost(&live).await, (None, 0));
    for _ in 0..10 {
        world.clock.advance(minute * 5);
        short.poll_revocations().await.unwrap();
        assert_eq!((cost(&live).await, cost(&ended).await.0), ((None, 1), REVOKED), "it ends none and revives none");
    }
    let own = start_session(&short, &ada).await;
    world.clock.advance(Duration::from_secs(299));
    assert_eq!(cost(&own).await, (None, 0), "its own tokens cost nothing to the last second");
}

#[tokio::test]
async fn a_node_of_longer_tokens_remembers_what_others_forget() {
    let (minute, world) = (Duration::from_secs(60), World::new());
    let long = world.node_with(|builder| builder.access_lifetime(minute * 60));
    let short = world.node_with(|builder| builder.access_lifetime(minute * 5));
    let ada = register(&long, "ada").await;
    let (one, all) = (start_session(&long, &ada).await, start_session(&long, &ada).await);
    assert_eq!(access(&long, &one).await, None);
    short.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await.unwrap();
    short.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    // The store forgets it after six minutes, and polls read nothing new.
    for _ in 0..59 {
        long.poll_revocations().await.unwrap();
        assert_eq!((access(&long, &one).await, access(&long, &all).await), (REVOKED, REVOKED));
        world.clock.advance(minute);
    }
}
