//! The layer, with the methods that say what it requires.

use std::{fmt, sync::Arc};

use super::{
    auth_guard::AuthGuard,
    requirements::{Requirement, Requirements},
    service::AuthService,
};
use crate::{
    auth::{Auth, Check},
    token::Claims,
    user::AuthUser,
};

/// Wraps services so that only requests with a valid access token reach them.
///
/// [`Auth::require`] and [`Auth::optional`] make it.
///
/// # Examples
///
/// ```
/// # use portcullis::{Auth, store::memory::MemoryStore};
/// # fn layers(auth: Auth<portcullis::User>) {
/// let logged_in = auth.require();
/// let admins = auth.require().role("admin");
/// let writers = auth.require().any_role(["editor", "author"]).scope("articles:write");
/// let just_logged_in = auth.require().check_claims(|claims| claims.auth_time() == Some(claims.issued_at()));
/// let fresh_user = auth.require().load_user();
/// let fresh_user_and_session = auth.require().load_user().check_session();
/// let with_or_without_login = auth.optional();
/// # }
/// ```
#[must_use]
pub struct AuthLayer<U: AuthUser> {
    guard: AuthGuard<U>,
}

impl<U: AuthUser> Auth<U> {
    /// Makes a guard that admits requests with a valid access token.
    ///
    /// The guard is stateless until one of its methods asks for a store.
    pub fn require(&self) -> AuthLayer<U> {
        AuthLayer { guard: AuthGuard::new(self, Requirements::valid_token()) }
    }

    /// Makes a guard that admits requests with a valid access token or without a token.
    pub fn optional(&self) -> AuthLayer<U> {
        AuthLayer { guard: AuthGuard::new(self, Requirements::optional_token()) }
    }
}

impl<U: AuthUser> AuthLayer<U> {
    /// Adds the check of the user as [`Check::User`] says, and puts
    /// [`CurrentUser`](super::CurrentUser) into the extensions of the request.
    ///
    /// Costs one store round trip for each request.
    pub fn load_user(self) -> Self {
        self.check(Check::User)
    }

    /// Adds the check of the session as [`Check::Session`] says.
    ///
    /// Costs one store round trip for each request.
    pub fn check_session(self) -> Self {
        self.check(Check::Session)
    }

    fn check(mut self, check: Check) -> Self {
        let settings = self.guard.settings();
        settings.check = settings.check.and(check);
        self
    }

    /// Requires a role. Compares exactly. Two calls require both roles.
    ///
    /// The guard reads the roles of the token, or with [`load_user`](Self::load_user) those that
    /// the user has now. It answers 403 `insufficient_role` without the role.
    ///
    /// With this and every requirement below, an optional guard refuses requests without a token.
    pub fn role(self, role: impl Into<String>) -> Self {
        self.any_role([role])
    }

    /// Requires one of these roles. Answers 403 `insufficient_role` without any of them.
    pub fn any_role(self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.require(Requirement::one_role_of(roles))
    }

    /// Requires a scope. Compares exactly. Two calls require both scopes.
    ///
    /// The guard answers 403 `insufficient_scope` to a token without it, with the challenge of RFC
    /// 6750 §3.1.
    ///
    /// Own tokens have the scopes that the app's
    /// [`custom_claims`](crate::AuthBuilder::custom_claims) write: see [`Claims::has_scope`].
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.any_scope([scope])
    }

    /// Requires one of these scopes.
    pub fn any_scope(self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.require(Requirement::one_scope_of(scopes))
    }

    /// Requires that a condition of the app holds. Answers 403 `forbidden` where it does not.
    ///
    /// The condition runs on every request and must not block. Check what needs a store in the
    /// handler.
    pub fn check_claims(self, allow: impl Fn(&Claims) -> bool + Send + Sync + 'static) -> Self {
        self.require(Requirement::Claims(Arc::new(allow)))
    }

    fn require(mut self, requirement: Requirement<Claims>) -> Self {
        self.guard.settings().requirements.add(requirement);
        self
    }
}

impl<S, U: AuthUser> tower_layer::Layer<S> for AuthLayer<U> {
    type Service = AuthService<S, U>;

    fn layer(&self, inner: S) -> AuthService<S, U> {
        AuthService::new(inner, self.guard.clone())
    }
}

impl<U: AuthUser> Clone for AuthLayer<U> {
    fn clone(&self) -> Self {
        Self { guard: self.guard.clone() }
    }
}

impl<U: AuthUser> fmt::Debug for AuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer").field("guard", &self.guard).finish()
    }
}
