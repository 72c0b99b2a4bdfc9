//! Guesses are delayed, users who make few mistakes are not, and no client learns which users
//! exist.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http::{Request, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use portcullis::{
    Auth, Error, ErrorKind, Profile, Registration, User,
    auth::{Check, ClientInfo, LoggedIn, Presented},
    clock::Timestamp,
    http::PeerAddr,
    store::{StoreError, UserAdmin},
    throttle::{Admission, Attempt, Outcome, Throttle},
    user::Login,
};
use tower::ServiceExt;

use crate::fixture::{Failure, PASSWORD, World, kind, register, start_session};
use crate::login::log_in;

const TOO_MANY: Option<ErrorKind> = Some(ErrorKind::TooManyAttempts);
const WRONG: Option<ErrorKind> = Some(ErrorKind::InvalidCredentials);

fn client(ip: &str) -> ClientInfo {
    let mut client = ClientInfo::unknown();
    client.ip = Some(ip.parse().unwrap());
    client
}

async fn login(auth: &Auth<User>, name: &str, password: &str, ip: &str) -> Result<LoggedIn<User>, Error> {
    auth.login(&Login::either(name), password.into(), &client(ip))
        .await
        .map(|outcome| outcome.into_logged_in().unwrap())
}

#[tokio::test]
async fn a_delay_refuses_the_right_password_at_one_address_only() {
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
async fn an_unknown_login_is_delayed_like_a_known_one() {
    let world = World::new();
    let auth = world.node();
    register(&auth, "ada").await;
    let disabled = register(&auth, "bob").await;
    world.store.memory.set_disabled(&disabled.id, true).await.unwrap();
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
async fn the_delay_of_a_login_does_not_reveal_its_user() {
    let world = World::new();
    let auth = world.node();
    register(&auth, "ada").await;
    let mut stories = Vec::new();
    for name in ["ada@example.com", "nobody@example.com"] {
        let mut story = Vec::new();
        for from in 0..60 {
            let error = login(&auth, name, "wrong guess", &format!("192.0.2.{from}")).await.unwrap_err();
            story.push((error.to_string(), error.retry_after()));
            if from % 4 == 3 {
                world.clock.advance(Duration::from_millis(1_300));
            }
        }
        // The first guesses, once they are due.
        world.clock.advance(Duration::from_secs(58));
        for from in 50..60 {
            let error = login(&auth, name, "wrong guess", &format!("192.0.2.{from}")).await.unwrap_err();
            story.push((error.to_string(), error.retry_after()));
        }
        stories.push(story);
    }
    assert_eq!(stories[0], stories[1]);
    let slowed = stories[0].iter().filter(|(_, wait)| wait.is_some()).count();
    assert!(slowed > 5 && slowed < 20, "{:?}", stories[0]);
}

#[tokio::test]
async fn all_logins_of_a_user_share_one_budget() {
    let world = World::new();
    let auth = world.node();
    let registration = Registration::new("ada@example.com", PASSWORD, Profile::default()).with_username("ada");
    auth.register(registration, &ClientInfo::unknown()).await.unwrap();
    for name in ["ada@example.com", "ada"].into_iter().cycle().take(6) {
        assert_eq!(kind(login(&auth, name, "wrong guess", "192.0.2.1").await), WRONG);
    }
    for name in ["ada@example.com", "ada"] {
        assert_eq!(kind(login(&auth, name, PASSWORD, "192.0.2.1").await), TOO_MANY, "{name}");
    }
    // Refused attempts were not counted, so that both go on after one delay.
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(kind(login(&auth, "ada", PASSWORD, "192.0.2.1").await), None);
    assert_eq!(kind(login(&auth, "ada@example.com", "wrong guess", "192.0.2.1").await), WRONG, "forgotten");
    // The budget from all addresses is shared too.
    for from in 0..60 {
        let name = ["ada@example.com", "ada"][from % 2];
        let _ = login(&auth, name, "wrong guess", &format!("198.51.100.{from}")).await;
    }
    for name in ["ada@example.com", "ada"] {
        assert_eq!(kind(login(&auth, name, PASSWORD, "203.0.113.1").await), TOO_MANY, "{name}");
    }
}

#[tokio::test]
async fn an_owner_waits_at_most_once_for_strangers() {
    let world = World::new();
    let auth = world.node();
    register(&auth, "ada").await;
    for from in 0..60 {
        let _ = login(&auth, "ada@example.com", "wrong guess", &format!("198.51.100.{from}")).await;
    }
    let refused = login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await.unwrap_err();
    world.clock.advance(refused.retry_after().unwrap());
    for from in 60..70 {
        let _ = login(&auth, "ada@example.com", "wrong guess", &format!("198.51.100.{from}")).await;
    }
    assert_eq!(kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await), None);
}

#[tokio::test]
async fn too_many_successful_logins_are_delayed() {
    let world = World::new();
    let auth = world.node();
    let registration = Registration::new("ada@example.com", PASSWORD, Profile::default()).with_username("ada");
    auth.register(registration, &ClientInfo::unknown()).await.unwrap();
    register(&auth, "bob").await;
    let mut refresh = None;
    for number in 0..61 {
        let name = ["ada@example.com", "ada"][number % 2];
        let good = login(&auth, name, PASSWORD, &format!("192.0.2.{}", number % 3)).await;
        refresh = Some(good.unwrap().tokens.refresh_token.expose().clone());
    }
    let refused = login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await.unwrap_err();
    assert_eq!((Some(refused.kind()), refused.retry_after()), (TOO_MANY, Some(Duration::from_secs(1))));
    assert_eq!(kind(login(&auth, "ada", PASSWORD, "203.0.113.1").await), TOO_MANY, "by the username, from elsewhere");
    let device = bringing(&refresh.unwrap(), None);
    assert_eq!(kind(auth.login(&of_ada(), PASSWORD.into(), &device).await), TOO_MANY, "nor by a device that is known");
    assert_eq!(kind(login(&auth, "bob@example.com", PASSWORD, "192.0.2.1").await), None, "another user");
    // One successful login is forgotten every minute.
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(kind(login(&auth, "ada", PASSWORD, "192.0.2.1").await), None);
    let off = world.node_with(portcullis::AuthBuilder::no_throttle);
    assert_eq!(kind(login(&off, "ada", PASSWORD, "192.0.2.1").await), None);
}

#[tokio::test]
async fn wrong_guesses_use_up_no_successful_logins() {
    let world = World::new();
    let auth = world.node();
    register(&auth, "ada").await;
    assert_eq!(kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await), None);
    for number in 0..100 {
        let _ = login(&auth, "ada@example.com", "wrong guess", &format!("198.51.100.{number}")).await;
    }
    assert_eq!(kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await), None);
}

