//! What tokens say.

use std::{any::Any, borrow::Cow, fmt, sync::Arc};

use serde::Deserialize;

use super::roles::Roles;
use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    session::{SessionId, TokenId},
    user::UserId,
};

/// The verified claims of an access token; cheap to clone.
///
/// A handler that finds them in its request's extensions knows that the token's signature, issuer, audience and times
/// were good and that its session had not ended when the request came in.
#[derive(Clone, Debug)]
pub struct Claims(
    Arc<AccessClaims>,
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "extractors alone read it"))] Option<Companion>,
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
    /// Kept where the app has claims of its own.
    pub(super) payload: Option<Payload>,
}

/// The `jti`; ours has 22 bytes, which need no memory of their own.
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

/// The claims as they were signed; a number in `Debug`, because an app's claims are not for logs.
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

    /// About how many bytes they take.
    pub(super) fn memory(&self) -> usize {
        let AccessClaims { subject, roles, token_id, payload, .. } = &*self.0;
        let payload = payload.as_ref().map_or(0, |payload| payload.0.capacity());
        size_of::<AccessClaims>() + subject.as_str().len() + token_id.as_str().len() + roles.memory() + payload
    }

    /// Whose token it is (`sub`).
    pub fn subject(&self) -> &UserId {
        &self.0.subject
    }

    /// Which session it belongs to (`sid`).
    pub fn session_id(&self) -> SessionId {
        self.0.session_id
    }

    /// The user's token version that it was issued under (`ver`).
    pub fn token_version(&self) -> u64 {
        self.0.token_version
    }

    /// The roles the user had when it was issued (`roles`, RFC 9068 §2.2.3.1).
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.roles.iter()
    }

    /// Whether the user had this role; compared exactly.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// Whether the token has this scope (`scope`, RFC 8693 §4.2); compared exactly.
    ///
    /// This crate issues none of its own: they are what the app's [`custom_claims`](crate::AuthBuilder::custom_claims) write as
    /// `scope`, one text with spaces between them.
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

    /// The token's own name (`jti`).
    pub fn token_id(&self) -> &str {
        self.0.token_id.as_str()
    }

    /// The app's own claims, which [`AuthBuilder::custom_claims`](crate::AuthBuilder::custom_claims) adds; parsed here, so that
    /// requests whose handlers do not ask pay nothing for them. Members that `C` does not name are skipped.
    ///
    /// # Errors
    /// - [`ErrorKind::TokenInvalid`] for a token that has no such claims, as one that was issued before they were added: the
    ///   client refreshes, and comes back with one that has;
    /// - [`ErrorKind::Internal`] where this `Auth` was built without claims of the app.
    pub fn custom<'a, C: Deserialize<'a>>(&'a self) -> Result<C, Error> {
        let mend = "`Claims::custom` needs `AuthBuilder::custom_claims`";
        let payload = self.0.payload.as_ref().ok_or_else(|| Error::internal(mend))?;
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
