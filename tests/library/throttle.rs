//! Guesses are slowed, honest people are not, and nobody learns who exists.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::{Request, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use portcullis::{
    Auth, Check, Client, Error, ErrorKind, PeerAddr, Registration, SignedIn, User,
    clock::Timestamp,
    store::StoreError,
    throttle::{Admission, Attempt, Outcome, Throttle},
    user::{Login, Profile},
};
use tower::ServiceExt;

use crate::fixture::{Failure, PASSWORD, World, kind, register, sign_in};

const TOO_MANY: Option<ErrorKind> = Some(ErrorKind::TooManyAttempts);
const WRONG: Option<ErrorKind> = Some(ErrorKind::InvalidCredentials);

fn client(ip: &str) -> Client {
    let mut client = Client::unknown();
    client.ip = Some(ip.parse().unwrap());
    client
}

async fn login(auth: &Auth<User>, name: &str, password: &str, ip: &str) -> Result<SignedIn<User>, Error> {
    auth.login(&Login::either(name), password.into(), &client(ip)).await
}

#[tokio::test]
async fn a_right_password_waits_out_the_delay_at_its_address_and_nowhere_else() {
    let world = World::new();
    let auth = world.node();
    register(&auth, "ada").await;
    for _ in 0..6 {
        assert_eq!(kind(login(&auth, "ada@example.com", "wrong guess", "192.0.2.1").await), WRONG);
    }
    world.store.take_calls();
    let refused = login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooManyAttempts);
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(world.store.take_calls(), 0, "nothing is looked up");
    assert!(login(&auth, "ada@example.com", PASSWORD, "192.0.2.2").await.is_ok(), "another address");
    world.clock.advance(Duration::from_secs(1));
    assert!(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await.is_ok());
    assert_eq!(kind(login(&auth, "ada@example.com", "wrong guess", "192.0.2.1").await), WRONG, "forgotten");
}

#[tokio::test]
async fn an_unknown_login_is_slowed_just_as_a_known_one() {
    let world = World::new();
    let auth = world.node();
    register(&auth, "ada").await;
    let disabled = register(&auth, "bob").await;
    world.store.memory.users().set_disabled(&disabled.id, true);
    let mut stories = Vec::new();
    for name in ["ada@example.com", "bob@example.com", "nobody@example.com"] {
        let mut story = Vec::new();
        for _ in 0..8 {
            let error = login(&auth, name, "wrong guess", "192.0.2.1").await.unwrap_err();
            story.push((error.to_string(), error.retry_after()));
            world.clock.advance(Duration::from_millis(600));
        }
        stories.push(story);
    }
    assert_eq!(stories[0], stories[1]);
    assert_eq!(stories[0], stories[2]);
    assert!(stories[0].iter().any(|(_, wait)| wait.is_some()));
}

#[tokio::test]
async fn an_outage_costs_nobody_their_attempts() {
    let world = World::new();
    let auth = world.node();
    register(&auth, "ada").await;
    world.store.fail("find_by_login", Failure::Before);
    for _ in 0..50 {
        let failed = kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await);
        assert_eq!(failed, Some(ErrorKind::StoreUnavailable));
    }
    world.store.recover();
    assert!(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await.is_ok());
}

#[tokio::test]
async fn guesses_at_the_current_password_have_a_budget_of_their_own() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let (stolen, own) = (sign_in(&auth, &ada).await, sign_in(&auth, &ada).await);
    let change = async |access: &str, current: &str| {
        let claims = auth.authenticate(access, Check::Stateless).await.unwrap().claims;
        kind(auth.change_password(&claims, current.into(), "close sesame 43".into(), &client("192.0.2.1")).await)
    };
    for _ in 0..6 {
        assert_eq!(change(&stolen.access, "wrong guess").await, Some(ErrorKind::WrongPassword));
    }
    assert_eq!(change(&stolen.access, PASSWORD).await, TOO_MANY);
    assert!(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await.is_ok(), "a login is another matter");
    assert_eq!(change(&own.access, PASSWORD).await, None, "the owner's session is not held up");
}

#[tokio::test]
async fn registrations_are_counted_by_address_before_anything_is_hashed() {
    let world = World::new();
    let auth = world.node();
    let attempt = async |number: usize, ip: Option<&str>| {
        let email = if number == 0 { "bad".to_owned() } else { format!("user{number}@example.com") };
        let mut registration = Registration::new(email, PASSWORD, Profile::default());
        registration.ip = ip.map(|ip| ip.parse().unwrap());
        kind(auth.register(registration).await)
    };
    for _ in 0..50 {
        assert_eq!(attempt(0, Some("192.0.2.1")).await, Some(ErrorKind::ValidationFailed), "costs nothing");
    }
    assert_eq!(attempt(1, Some("192.0.2.1")).await, None);
    for _ in 0..20 {
        assert_eq!(attempt(1, Some("192.0.2.1")).await, Some(ErrorKind::EmailTaken));
    }
    world.store.take_calls();
    assert_eq!((attempt(1, Some("192.0.2.1")).await, attempt(2, Some("192.0.2.1")).await), (TOO_MANY, TOO_MANY));
    assert_eq!(world.store.take_calls(), 0);
    assert_eq!((attempt(2, Some("192.0.2.2")).await, attempt(3, None).await), (None, None));
}