fn of_ada() -> Login {
    Login::either("ada@example.com")
}

/// Describes a client that brings a refresh token.
fn bringing(refresh: &str, ip: Option<&str>) -> ClientInfo {
    let mut client = ClientInfo::unknown();
    client.ip = ip.map(|ip| ip.parse().unwrap());
    client.refresh_token = Some(refresh.into());
    client
}

/// Guesses without an address, until the login is delayed by a minute.
async fn keep_out(world: &World, auth: &Auth<User>) {
    loop {
        let error = auth.login(&of_ada(), "wrong guess".into(), &ClientInfo::unknown()).await.unwrap_err();
        match error.retry_after() {
            Some(wait) if wait == Duration::from_secs(60) => return,
            wait => world.clock.advance(wait.unwrap_or_default()),
        }
    }
}

#[tokio::test]
async fn strangers_do_not_delay_a_device_that_has_logged_in() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let first = start_session(&auth, &ada).await;
    let current =
        auth.refresh(&first.refresh, &ClientInfo::unknown()).await.unwrap().tokens.refresh_token.expose().clone();
    let ended = start_session(&auth, &ada).await;
    auth.logout(&Presented::refresh(&ended.refresh), &ClientInfo::unknown()).await.unwrap();
    let by_login = log_in(&auth, "ada@example.com", PASSWORD).await.unwrap();
    let by_login = by_login.tokens.refresh_token.expose().clone();
    keep_out(&world, &auth).await;
    let outcome = async |client: &ClientInfo| kind(auth.login(&of_ada(), PASSWORD.into(), client).await);
    assert_eq!(outcome(&ClientInfo::unknown()).await, TOO_MANY, "an unknown device");
    for (what, token) in [
        ("of the generation before", &first.refresh),
        ("of the current generation", &current),
        ("of a session that was logged out", &ended.refresh),
        ("of a session from a login", &by_login),
    ] {
        assert_eq!(outcome(&bringing(token, None)).await, None, "{what}");
        assert_eq!(outcome(&bringing(token, Some("192.0.2.1"))).await, None, "{what}, with an address");
    }
    world.clock.advance(Duration::from_secs(40 * 86_400));
    keep_out(&world, &auth).await;
    assert_eq!(outcome(&ClientInfo::unknown()).await, TOO_MANY);
    assert_eq!(outcome(&bringing(&current, None)).await, None, "expired long ago");
}

