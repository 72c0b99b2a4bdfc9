//! What a guard requires of a valid token: roles, scopes, and conditions of the app.

use std::{fmt, sync::Arc};

use crate::{
    error::{Error, ErrorKind},
    token::Claims,
};

/// What a guard requires of a token with claims of the type `C`.
#[derive(Debug)]
pub(crate) struct Requirements<C> {
    /// Whether a request without a token is admitted.
    pub(crate) optional: bool,
    all: Vec<Requirement<C>>,
}

/// One requirement of a guard.
pub(crate) enum Requirement<C> {
    /// The bearer has one of these roles.
    Role(Vec<String>),
    /// The token has one of these scopes.
    Scope(Vec<String>),
    /// The app's own condition holds.
    Claims(Arc<dyn Fn(&C) -> bool + Send + Sync>),
}

/// The bearer of a valid token.
pub(crate) trait Bearer {
    /// The claims that an app's own condition reads.
    type Claims;

    fn claims(&self) -> &Self::Claims;

    fn has_role(&self, role: &str) -> bool;

    fn has_scope(&self, scope: &str) -> bool;
}

impl Bearer for Claims {
    type Claims = Self;

    fn claims(&self) -> &Self {
        self
    }

    fn has_role(&self, role: &str) -> bool {
        self.has_role(role)
    }

    fn has_scope(&self, scope: &str) -> bool {
        self.has_scope(scope)
    }
}

/// Claims with the roles that the user has now, in place of those in the token.
pub(super) struct WithCurrentRoles<'a> {
    pub(super) claims: &'a Claims,
    pub(super) roles: Vec<&'a str>,
}

impl Bearer for WithCurrentRoles<'_> {
    type Claims = Claims;

    fn claims(&self) -> &Claims {
        self.claims
    }

    fn has_role(&self, role: &str) -> bool {
        self.roles.contains(&role)
    }

    fn has_scope(&self, scope: &str) -> bool {
        self.claims.has_scope(scope)
    }
}

impl<C> Requirements<C> {
    /// Requires a valid token and nothing more.
    pub(crate) const fn valid_token() -> Self {
        Self { optional: false, all: Vec::new() }
    }

    /// Requires that a token is valid where there is one.
    pub(crate) const fn optional_token() -> Self {
        Self { optional: true, all: Vec::new() }
    }

    /// Adds a requirement. From then on a request without a token is refused.
    pub(crate) fn add(&mut self, requirement: Requirement<C>) {
        self.all.push(requirement);
        self.optional = false;
    }

    /// Checks the requirements in the order in which they were added.
    ///
    /// # Errors
    /// For the first requirement that fails: [`ErrorKind::InsufficientRole`],
    /// [`ErrorKind::InsufficientScope`] or [`ErrorKind::Forbidden`].
    pub(crate) fn check(&self, bearer: &impl Bearer<Claims = C>) -> Result<(), Error> {
        self.all.iter().try_for_each(|requirement| requirement.check(bearer))
    }
}

impl<C> Requirement<C> {
    /// Requires one of these roles.
    pub(crate) fn one_role_of(roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Role(roles.into_iter().map(Into::into).collect())
    }

    /// Requires one of these scopes.
    pub(crate) fn one_scope_of(scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Scope(scopes.into_iter().map(Into::into).collect())
    }

    fn check(&self, bearer: &impl Bearer<Claims = C>) -> Result<(), Error> {
        match self {
            Self::Role(roles) if roles.iter().any(|role| bearer.has_role(role)) => Ok(()),
            Self::Role(_) => Err(ErrorKind::InsufficientRole.into()),
            Self::Scope(scopes) if scopes.iter().any(|scope| bearer.has_scope(scope)) => Ok(()),
            Self::Scope(scopes) => Err(Error::new(ErrorKind::InsufficientScope).with_scope(scopes.join(" "))),
            Self::Claims(allow) if allow(bearer.claims()) => Ok(()),
            Self::Claims(_) => Err(ErrorKind::Forbidden.into()),
        }
    }
}

impl<C> Clone for Requirements<C> {
    fn clone(&self) -> Self {
        Self { optional: self.optional, all: self.all.clone() }
    }
}

impl<C> Clone for Requirement<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Role(roles) => Self::Role(roles.clone()),
            Self::Scope(scopes) => Self::Scope(scopes.clone()),
            Self::Claims(allow) => Self::Claims(Arc::clone(allow)),
        }
    }
}

impl<C> fmt::Debug for Requirement<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(roles) => f.debug_tuple("Role").field(roles).finish(),
            Self::Scope(scopes) => f.debug_tuple("Scope").field(scopes).finish(),
            Self::Claims(_) => f.write_str("Claims"),
        }
    }
}