#[tokio::test]
async fn without_a_throttle_nothing_is_slowed() {
    let world = World::new();
    let auth = world.node_with(portcullis::Builder::no_throttle);
    for _ in 0..30 {
        assert_eq!(kind(login(&auth, "nobody@example.com", "wrong guess", "192.0.2.1").await), WRONG);
    }
}

/// What `POST /login` answers to a guess from this connection, with this forwarded address.
async fn guess(auth: &Auth<User>, peer: &str, forwarded: Option<&str>, name: usize) -> (StatusCode, Option<String>) {
    let body = format!(r#"{{"email":"user{name}@example.com","password":"wrong guess"}}"#);
    let mut request = Request::post("/auth/login").header("content-type", "application/json");
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let peer: IpAddr = peer.parse().unwrap();
    let request = request.extension(PeerAddr(peer)).body(Full::<bytes::Bytes>::from(body)).unwrap();
    let answer = auth.routes().oneshot(request).await.unwrap();
    let wait = answer.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    let status = answer.status();
    answer.into_body().collect().await.unwrap();
    (status, wait)
}

#[tokio::test]
async fn what_a_client_writes_into_the_forwarded_header_changes_nothing() {
    let auth = World::new().node();
    for number in 0..41 {
        let (status, _) = guess(&auth, "192.0.2.1", Some(&format!("198.51.100.{number}")), number).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let refused = guess(&auth, "192.0.2.1", Some("198.51.100.99"), 99).await;
    assert_eq!(refused, (StatusCode::TOO_MANY_REQUESTS, Some("1".to_owned())));
}

#[tokio::test]
async fn behind_an_unconfigured_proxy_clients_do_not_share_a_bucket() {
    let auth = World::new().node();
    for number in 0..60 {
        assert_eq!(guess(&auth, "10.0.0.1", None, number).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_network_of_ipv6_is_one_address() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.trusted_proxy_hops(1));
    for host in 0..6 {
        let (status, _) = guess(&auth, "10.0.0.1", Some(&format!("2001:db8::{host}")), 0).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(guess(&auth, "10.0.0.1", Some("2001:db8::ffff"), 0).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(guess(&auth, "10.0.0.1", Some("2001:db8:0:1::1"), 0).await.0, StatusCode::UNAUTHORIZED);
}

/// A throttle over a store of its own, which may be away.
#[derive(Clone, Default)]
struct Shared {
    away: Arc<AtomicBool>,
    settled: Arc<std::sync::Mutex<Vec<Outcome>>>,
}

impl Shared {
    fn reach(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) { Err(StoreError::unavailable("canary-cause")) } else { Ok(()) }
    }
}

#[async_trait]
impl Throttle for Shared {
    async fn admit(&self, _: &Attempt<'_>, _: Timestamp) -> Result<Admission, StoreError> {
        self.reach().map(|()| Admission::Admitted)
    }

    async fn settle(&self, _: &Attempt<'_>, outcome: Outcome, _: Timestamp) -> Result<(), StoreError> {
        self.settled.lock().unwrap().push(outcome);
        // Away from now on: what was admitted still stands.
        self.away.store(true, Ordering::SeqCst);
        self.reach()
    }
}

#[tokio::test]
async fn a_throttle_of_the_apps_own_is_asked_and_told_and_its_outage_is_a_503() {
    let world = World::new();
    let shared = Shared::default();
    let auth = world.node_with(|builder| builder.throttle(shared.clone()));
    world.node_with(portcullis::Builder::no_throttle).register(registration()).await.unwrap();
    assert!(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await.is_ok(), "an admitted attempt stands");
    let away = kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await);
    assert_eq!(away, Some(ErrorKind::StoreUnavailable));
    shared.away.store(false, Ordering::SeqCst);
    assert_eq!(kind(login(&auth, "ada@example.com", "wrong guess", "192.0.2.1").await), WRONG);
    assert_eq!(*shared.settled.lock().unwrap(), [Outcome::Succeeded, Outcome::Failed]);
}

fn registration() -> Registration<Profile> {
    Registration::new("ada@example.com", PASSWORD, Profile::default())
}
