//! [`Auth`]: every flow in code, without HTTP.

mod authenticate;
mod change_password;
mod login;
mod logout;
mod nodes;
mod refresh;
mod run;
mod shared_time;
mod throttling;
mod unfinished;
mod until_ended;

use std::{fmt, future::Future, net::IpAddr, sync::Arc, time::Duration};

use tokio::runtime::Handle;
use tracing::Instrument;

pub(crate) use self::nodes::Nodes;
pub use self::{
    authenticate::{Authenticated, Check},
    login::{LoggedIn, Registration, TokenPair},
};
use crate::{
    clock::{Clock, Timestamp},
    error::Error,
    event::Sinks,
    http::HttpSettings,
    password::{HashStats, Passwords},
    revocation::Revocations,
    secret::Secret,
    session::{EndReason, Ended, Session},
    store::{SessionLimit, SessionStore, UserStore},
    throttle::{EventDedup, Throttle},
    token::{CustomProblem, Issuer, Verifier},
    user::AuthUser,
};

/// Complete authentication for users of type `U`: register, log in, verify, refresh, log out, change passwords.
///
/// Made once by [`Auth::builder`] and cloned freely: a clone is another handle to the same keys, stores and threads.
/// What it offers over HTTP is [`routes`](Self::routes) (the ready endpoints) and [`require`](Self::require) (the guard);
/// the methods here are the same flows for code that speaks something else.
///
/// Revocations are read from the store when the `Auth` is built in a Tokio runtime, or at its first call in one, and polled
/// from then on by a task of that runtime (with its timer enabled). No token is verified before they are read. Without a
/// runtime, call [`poll_revocations`](Self::poll_revocations) yourself.
pub struct Auth<U: AuthUser>(pub(crate) Arc<Inner<U>>);

/// Writes the app's own claims of a user; what the app gave is erased once, when the builder gets it.
pub(crate) type CustomClaimsOf<U> = Arc<dyn Fn(&U) -> Result<String, CustomProblem> + Send + Sync>;

pub(crate) struct Inner<U: AuthUser> {
    pub(crate) users: Arc<dyn UserStore<User = U>>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Option<Arc<dyn Throttle>>,
    /// The refusals of the throttle that were told.
    pub(crate) throttle_events: EventDedup,
    pub(crate) issuer: Issuer,
    pub(crate) custom_claims: Option<CustomClaimsOf<U>>,
    pub(crate) verifier: Verifier,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) session_limit: SessionLimit,
    pub(crate) revocations: Revocations,
    pub(crate) nodes: Nodes,
    pub(crate) sinks: Sinks,
    pub(crate) http: HttpSettings,
    /// It signs whatever a test wants to see refused.
    #[cfg(feature = "testing")]
    pub(crate) for_tests: bool,
}

/// How long sessions and their traces live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    pub(crate) grace: Duration,
    /// How old an access token may be, by its lifetime and the leeway, that endings are remembered for.
    pub(crate) remembered: Duration,
    /// How long an ended session must be remembered: that and the clock skew.
    pub(crate) tombstone: Duration,
}

impl<U: AuthUser> Auth<U> {
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// What the hashing threads have to do and have done, for metrics: above all how many passwords wait.
    pub fn hash_stats(&self) -> HashStats {
        self.0.passwords.stats()
    }

    /// The public keys of access tokens as a JWK set (RFC 7517): the current, the next, and the retired ones that still
    /// verify. Empty where access tokens are signed with a secret.
    ///
    /// It is what `GET /auth/.well-known/jwks.json` answers.
    pub fn jwks(&self) -> String {
        self.0.issuer.access_keys.jwks(self.now())
    }

    fn ended(&self, reason: EndReason, at: Timestamp) -> Ended {
        Ended { at, reason, keep_until: at.plus(self.tombstone()) }
    }

    /// Returns how long an ending that begins now is remembered. It differs by a
    /// few milliseconds from call to call, so that a store can distinguish a repeated call from
    /// another call of the same millisecond.
    fn tombstone(&self) -> Duration {
        self.0.lifetimes.tombstone.saturating_sub(self.0.nodes.next_stamp())
    }
}

/// Runs what must not stop half-way: dropped with its caller, whose connection may be gone, it goes on as a task.
///
/// Without a Tokio runtime it is awaited in place, and the raised token version still ends each session at its next refresh.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let Ok(runtime) = Handle::try_current() else { return work.await };
    let done = runtime.spawn(work.in_current_span()).await;
    done.unwrap_or_else(|error| Err(Error::internal(error)))
}

impl<U: AuthUser> Clone for Auth<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<U: AuthUser> fmt::Debug for Auth<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("issuer", &self.0.issuer.issuer)
            .field("audience", &self.0.issuer.audience)
            .field("lifetimes", &self.0.lifetimes)
            .field("passwords", &self.0.passwords)
            .field("revocations", &self.0.revocations)
            .field("http", &self.0.http)
            .finish_non_exhaustive()
    }
}

/// What is known of the device that signs in.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientInfo {
    /// Its `User-Agent`; the first 256 bytes are kept.
    pub user_agent: Option<String>,
    /// Its address, by which guesses are counted: leave it out where it may be that of a proxy.
    pub ip: Option<IpAddr>,
    /// The address may stand for many clients: it is kept with the session, and nothing is counted by it.
    pub(crate) ip_is_shared: bool,
    /// The refresh token that it still has from an earlier login; that session ends. The [throttle](crate::throttle) knows
    /// the device by it.
    pub refresh_token: Option<Secret<String>>,
}

impl ClientInfo {
    /// A device of which nothing is known.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// The address to count by.
    pub(crate) fn counted_ip(&self) -> Option<IpAddr> {
        self.ip.filter(|_| !self.ip_is_shared)
    }

    fn user_agent(&self) -> Option<Box<str>> {
        let text = self.user_agent.as_deref()?.trim();
        let mut end = text.len().min(Session::MAX_USER_AGENT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.get(..end).filter(|text| !text.is_empty()).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_user_agent_is_cut_at_a_character() {
        let client = ClientInfo { user_agent: Some("é".repeat(200)), ..ClientInfo::unknown() };
        assert_eq!(client.user_agent().unwrap().len(), 256);
        let odd = ClientInfo { user_agent: Some(format!("x{}", "é".repeat(200))), ..ClientInfo::unknown() };
        assert_eq!(odd.user_agent().unwrap().len(), 255);
    }
}