#[tokio::test]
async fn only_a_refresh_token_of_that_user_marks_a_device() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let mallory = register(&auth, "mallory").await;
    let (own, hers) = (start_session(&auth, &mallory).await, start_session(&auth, &ada).await);
    let forged = world.node_with(|builder| builder.refresh_secret("Zz7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs"));
    let forged = start_session(&forged, &ada).await;
    keep_out(&world, &auth).await;
    let [head, payload, _] = hers.refresh.split('.').collect::<Vec<_>>()[..] else { panic!("not a token") };
    let unsigned = format!("{head}.{payload}.");
    for (what, token) in [
        ("of another user", own.refresh.as_str()),
        ("an access token", &hers.access),
        ("signed by another key", &forged.refresh),
        ("not signed", &unsigned),
        ("no token", "nonsense"),
        ("nothing", ""),
    ] {
        let outcome = kind(auth.login(&of_ada(), PASSWORD.into(), &bringing(token, None)).await);
        assert_eq!(outcome, TOO_MANY, "{what}");
    }
    // The token of another user does not spare a stranger the delay of an unknown login.
    let nobody = Login::either("nobody@example.com");
    for _ in 0..51 {
        assert_eq!(kind(auth.login(&nobody, "wrong guess".into(), &bringing(&own.refresh, None)).await), WRONG);
    }
    assert_eq!(kind(auth.login(&nobody, "wrong guess".into(), &bringing(&own.refresh, None)).await), TOO_MANY);
}

#[tokio::test]
async fn a_device_has_a_strict_budget_of_its_own() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let (stolen, own) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
    for _ in 0..6 {
        let guess = auth.login(&of_ada(), "wrong guess".into(), &bringing(&stolen.refresh, None)).await;
        assert_eq!(kind(guess), WRONG);
    }
    let refused = auth.login(&of_ada(), PASSWORD.into(), &bringing(&stolen.refresh, None)).await.unwrap_err();
    assert_eq!((Some(refused.kind()), refused.retry_after()), (TOO_MANY, Some(Duration::from_secs(1))));
    let guess = auth.login(&of_ada(), "wrong guess".into(), &bringing(&stolen.refresh, Some("192.0.2.9"))).await;
    assert_eq!(kind(guess), TOO_MANY, "from any address");
    assert_eq!(kind(auth.login(&of_ada(), PASSWORD.into(), &bringing(&own.refresh, None)).await), None);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(kind(auth.login(&of_ada(), PASSWORD.into(), &bringing(&stolen.refresh, None)).await), None);
}

#[tokio::test]
async fn a_neighbour_does_not_delay_a_known_device() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let device = start_session(&auth, &ada).await;
    assert_eq!(kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await), None);
    for _ in 0..18 {
        let _ = login(&auth, "ada@example.com", "wrong guess", "192.0.2.1").await;
        world.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await), TOO_MANY, "the address is shared");
    let at_home = bringing(&device.refresh, Some("192.0.2.1"));
    assert_eq!(kind(auth.login(&of_ada(), PASSWORD.into(), &at_home).await), None);
    // The neighbour gains nothing by it.
    assert_eq!(kind(login(&auth, "ada@example.com", "wrong guess", "192.0.2.1").await), TOO_MANY);
}

