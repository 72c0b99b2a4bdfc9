//! Who makes a request, by whichever credential.

use http::Extensions;

use crate::{token::Claims, user::UserId};

/// Names who makes a request, and by which credential the guard admitted it.
///
/// A handler that does not care about the kind of the credential takes a `Principal`. One that
/// needs a session takes [`Claims`].
///
/// # Examples
///
/// ```
/// use portcullis::layer::Principal;
///
/// async fn export<B>(request: http::Request<B>) -> Result<String, &'static str> {
///     let principal = Principal::find(request.extensions()).ok_or("the route has no guard")?;
///     if !principal.has_scope("notes:read") {
///         return Err("the token lacks the scope");
///     }
///     Ok(format!("the notes of {}", principal.subject()))
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Principal {
    /// A user with an access token of a session.
    Session(Claims),
}

impl Principal {
    /// Finds what the guard has put into the extensions of a request.
    ///
    /// Returns `None` where an optional guard admitted the request without a credential, and where
    /// the request passed no guard.
    pub fn find(extensions: &Extensions) -> Option<Self> {
        extensions.get::<Claims>().cloned().map(Self::Session)
    }

    /// Returns the id of the user.
    pub fn subject(&self) -> &UserId {
        match self {
            Self::Session(claims) => claims.subject(),
        }
    }

    /// Returns whether the credential has this scope. Compares exactly.
    pub fn has_scope(&self, scope: &str) -> bool {
        match self {
            Self::Session(claims) => claims.has_scope(scope),
        }
    }
}
