//! A store that cannot be reached: no request is admitted, no user is logged out, and no answer
//! contains the cause.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis::{
    ErrorKind,
    auth::{Check, ClientInfo, Presented},
};
use tower::ServiceExt;

use crate::fixture::{Failure, World, kind, register, start_session};

const DOWN: Option<ErrorKind> = Some(ErrorKind::StoreUnavailable);

#[tokio::test]
async fn a_refresh_works_again_after_a_failure_of_any_call() {
    for call in ["find_by_id", "rotate", "*"] {
        for failure in [Failure::Before, Failure::After] {
            for grace in [10, 0] {
                let world = World::new();
                let auth = world.node_with(|builder| builder.refresh_grace(Duration::from_secs(grace)));
                let ada = register(&auth, "ada").await;
                let pair = start_session(&auth, &ada).await;
                world.store.fail(call, failure);
                assert_eq!(kind(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await), DOWN, "{call} {failure:?}");
                world.store.recover();
                let answer = kind(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await);
                let lost = call == "rotate" && failure == Failure::After && grace == 0;
                let expected = lost.then_some(ErrorKind::RefreshReused);
                assert_eq!(answer, expected, "{call} {failure:?} with a grace of {grace}");
            }
        }
    }
}

#[tokio::test]
async fn a_guard_that_cannot_ask_the_store_admits_nothing() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.fail("*", Failure::Before);
    let auth = world.node();
    for check in [Check::Stateless, Check::Session, Check::User] {
        assert_eq!(kind(auth.authenticate(&pair.access, check).await), DOWN, "{check:?} before the first poll");
    }
    world.store.recover();
    assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), None);
    world.store.fail("*", Failure::Before);
    assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), None, "it needs no store");
    for check in [Check::Session, Check::User] {
        assert_eq!(kind(auth.authenticate(&pair.access, check).await), DOWN, "{check:?}");
    }
}

#[tokio::test]
async fn a_guard_asks_the_store_when_polls_fail_for_too_long() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.max_poll_staleness(Duration::from_secs(30)));
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let ask = || async { kind(auth.authenticate(&pair.access, Check::Stateless).await) };
    assert_eq!(ask().await, None);
    world.store.fail("*", Failure::Before);
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(ask().await, None);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(ask().await, DOWN);
    world.store.recover();
    assert_eq!(ask().await, None, "the store says that the session lives");
}

#[tokio::test]
async fn a_logout_whose_answer_is_lost_fails_and_can_be_repeated() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    for failure in [Failure::Before, Failure::After] {
        let pair = start_session(&auth, &ada).await;
        world.store.fail("end", failure);
        assert_eq!(kind(auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await), DOWN);
        world.store.recover();
        assert_eq!(kind(auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await), None);
        assert_eq!(kind(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
    }
}

#[tokio::test]
async fn an_outage_is_a_503_that_clears_no_cookie_and_hides_causes() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.fail("*", Failure::Before);
    let cookies = format!("__Host-access_token={}; __Host-refresh_token={}", pair.access, pair.refresh);
    let login = "email=ada@example.com&password=open+sesame+42";
    for (method, path, body) in [
        ("POST", "/auth/register", "email=eve@example.com&password=open+sesame+42"),
        ("POST", "/auth/login", login),
        ("POST", "/auth/refresh", ""),
        ("POST", "/auth/logout-all", ""),
        ("GET", "/auth/me", ""),
        ("GET", "/auth/sessions", ""),
        ("DELETE", "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", ""),
        ("PUT", "/auth/password", "current_password=open+sesame+42&new_password=close+sesame+43"),
        // It is the last, because the session has ended on this node afterwards.
        ("POST", "/auth/logout", ""),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("cookie", &cookies)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::<bytes::Bytes>::from(body))
            .unwrap();
        let response = auth.routes().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
        assert!(response.headers().contains_key("retry-after"), "{path}");
        assert!(!response.headers().contains_key("set-cookie"), "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("store_unavailable") && !body.contains("canary-cause"), "{body}");
    }
    world.store.recover();
    assert!(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.is_ok(), "the outage ended no session");
}

