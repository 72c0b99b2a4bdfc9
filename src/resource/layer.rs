//! The layer of a resource server, with the methods that say what it requires.

use std::sync::Arc;

use super::{claims::ForeignClaims, guard::ResourceGuard, server::ResourceServer, service::ResourceService};
use crate::layer::{Requirement, Requirements};

/// Wraps services so that only requests with a valid Bearer token of the issuer reach them.
///
/// [`ResourceServer::require`] and [`ResourceServer::optional`] make it. The handler finds
/// [`ForeignClaims`] in the extensions of the request.
///
/// # Examples
///
/// ```
/// # use portcullis::resource::ResourceServer;
/// # fn layers(server: ResourceServer) {
/// let logged_in = server.require();
/// let writers = server.require().any_role(["editor", "author"]).scope("articles:write");
/// let one_client = server.require().check_claims(|claims| claims.client_id() == Some("reporting"));
/// let with_or_without_login = server.optional();
/// # }
/// ```
///
/// A resource server has neither users nor sessions, so its guard cannot check them. These do not
/// compile:
///
/// ```compile_fail,E0599
/// # fn layers(server: portcullis::resource::ResourceServer) {
/// let fresh_user = server.require().load_user();
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # fn layers(server: portcullis::resource::ResourceServer) {
/// let live_session = server.require().check_session();
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ResourceLayer {
    guard: ResourceGuard,
}

impl ResourceServer {
    /// Makes a guard that admits requests with a valid Bearer token.
    pub fn require(&self) -> ResourceLayer {
        ResourceLayer { guard: ResourceGuard::new(self, Requirements::valid_token()) }
    }

    /// Makes a guard that admits requests with a valid Bearer token or without a token.
    pub fn optional(&self) -> ResourceLayer {
        ResourceLayer { guard: ResourceGuard::new(self, Requirements::optional_token()) }
    }
}

impl ResourceLayer {
    /// Requires a role. Compares exactly. Two calls require both roles.
    ///
    /// The guard answers 403 `insufficient_role` to a token without the role.
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
    pub fn check_claims(self, allow: impl Fn(&ForeignClaims) -> bool + Send + Sync + 'static) -> Self {
        self.require(Requirement::Claims(Arc::new(allow)))
    }

    fn require(mut self, requirement: Requirement<ForeignClaims>) -> Self {
        self.guard.settings().requirements.add(requirement);
        self
    }
}

impl<S> tower_layer::Layer<S> for ResourceLayer {
    type Service = ResourceService<S>;

    fn layer(&self, inner: S) -> ResourceService<S> {
        ResourceService::new(inner, self.guard.clone())
    }
}
