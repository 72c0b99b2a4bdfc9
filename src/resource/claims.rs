//! What another issuer's token says.

use std::{fmt, sync::Arc};

use serde::Deserialize;

use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind},
    token::Roles,
};

/// The verified claims of another issuer's access token; cheap to clone.
///
/// It has what every issuer writes. Our own service's tokens have a session and a version as well, which count there only;
/// whatever else is in a token is read with [`custom`](Self::custom).
#[derive(Clone)]
pub struct ForeignClaims(Arc<Read>);

/// The claims as they were read, and their payload.
pub(crate) struct Read {
    pub(crate) issuer: Box<str>,
    pub(crate) subject: Box<str>,
    pub(crate) expires_at: Timestamp,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) token_id: Option<Box<str>>,
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) scope: Option<Box<str>>,
    pub(crate) roles: Roles,
    pub(crate) payload: Vec<u8>,
}

impl ForeignClaims {
    pub(crate) fn new(read: Read) -> Self {
        Self(Arc::new(read))
    }

    /// Who issued it (`iss`).
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Whose token it is (`sub`), unique within the issuer.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Returns the first moment at which the token is no longer valid (`exp`), in whole seconds.
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// Returns when the token was issued (`iat`), in whole seconds.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.issued_at
    }

    /// The token's own name (`jti`).
    pub fn token_id(&self) -> Option<&str> {
        self.0.token_id.as_deref()
    }

    /// Which client it was issued to (`client_id`).
    pub fn client_id(&self) -> Option<&str> {
        self.0.client_id.as_deref()
    }

    /// Whether the client may do this (`scope`, RFC 8693 §4.2); compared exactly.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scope.as_deref().unwrap_or_default().split(' ').any(|own| own == scope && !own.is_empty())
    }

    /// The user's roles (`roles`).
    pub fn roles(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.roles.iter()
    }

    /// Whether the user has this role; compared exactly.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// The claims as a type of the app's. Members that `C` does not name are skipped.
    ///
    /// # Errors
    /// [`ErrorKind::TokenInvalid`] for a token that has no such claims.
    pub fn custom<'a, C: Deserialize<'a>>(&'a self) -> Result<C, Error> {
        serde_json::from_slice(&self.0.payload).map_err(|error| Error::new(ErrorKind::TokenInvalid).with_source(error))
    }
}

/// Names the bearer only: an issuer's claims are not for logs.
impl fmt::Debug for ForeignClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignClaims")
            .field("issuer", &self.0.issuer)
            .field("subject", &self.0.subject)
            .field("expires_at", &self.0.expires_at)
            .finish_non_exhaustive()
    }
}