#[tokio::test]
async fn a_registration_whose_session_fails_is_kept() {
    let world = World::new();
    let auth = world.node();
    world.store.fail("create_session", Failure::Before);
    let request = Request::post("/auth/register")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::<bytes::Bytes>::from("email=ada@example.com&password=open+sesame+42"))
        .unwrap();
    let response = auth.routes().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(!response.headers().contains_key("set-cookie"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(br#"{"user":{"id":""#) && !body.windows(10).any(|w| w == b"expires_in"));
}

#[tokio::test]
async fn a_session_that_the_store_missed_ends_when_it_is_back() {
    let world = World::new();
    let (here, there) = (world.node(), world.node());
    let ada = register(&here, "ada").await;
    let (one, all) = (start_session(&here, &ada).await, start_session(&here, &ada).await);
    for node in [&here, &there] {
        assert_eq!(kind(node.authenticate(&one.access, Check::Stateless).await), None);
    }
    world.store.fail("end", Failure::Before);
    assert_eq!(kind(here.logout(&Presented::refresh(&one.refresh), &ClientInfo::unknown()).await), DOWN);
    world.store.fail("end_all", Failure::Before);
    assert_eq!(kind(here.end_sessions_of(&ada.id, &ClientInfo::unknown()).await), DOWN);
    // It is so long that the others no longer read back so far. They do poll meanwhile.
    world.clock.advance(Duration::from_secs(600));
    world.store.recover();
    there.poll_revocations().await.unwrap();
    here.poll_revocations().await.unwrap();
    there.poll_revocations().await.unwrap();
    for pair in [&one, &all] {
        assert_eq!(kind(there.authenticate(&pair.access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
        assert_eq!(kind(there.refresh(&pair.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
    }
    assert!(here.sessions(&ada.id).await.unwrap().is_empty());
}

/// A feed that never answers, or that always fails.
struct BadFeed {
    fails: bool,
    subscribed: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

#[async_trait::async_trait]
impl portcullis::store::RevocationFeed for BadFeed {
    async fn publish(&self, _: &portcullis::session::Revocation) -> Result<(), portcullis::store::StoreError> {
        std::future::pending().await
    }

    async fn subscribe(&self) -> Result<Box<dyn portcullis::store::Subscription>, portcullis::store::StoreError> {
        self.subscribed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if self.fails { Ok(Box::new(AtOnce)) } else { std::future::pending().await }
    }
}

struct AtOnce;

#[async_trait::async_trait]
impl portcullis::store::Subscription for AtOnce {
    async fn next(&mut self) -> Result<portcullis::session::Revocation, portcullis::store::StoreError> {
        Err(portcullis::store::StoreError::unavailable("gone"))
    }
}

#[tokio::test]
async fn a_feed_that_hangs_or_fails_delays_no_request() {
    for fails in [false, true] {
        let world = World::new();
        let subscribed = std::sync::Arc::default();
        let feed = BadFeed { fails, subscribed: std::sync::Arc::clone(&subscribed) };
        let auth = world.node_with(|builder| builder.revocation_feed(feed));
        let ada = register(&auth, "ada").await;
        let pair = start_session(&auth, &ada).await;
        assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), None);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
        assert_eq!(subscribed.load(std::sync::atomic::Ordering::SeqCst), 1, "it is tried again at the next poll");
    }
}

#[tokio::test]
async fn requests_that_wait_for_the_first_poll_share_its_failure() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.take_calls();
    world.store.hold("ended_since");
    world.store.fail("ended_since", Failure::Before);
    let auth = world.node();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let (auth, access) = (auth.clone(), pair.access.clone());
        requests.spawn(async move { kind(auth.authenticate(&access, Check::Stateless).await) });
    }
    world.store.held().await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.store.release();
    while let Some(answer) = requests.join_next().await {
        assert_eq!(answer.unwrap(), DOWN);
    }
    assert_eq!(world.store.take_calls(), 1);
}

#[tokio::test]
async fn the_grace_does_not_include_a_slow_read_of_the_user() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.hold("find_by_id");
    let slow = {
        let (auth, refresh) = (auth.clone(), pair.refresh.clone());
        tokio::spawn(async move { kind(auth.refresh(&refresh, &ClientInfo::unknown()).await) })
    };
    world.store.held().await;
    world.clock.advance(Duration::from_secs(9));
    world.store.release();
    assert_eq!(slow.await.unwrap(), None);
    // The answer was lost, and the client sends the token again.
    world.clock.advance(Duration::from_secs(9));
    assert_eq!(kind(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await), None);
}

#[tokio::test]
async fn a_logout_of_several_sessions_goes_on_after_a_failure() {
    for failure in [Failure::Before, Failure::After] {
        let world = World::new();
        let auth = world.node();
        let (ada, eve) = (register(&auth, "ada").await, register(&auth, "eve").await);
        let pairs =
            [start_session(&auth, &ada).await, start_session(&auth, &ada).await, start_session(&auth, &eve).await];
        let cookies: Vec<_> = pairs.iter().map(|pair| format!("__Host-refresh_token={}", pair.refresh)).collect();
        let logout = || {
            let request = Request::post("/auth/logout").header("cookie", cookies.join("; "));
            auth.routes().oneshot(request.body(Full::<bytes::Bytes>::default()).unwrap())
        };
        world.store.fail("end", failure);
        assert_eq!(logout().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        for (n, pair) in pairs.iter().enumerate() {
            let here = kind(auth.authenticate(&pair.access, Check::Stateless).await);
            assert_eq!(here, Some(ErrorKind::TokenRevoked), "session {n} has ended on this node");
        }
        world.store.recover();
        auth.poll_revocations().await.unwrap();
        for user in [&ada, &eve] {
            assert!(auth.sessions(&user.id).await.unwrap().is_empty(), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn the_outbox_leaves_room_for_other_accounts() {
    let world = World::new();
    let auth = world.node();
    let mut tokens = Vec::new();
    for n in 0..41 {
        let user = register_cheaply(&world, &format!("mallory{n}")).await;
        for _ in 0..100 {
            tokens.push(start_session(&auth, &user).await);
        }
    }
    let ada = register_cheaply(&world, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.fail("end", Failure::Before);
    for pair in &tokens {
        assert_eq!(kind(auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await), DOWN);
    }
    assert_eq!(kind(auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await), DOWN);
    world.store.recover();
    auth.poll_revocations().await.unwrap();
    assert!(auth.sessions(&ada.id).await.unwrap().is_empty(), "it has not ended");
    assert_eq!(
        kind(auth.refresh(&tokens[4099].refresh, &ClientInfo::unknown()).await),
        Some(ErrorKind::RefreshInvalid),
        "nor has the last"
    );
}

/// Adds a user without hashing a password.
async fn register_cheaply(world: &World, name: &str) -> portcullis::User {
    let email = format!("{name}@example.com").parse::<portcullis::user::Email>().unwrap();
    let hash = portcullis::user::PasswordHash::new("$argon2id$unused");
    let now = portcullis::clock::Clock::now(&world.clock);
    let new = portcullis::user::NewUser::new(email, None, hash, portcullis::Profile::default(), now);
    portcullis::store::UserStore::create(&world.store.memory, new).await.unwrap()
}

#[tokio::test]
async fn an_ended_session_whose_answer_was_lost_is_no_404() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    world.store.lose_next_answer("end");
    assert_eq!(kind(auth.end_session(&ada.id, pair.session, &ClientInfo::unknown()).await), None);
    assert_eq!(kind(auth.authenticate(&pair.access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
    // Another caller at the same time gets the answer that there is none.
    assert_eq!(
        kind(auth.end_session(&ada.id, pair.session, &ClientInfo::unknown()).await),
        Some(ErrorKind::SessionNotFound)
    );
}

#[tokio::test]
async fn a_reuse_whose_answer_was_lost_is_a_reuse() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
    world.clock.advance(Duration::from_secs(11));
    world.store.lose_next_answer("rotate");
    assert_eq!(kind(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshReused));
}
