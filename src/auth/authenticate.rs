//! Verifies access tokens: [`Auth::authenticate`], [`Check`] and [`Authenticated`].

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

/// What is checked about an access token, beyond its signature and expiry.
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
    /// Checks only what this node has in memory about ended sessions. It takes no store round trip.
    ///
    /// It misses until the next poll: sessions that other nodes have ended. It misses until the
    /// token expires: a user who was disabled or deleted without [`Auth::end_sessions_of`], and
    /// roles that changed.
    #[default]
    Stateless,
    /// Checks also that the session is live in the store. It takes one store round trip.
    ///
    /// It misses until the token expires: a user who was disabled or deleted without
    /// [`Auth::end_sessions_of`], and roles that changed.
    Session,
    /// Loads the user, who must exist, not be disabled, and have the token version of the token. It
    /// takes one store round trip.
    ///
    /// It misses until the next poll: a single session that another node has ended.
    User,
    /// Checks the session in the store, then loads the user. It takes two store round trips, and
    /// misses none of the above.
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

/// An accepted access token, and the user where the [`Check`] loaded them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Authenticated<U> {
    /// Claims of the token.
    pub claims: Claims,
    /// User, where the [`Check`] loads them.
    pub user: Option<U>,
}

/// Names the user by id only, because the `Debug` of an app's user type may print the password
/// hash.
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
    /// - [`ErrorKind::TokenInvalid`] if the token is malformed, or no key of this `Auth` signed it.
    /// - [`ErrorKind::TokenExpired`] if the token was valid until its `exp`.
    /// - [`ErrorKind::TokenRevoked`] if its session has ended, its token version is out of date, or
    ///   `check` loads the user and they are deleted or disabled.
    /// - [`ErrorKind::StoreUnavailable`] if a store was asked and cannot be reached. A store is
    ///   asked for the first token after the start, where `check` says so, and while the set of
    ///   ended sessions is full.
    /// - [`ErrorKind::Overloaded`] if that set is full, and the store does not keep up with the
    ///   questions about sessions.
    /// - [`ErrorKind::Internal`] if a store was asked and fails otherwise.
    pub async fn authenticate(&self, access_token: &str, check: Check) -> Result<Authenticated<U>, Error> {
        self.authenticate_bytes(access_token.as_bytes(), check).await
    }

    /// Verifies an access token in the bytes of the request.
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

    /// Verifies an access token without I/O. Returns `None` where a store has to be asked.
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
            Standing::Valid => Some(Ok(claims)),
            Standing::Ended => Some(Err(ErrorKind::TokenRevoked.into())),
            Standing::AskStore => None,
        }
    }

    /// Verifies the signature and the expiry. It runs before everything else, so that a forged
    /// token costs no I/O.
    fn verify_signature(&self, access_token: &[u8], now: Timestamp) -> Result<Claims, Error> {
        let keys = &self.0.issuer.access_keys;
        self.0.verifier.access(keys, access_token, now, Expiry::Checked).map_err(|fault| {
            Error::new(match fault {
                TokenFault::Expired => ErrorKind::TokenExpired,
                TokenFault::Invalid => ErrorKind::TokenInvalid,
            })
        })
    }

    /// Asks the store whether the session of an accepted token is live.
    ///
    /// # Errors
    /// - [`ErrorKind::TokenRevoked`] if it is not.
    /// - [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`] if the session store fails.
    pub(super) async fn require_live_session(&self, claims: &Claims) -> Result<(), Error> {
        let run = self.begin(Operation::CheckSession, &ClientInfo::unknown());
        run.set_session(claims.subject(), claims.session_id());
        let check = async {
            let version = self.0.revocations.live_version(claims.subject(), &claims.session_id()).await?;
            let is_live = version.is_some_and(|version| version <= claims.token_version());
            if is_live { Ok(()) } else { Err(ErrorKind::TokenRevoked.into()) }
        };
        run.watch(pin!(check)).await
    }

    /// Loads the user of an accepted token.
    ///
    /// # Errors
    /// - [`ErrorKind::TokenRevoked`] if the user does not exist, is disabled, or has another token
    ///   version.
    /// - [`ErrorKind::StoreUnavailable`] and [`ErrorKind::Internal`] if the user store fails.
    pub(crate) async fn load_user(&self, claims: &Claims) -> Result<U, Error> {
        let run = self.begin(Operation::LoadUser, &ClientInfo::unknown());
        run.set_session(claims.subject(), claims.session_id());
        let load = async {
            let user = self.0.users.find_by_id(claims.subject()).await?;
            user.filter(|user| !user.is_disabled() && user.token_version() == claims.token_version())
                .ok_or_else(|| ErrorKind::TokenRevoked.into())
        };
        run.watch(pin!(load)).await
    }
}