#[tokio::test]
async fn a_login_over_http_brings_its_device_by_cookie_or_body() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    // A login with the token of a live session ends that session, so each login has its own.
    let (cookie, body) = (start_session(&auth, &ada).await.refresh, start_session(&auth, &ada).await.refresh);
    keep_out(&world, &auth).await;
    let login = async |cookie: &str, member: &str| {
        let body = format!(r#"{{"email":"ada@example.com","password":"{PASSWORD}"{member}}}"#);
        let request = Request::post("/auth/login").header("content-type", "application/json");
        let request = if cookie.is_empty() { request } else { request.header("cookie", cookie) };
        auth.routes().oneshot(request.body(Full::<bytes::Bytes>::from(body)).unwrap()).await.unwrap().status()
    };
    let cookie = format!("__Host-refresh_token={cookie}");
    assert_eq!(login("", "").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(login("", &format!(r#","refresh_token":"{body}""#)).await, StatusCode::OK);
    assert_eq!(login(&cookie, "").await, StatusCode::OK);
    assert_eq!(login(&cookie, r#","refresh_token":"""#).await, StatusCode::OK, "an empty member hides no cookie");
    let twice = format!("{cookie}; {cookie}");
    assert_eq!(login(&twice, "").await, StatusCode::TOO_MANY_REQUESTS, "which of the two is not known");
}

#[tokio::test]
async fn a_refused_user_costs_the_login_nothing() {
    let world = World::new();
    let auth = world.node();
    let registration = Registration::new("ada@example.com", PASSWORD, Profile::default()).with_username("ada");
    auth.register(registration, &ClientInfo::unknown()).await.unwrap();
    for _ in 0..6 {
        assert_eq!(kind(login(&auth, "ada", "wrong guess", "192.0.2.1").await), WRONG);
    }
    for _ in 0..50 {
        assert_eq!(kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await), TOO_MANY);
    }
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(kind(login(&auth, "ada@example.com", PASSWORD, "192.0.2.1").await), None);
}

#[tokio::test]
async fn an_outage_counts_no_attempts() {
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
async fn guesses_at_the_current_password_have_their_own_budget() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let (stolen, own) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
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
async fn registrations_are_counted_before_the_password_is_hashed() {
    let world = World::new();
    let auth = world.node();
    let attempt = async |number: usize, ip: Option<&str>| {
        let email = if number == 0 { "bad".to_owned() } else { format!("user{number}@example.com") };
        let registration = Registration::new(email, PASSWORD, Profile::default());
        let mut client = ClientInfo::unknown();
        client.ip = ip.map(|ip| ip.parse().unwrap());
        kind(auth.register(registration, &client).await)
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
async fn without_a_throttle_nothing_is_delayed() {
    let world = World::new();
    let auth = world.node_with(portcullis::AuthBuilder::no_throttle);
    for _ in 0..30 {
        assert_eq!(kind(login(&auth, "nobody@example.com", "wrong guess", "192.0.2.1").await), WRONG);
    }
}

/// Returns the status of `POST /login` for a wrong password, from this connection and with this
/// forwarded address.
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
async fn a_forwarded_header_written_by_the_client_changes_nothing() {
    let auth = World::new().node();
    for number in 0..41 {
        let (status, _) = guess(&auth, "192.0.2.1", Some(&format!("198.51.100.{number}")), number).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let refused = guess(&auth, "192.0.2.1", Some("198.51.100.99"), 99).await;
    assert_eq!(refused, (StatusCode::TOO_MANY_REQUESTS, Some("1".to_owned())));
}

#[tokio::test]
async fn behind_an_unconfigured_proxy_no_budget_is_shared() {
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

#[tokio::test]
async fn a_network_48_shares_one_budget_for_all_its_64s() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.trusted_proxy_hops(1));
    for from in 0..51 {
        let (status, _) = guess(&auth, "10.0.0.1", Some(&format!("198.51.100.{from}")), 0).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let ask = async || {
        let mut admitted = 0;
        for network in 0..400 {
            let from = format!("2001:db8:77:{network:x}::1");
            admitted += usize::from(guess(&auth, "10.0.0.1", Some(&from), 0).await.0 == StatusCode::UNAUTHORIZED);
        }
        admitted
    };
    assert_eq!(ask().await, 0);
    world.clock.advance(Duration::from_secs(61));
    let admitted = ask().await;
    assert!((1..=7).contains(&admitted), "{admitted} of 400");
}

#[tokio::test]
async fn registrations_are_counted_by_network_too() {
    let world = World::new();
    let auth = world.node();
    let mut admitted = 0;
    for number in 0..300 {
        let registration = Registration::new("ada@example.com", PASSWORD, Profile::default());
        let client = ClientInfo::unknown().with_ip(format!("2001:db8:77:{number:x}::1").parse().unwrap());
        admitted += usize::from(kind(auth.register(registration, &client).await) != TOO_MANY);
    }
    assert!((30..=130).contains(&admitted), "{admitted} of 300");
}

/// A throttle over a store of its own, which may be out of reach.
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
        // From now on the store is out of reach. Admitted attempts go on.
        self.away.store(true, Ordering::SeqCst);
        self.reach()
    }
}

#[tokio::test]
async fn a_throttle_of_the_app_is_used_and_its_outage_is_a_503() {
    let world = World::new();
    let shared = Shared::default();
    let auth = world.node_with(|builder| builder.throttle(shared.clone()));
    world
        .node_with(portcullis::AuthBuilder::no_throttle)
        .register(registration(), &ClientInfo::unknown())
        .await
        .unwrap();
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

/// Counts the calls, and admits all.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

#[async_trait]
impl Throttle for Counting {
    async fn admit(&self, _: &Attempt<'_>, _: Timestamp) -> Result<Admission, StoreError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Admission::Admitted)
    }

    async fn settle(&self, _: &Attempt<'_>, _: Outcome, _: Timestamp) -> Result<(), StoreError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn an_unknown_login_costs_as_many_throttle_calls() {
    let world = World::new();
    let throttle = Counting::default();
    let auth = world.node_with(|builder| builder.throttle(throttle.clone()));
    register(&auth, "ada").await;
    let mut calls = Vec::new();
    for login in ["ada@example.com", "nobody@example.com"] {
        throttle.0.store(0, Ordering::SeqCst);
        let guess = auth.login(&Login::either(login), "a wrong guess".into(), &ClientInfo::unknown()).await;
        assert_eq!(kind(guess), Some(ErrorKind::InvalidCredentials));
        calls.push(throttle.0.load(Ordering::SeqCst));
    }
    assert_eq!(calls, [3, 3]);
}
