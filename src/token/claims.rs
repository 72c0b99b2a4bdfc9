//! [`Claims`]: what a token says.

use std::{any::Any, borrow::Cow, fmt, sync::Arc};

use serde::Deserialize;

use super::roles::Roles;
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    session::{SessionId, TokenId},
    user::UserId,
};

/// The verified claims of an access token. They are cheap to clone.
///
/// The guard puts them into the extensions of a request. They are there only if the signature, the
/// issuer, the audience and the times of the token were valid and its session had not ended when
/// the request arrived.
#[derive(Clone, Debug)]
pub struct Claims(
    Arc<AccessClaims>,
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only extractors read it"))] Option<Companion>,
);

/// A value that a caller attaches to claims and reads again by its type.
///
/// The extensions of a request hold each value in an allocation of its own. A companion needs none.
type Companion = Arc<dyn Any + Send + Sync>;

#[derive(Debug)]
pub(crate) struct AccessClaims {
    pub(super) subject: UserId,
    pub(super) session_id: SessionId,
    pub(super) token_version: u64,
    pub(super) roles: Roles,
    pub(super) auth_time: Option<Timestamp>,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) token_id: TokenName,
    /// Kept if the app has custom claims.
    pub(super) payload: Option<Payload>,
}

/// The `jti`. Ours has 22 bytes, which need no allocation.
#[derive(Debug)]
pub(super) enum TokenName {
    Usual([u8; 22]),
    Other(Box<str>),
}

impl TokenName {
    fn as_str(&self) -> &str {
        match self {
            Self::Usual(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for TokenName {
    fn from(text: &str) -> Self {
        text.as_bytes().try_into().map_or_else(|_| Self::Other(text.into()), Self::Usual)
    }
}

/// The claims as they were signed. `Debug` shows only their length, because custom claims may
/// describe a user.
pub(super) struct Payload(pub(super) Vec<u8>);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

impl Claims {
    pub(super) fn new(claims: AccessClaims) -> Self {
        Self(Arc::new(claims), None)
    }

    /// Attaches a value in place of the one before.
    #[cfg(feature = "axum")]
    pub(crate) fn with_companion(self, companion: Companion) -> Self {
        Self(self.0, Some(companion))
    }

    /// Returns the attached value.
    #[cfg(feature = "axum")]
    pub(crate) fn companion(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.1.as_deref()
    }

    /// Estimates the bytes that they occupy.
    pub(super) fn memory(&self) -> usize {
        let AccessClaims { subject, roles, token_id, payload, .. } = &*self.0;
        let payload = payload.as_ref().map_or(0, |payload| payload.0.capacity());
        size_of::<AccessClaims>() + subject.as_str().len() + token_id.as_str().len() + roles.memory() + payload
    }

    /// Returns the id of the user (`sub`).
    pub fn subject(&self) -> &UserId {
        &self.0.subject
    }

    /// Returns the id of the session (`sid`).
    pub fn session_id(&self) -> SessionId {
        self.0.session_id
    }

    /// Returns the user's token version at the time of issue (`ver`).
    pub fn token_version(&self) -> u64 {
        self.0.token_version
    }

    /// Returns the roles that the user had at the time of issue (`roles`, RFC 9068 §2.2.3.1).
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.roles.iter()
    }

    /// Returns whether the user had this role at the time of issue. Case matters.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// Returns whether the token has this scope (`scope`, RFC 8693 §4.2). Case matters.
    ///
    /// This crate issues no scopes. The app's [`custom_claims`](crate::AuthBuilder::custom_claims)
    /// may write them as `scope`: one text with spaces between the scopes.
    pub fn has_scope(&self, scope: &str) -> bool {
        #[derive(Deserialize)]
        struct Scopes<'a> {
            #[serde(borrow)]
            scope: Cow<'a, str>,
        }
        let payload = self.0.payload.as_ref().and_then(|payload| serde_json::from_slice::<Scopes<'_>>(&payload.0).ok());
        payload.is_some_and(|payload| payload.scope.split(' ').any(|own| own == scope && !own.is_empty()))
    }

    /// Returns when the user last gave a password (`auth_time`), in whole seconds.
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.0.auth_time
    }

    /// Returns when the token was issued (`iat`), in whole seconds.
    pub fn issued_at(&self) -> Timestamp {
        self.0.issued_at
    }

    /// Returns the first moment at which the token is no longer valid (`exp`), in whole seconds.
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// Returns the id of the token (`jti`).
    pub fn token_id(&self) -> &str {
        self.0.token_id.as_str()
    }

    /// Returns the custom claims, which
    /// [`AuthBuilder::custom_claims`](crate::AuthBuilder::custom_claims) adds. Ignores members that
    /// `C` does not have. Each call parses the claims, so that requests without a call cost
    /// nothing.
    ///
    /// # Errors
    /// - [`ErrorKind::TokenInvalid`] if the token does not have these claims, for example because
    ///   it was issued before the app added them. The client refreshes and gets a token that has
    ///   them.
    /// - [`ErrorKind::Internal`] if this `Auth` was built without custom claims.
    pub fn custom<'a, C: Deserialize<'a>>(&'a self) -> Result<C, Error> {
        let fix = "`Claims::custom` needs `AuthBuilder::custom_claims`";
        let payload = self.0.payload.as_ref().ok_or_else(|| Error::internal(fix))?;
        serde_json::from_slice(&payload.0).map_err(|error| Error::new(ErrorKind::TokenInvalid).with_source(error))
    }
}

/// The verified claims of a refresh token.
#[derive(Clone, Debug)]
pub(crate) struct RefreshClaims {
    pub(crate) subject: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) generation: u64,
    pub(crate) token_id: TokenId,
}
