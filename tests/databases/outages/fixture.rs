//! The users and sessions that exist when an outage begins, and the checks of them when it is over.

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis::{
    Auth, ErrorKind, Profile, User,
    auth::{Check, ClientInfo, TokenPair},
    clock::{Clock, SystemClock},
    session::{AuthLevel, AuthMethods, EndReason, Ended, Rotation, Session, SessionId, TokenId},
    store::NewSession,
    user::{Email, Login, NewUser, UserId},
};
use tower::ServiceExt;

use super::{NEW_PASSWORD, OutageTest, PASSWORD};

use crate::login::session_of;

/// The cookies of a browser.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) session: SessionId,
}

impl From<TokenPair> for Pair {
    fn from(tokens: TokenPair) -> Self {
        Self {
            access: tokens.access_token.expose().clone(),
            refresh: tokens.refresh_token.expose().clone(),
            session: tokens.session_id,
        }
    }
}

/// Users and sessions from before the outage. Each is for another request.
pub(super) struct Prepared {
    pub(super) number: u32,
    /// Stays logged in.
    pub(super) kept: Pair,
    /// Logs out.
    pub(super) leaving: Pair,
    /// Is ended from another device.
    pub(super) ended: Pair,
    pub(super) reader: User,
    /// Logs out everywhere.
    pub(super) everywhere: [Pair; 2],
    /// Changes the password.
    pub(super) changer: Pair,
    pub(super) changer_name: String,
    /// The user whose stores are called directly.
    pub(super) user: User,
    pub(super) session: Session,
    pub(super) other: Session,
}

/// The answer of an endpoint.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: StatusCode,
    pub(super) retry_after: bool,
    pub(super) sets_cookie: bool,
    pub(super) body: String,
}

