//! Verifying access tokens, and how much is asked about each.

use std::pin::pin;

use super::{Auth, ClientInfo};
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    event::Operation,
    revocation::Standing,
    token::{Claims, Expiry, TokenFault},
    user::AuthUser,
};

/// How much is asked about an access token that is well signed and in time.
///
/// # Examples
///
/// ```
/// use portcullis::auth::Check;
///
/// let check = Check::Session.and(Check::User);
/// assert_eq!(check, Check::SessionAndUser);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Check {
    /// Nothing more than what this node knows has ended. No store round trip.
    ///
    /// Misses, until the next poll: what other nodes have ended. Misses, until the token expires: a user who was disabled
    /// or deleted without [`Auth::end_sessions_of`], and roles that changed.
    #[default]
    Stateless,
    /// The session's record as well: it must be live. One store round trip.
    ///
    /// Misses what the stateless check misses about users, until the token expires.
    Session,
    /// The user as well: they must exist, not be disabled, and have the token's version. One store round trip.
    ///
    /// Misses, until the next poll, a single session that another node has ended.
    User,
    /// The session's record, and then the user. Two store round trips. Misses nothing of the above.
    SessionAndUser,
}

impl Check {
    /// Returns the check that asks for everything that either of the two asks for.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self.asks_session() || other.asks_session(), self.asks_user() || other.asks_user()) {
            (false, false) => Self::Stateless,
            (true, false) => Self::Session,
            (false, true) => Self::User,
            (true, true) => Self::SessionAndUser,
        }
    }

    const fn asks_session(self) -> bool {
        matches!(self, Self::Session | Self::SessionAndUser)
    }

    const fn asks_user(self) -> bool {
        matches!(self, Self::User | Self::SessionAndUser)
    }
}

/// An access token that was accepted, and the user where the [`Check`] loaded them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Authenticated<U> {
    /// The token's claims.
    pub claims: Claims,
    /// The user.
    pub user: Option<U>,
}

/// Names the user by id only: an app's own `Debug` may print the password hash.
impl<U: AuthUser> std::fmt::Debug for Authenticated<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self.user.as_ref().map(AuthUser::id);
        f.debug_struct("Authenticated").field("claims", &self.claims).field("user", &user).finish()
    }
}

impl<U: AuthUser> Auth<U> {
    /// Verifies an access token.
    ///
    /// Checks the token first, then the session, and the user last. The first check that fails
    /// decides the error.
    ///
    /// # Errors
    /// - [`ErrorKind::TokenExpired`], [`ErrorKind::TokenRevoked`] or [`ErrorKind::TokenInvalid`];
    /// - [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`] where a store was asked: at the first token of this
    ///   node's life, where the check says so, and while the set of ended sessions is full.
    /// - [`ErrorKind::Overloaded`] where that set is full, and the store does not keep up with the questions about sessions.
    pub async fn authenticate(&self, access_token: &str, check: Check) -> Result<Authenticated<U>, Error> {
        self.authenticate_bytes(access_token.as_bytes(), check).await
    }

    /// The same for a token as it was in the request.
    pub(crate) async fn authenticate_bytes(
        &self,
        access_token: &[u8],
        check: Check,
    ) -> Result<Authenticated<U>, Error> {
        let now = self.now();
        let claims = self.verify_signature(access_token, now)?;
        self.0.revocations.load().await?;
        let standing = self.0.revocations.standing(&claims, now);
        if standing == Standing::Ended {
            return Err(ErrorKind::TokenRevoked.into());
        }
        if check.asks_session() {
            self.require_live_session(&claims).await?;
        } else if standing == Standing::AskStore && !self.0.revocations.is_live(&claims).await? {
            return Err(ErrorKind::TokenRevoked.into());
        }
        let user = if check.asks_user() { Some(self.load_user(&claims).await?) } else { None };
        Ok(Authenticated { claims, user })
    }

    /// The answer without any I/O, or `None` where a store has to be asked.
    pub(crate) fn authenticate_now(&self, access_token: &[u8]) -> Option<Result<Claims, Error>> {
        if !self.0.revocations.is_loaded() {
            return None;
        }
        let now = self.now();
        let claims = match self.verify_signature(access_token, now) {
            Ok(claims) => claims,
            Err(error) => return Some(Err(error)),
        };
        match self.0.revocations.standing(&claims, now) {
            Standing::Good => Some(Ok(claims)),
            Standing::Ended => Some(Err(ErrorKind::TokenRevoked.into())),
            Standing::AskStore => None,
        }
    }

    /// First of all, so that a forged token costs no I/O.
    fn verify_signature(&self, access_token: &[u8], now: Timestamp) -> Result<Claims, Error> {
        let keys = &self.0.issuer.access_keys;
        self.0.verifier.access(keys, access_token, now, Expiry::Checked).map_err(|fault| {
            Error::new(match fault {
                TokenFault::Expired => ErrorKind::TokenExpired,
                TokenFault::Invalid => ErrorKind::TokenInvalid,
            })
        })
    }

    pub(super) async fn require_live_session(&self, claims: &Claims) -> Result<(), Error> {
        let run = self.begin(Operation::CheckSession, &ClientInfo::unknown());
        run.is_of_session(claims.subject(), claims.session_id());
        let check = async {
            let now = self.shared_now().await;
            let session = self.0.sessions.find(claims.subject(), &claims.session_id(), now).await?;
            let live =
                session.is_some_and(|session| session.is_live(now) && session.token_version <= claims.token_version());
            if live { Ok(()) } else { Err(ErrorKind::TokenRevoked.into()) }
        };
        run.watch(pin!(check)).await
    }

    /// The user of a token that was accepted; they must exist, not be disabled, and have the token's version.
    pub(crate) async fn load_user(&self, claims: &Claims) -> Result<U, Error> {
        let run = self.begin(Operation::LoadUser, &ClientInfo::unknown());
        run.is_of_session(claims.subject(), claims.session_id());
        let load = async {
            let user = self.0.users.find_by_id(claims.subject()).await?;
            user.filter(|user| !user.is_disabled() && user.token_version() == claims.token_version())
                .ok_or_else(|| ErrorKind::TokenRevoked.into())
        };
        run.watch(pin!(load)).await
    }
}
