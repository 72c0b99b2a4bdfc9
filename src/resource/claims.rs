//! The claims of another issuer's token.

use std::{fmt, sync::Arc};

use serde::Deserialize;

use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    token::Roles,
};

/// The verified claims of another issuer's access token. Cheap to clone.
///
/// It has the claims that every issuer writes. [`custom`](Self::custom) reads all others. Tokens of
/// this crate have a session and a token version too, which only their issuer can check.
#[derive(Clone)]
pub struct ForeignClaims(Arc<ReadClaims>);

/// The claims as the verifier read them, and their payload.
pub(super) struct ReadClaims {
    pub(super) issuer: Box<str>,
    pub(super) subject: Box<str>,
    pub(super) expires_at: Timestamp,
    pub(super) issued_at: Option<Timestamp>,
    pub(super) token_id: Option<Box<str>>,
    pub(super) client_id: Option<Box<str>>,
    pub(super) scope: Option<Box<str>>,
    pub(super) roles: Roles,
    pub(super) payload: Vec<u8>,
}

impl ForeignClaims {
    pub(super) fn new(claims: ReadClaims) -> Self {
        Self(Arc::new(claims))
    }

    /// Returns the issuer (`iss`).
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Returns the owner of the token (`sub`), which is unique within the issuer.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Returns the first moment at which the token is expired (`exp`), in whole seconds.
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// Returns when the token was issued (`iat`), in whole seconds.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.issued_at
    }

    /// Returns the id of the token (`jti`).
    pub fn token_id(&self) -> Option<&str> {
        self.0.token_id.as_deref()
    }

    /// Returns the client to which the token was issued (`client_id`).
    pub fn client_id(&self) -> Option<&str> {
        self.0.client_id.as_deref()
    }

    /// Returns whether the token has this scope (`scope`, RFC 8693 §4.2). Compares exactly.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scope.as_deref().unwrap_or_default().split(' ').any(|own| own == scope && !own.is_empty())
    }

    /// Returns the roles of the user (`roles`).
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.roles.iter()
    }

    /// Returns whether the user has this role. Compares exactly.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// Reads the claims as a type of the app. Skips members that `C` does not name.
    ///
    /// # Errors
    /// [`ErrorKind::TokenInvalid`] for a token without such claims.
    pub fn custom<'a, C: Deserialize<'a>>(&'a self) -> Result<C, Error> {
        serde_json::from_slice(&self.0.payload).map_err(|error| Error::new(ErrorKind::TokenInvalid).with_source(error))
    }
}

/// Shows the owner and the expiry only, because an issuer's claims do not belong into logs.
impl fmt::Debug for ForeignClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignClaims")
            .field("issuer", &self.0.issuer)
            .field("subject", &self.0.subject)
            .field("expires_at", &self.0.expires_at)
            .finish_non_exhaustive()
    }
}