/// Sends a request to an endpoint, as a browser with these cookies does.
pub(super) async fn ask(auth: &Auth<User>, method: &str, path: &str, body: &str, pair: Option<&Pair>) -> Seen {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(pair) = pair {
        let cookies = format!("__Host-access_token={}; __Host-refresh_token={}", pair.access, pair.refresh);
        request = request.header("cookie", cookies);
    }
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::<bytes::Bytes>::from(body.to_owned()))
        .unwrap();
    let response = auth.routes().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen {
        status: parts.status,
        retry_after: parts.headers.contains_key("retry-after"),
        sets_cookie: parts.headers.contains_key("set-cookie"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// Returns a session as `Auth` makes one, for direct calls.
pub(super) fn session(user: &UserId) -> Session {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let now = SystemClock.now();
    let day = std::time::Duration::from_secs(86_400);
    Session {
        id: SessionId::from_bytes(u128::from(number).to_be_bytes()),
        user_id: user.clone(),
        token_version: 0,
        generation: 0,
        token_id: TokenId::from_bytes([1; 16]),
        previous_token_id: None,
        auth_time: now,
        amr: AuthMethods::PASSWORD,
        acr: AuthLevel::Aal1,
        restamped_generation: None,
        created_at: now,
        rotated_at: now,
        expires_at: now.plus(day),
        absolute_expires_at: now.plus(day),
        ended: None,
        user_agent: Some("🦀".into()),
        ip: None,
    }
}

pub(super) fn new_session(session: Session) -> NewSession {
    let limit = portcullis::store::SessionLimit::EndLeastRecentlyUsed(100);
    NewSession::new(session, limit, std::time::Duration::from_secs(960))
}

pub(super) fn rotation(session: &Session) -> Rotation {
    Rotation {
        user_id: session.user_id.clone(),
        session_id: session.id,
        generation: 0,
        token_id: session.token_id,
        token_version: 0,
        next_token_id: TokenId::from_bytes([2; 16]),
        now: SystemClock.now(),
        grace: std::time::Duration::from_secs(60),
        idle: std::time::Duration::from_secs(86_400),
        tombstone: std::time::Duration::from_secs(960),
    }
}

pub(super) fn ended(reason: EndReason) -> Ended {
    let at = SystemClock.now();
    Ended { at, reason, keep_until: at.plus(std::time::Duration::from_secs(960)) }
}

impl OutageTest {
    pub(super) fn new_user(&self, name: &str) -> NewUser<Profile> {
        let email = format!("{name}@example.com").parse::<Email>().unwrap();
        NewUser::new(email, None, self.hash.clone(), Profile::default(), SystemClock.now())
    }

    /// Adds a user with a new name, without the cost of a hash.
    pub(super) async fn user(&self) -> User {
        let name = format!("user{}", self.next_number());
        self.users.create(self.new_user(&name)).await.unwrap()
    }

    pub(super) async fn log_in(&self, user: &User) -> Pair {
        session_of(&self.auth, user).await.into()
    }

    pub(super) async fn live(&self, user: &UserId) -> usize {
        self.sessions.list(user, SystemClock.now()).await.unwrap().len()
    }

    pub(super) async fn prepared(&self) -> Prepared {
        let [reader, everywhere, changer, user] =
            [self.user().await, self.user().await, self.user().await, self.user().await];
        let (session, other) = (session(&user.id), session(&user.id));
        for session in [&session, &other] {
            self.sessions.create(new_session(session.clone())).await.unwrap();
        }
        let prepared = Prepared {
            number: self.next_number(),
            kept: self.log_in(&reader).await,
            leaving: self.log_in(&reader).await,
            ended: self.log_in(&reader).await,
            everywhere: [self.log_in(&everywhere).await, self.log_in(&everywhere).await],
            changer: self.log_in(&changer).await,
            changer_name: changer.email,
            reader,
            user,
            session,
            other,
        };
        // The first request of a node reads the revocations. After that a stateless guard needs no
        // store.
        self.auth.authenticate(&prepared.kept.access, Check::Stateless).await.unwrap();
        prepared
    }

    /// Checks that each request of the outage either happened or did not, and that it can be
    /// repeated.
    pub(super) async fn nothing_is_half_done(&self, name: &str, prepared: &Prepared) {
        let auth = &self.auth;
        let refused = Some(ErrorKind::RefreshInvalid);
        let refresh = async |pair: &Pair| {
            auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.map(|it| it.tokens).map_err(|it| it.kind())
        };

        let again = refresh(&prepared.kept).await;
        let again = again.unwrap_or_else(|error| panic!("{name}: a session was lost: {error:?}"));
        assert_eq!(again.session_id, prepared.kept.session, "{name}");
        assert!(refresh(&again.into()).await.is_ok(), "{name}: the chain goes on");

        let left = ask(auth, "POST", "/auth/logout", "", Some(&prepared.leaving)).await;
        assert_eq!(left.status, StatusCode::NO_CONTENT, "{name}: {left:?}");
        assert_eq!(refresh(&prepared.leaving).await.err(), refused, "{name}: logged out");

        let path = format!("/auth/sessions/{}", prepared.ended.session);
        let ended = ask(auth, "DELETE", &path, "", Some(&prepared.kept)).await;
        let known = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND].contains(&ended.status);
        assert!(known, "{name}: {ended:?}");
        assert_eq!(refresh(&prepared.ended).await.err(), refused, "{name}: ended from another device");

        let [asking, beside] = &prepared.everywhere;
        let all = ask(auth, "POST", "/auth/logout-all", "", Some(asking)).await;
        assert!(all.status == StatusCode::NO_CONTENT || all.body.contains("token_revoked"), "{name}: {all:?}");
        assert_eq!(
            (refresh(asking).await.err(), refresh(beside).await.err()),
            (refused, refused),
            "{name}: everywhere"
        );

        self.the_password_is_one_of_two(name, prepared).await;
        self.the_registration_is_whole(name, prepared).await;
        self.calls_left_nothing_half_done(name, prepared).await;

        auth.poll_revocations().await.unwrap();
        let there = self.other_node();
        let seen = there.authenticate(&prepared.leaving.access, Check::Stateless).await;
        assert_eq!(seen.err().map(|error| error.kind()), Some(ErrorKind::TokenRevoked), "{name}: on another node");
        // A login during the outage may have succeeded although its client got an error.
        let live = self.live(&prepared.reader.id).await;
        assert!((1..=2).contains(&live), "{name}: {live} sessions");
    }

    async fn the_password_is_one_of_two(&self, name: &str, prepared: &Prepared) {
        let auth = &self.auth;
        let login = Login::email(&prepared.changer_name);
        let try_it = async |password: &str| auth.login(&login, password.into(), &ClientInfo::unknown()).await.is_ok();
        let (old, new) = (try_it(PASSWORD).await, try_it(NEW_PASSWORD).await);
        assert!(old != new, "{name}: the old password is {old}, the new one {new}");
        let still_in = auth.refresh(&prepared.changer.refresh, &ClientInfo::unknown()).await.is_ok();
        assert!(still_in || new, "{name}: logged out without a new password");
    }

    async fn the_registration_is_whole(&self, name: &str, prepared: &Prepared) {
        let form = registration_form(prepared);
        let again = ask(&self.auth, "POST", "/auth/register", &form, None).await;
        let known = [StatusCode::CREATED, StatusCode::CONFLICT].contains(&again.status);
        assert!(known, "{name}: {again:?}");
        let login = ask(&self.auth, "POST", "/auth/login", &form, None).await;
        assert_eq!(login.status, StatusCode::OK, "{name}: {login:?}");
    }
}

/// Returns the form of a user who registers during the outage and logs in afterwards.
pub(super) fn registration_form(prepared: &Prepared) -> String {
    format!("email=newcomer{}@example.com&password={}", prepared.number, PASSWORD.replace(' ', "+"))
}
