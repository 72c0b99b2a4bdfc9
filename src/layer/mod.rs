//! The guard: a tower [`Layer`](tower_layer::Layer) that admits requests with a good access token.
//!
//! A request is admitted when, in this order:
//! 1. it has at most one `Authorization` header, and its Bearer token or else its access cookie is there (or the guard is
//!    [`optional`](Auth::optional) and neither is);
//! 2. where a cookie authenticates an unsafe method or a WebSocket upgrade, it comes from the same site;
//! 3. the token is well signed, in time, and nothing that it belongs to has ended;
//! 4. the roles that the guard asks for are in it.
//!
//! The handler finds [`Claims`] in the request's extensions, and [`CurrentUser`] where the guard loads the
//! user. A bad token is refused on optional routes too: a client that sends one believes to be signed in.
//!
//! On the stateless path nothing is boxed and nothing is awaited; the inner service that was polled ready is the one
//! that is called.

mod future;
mod service;

use std::{convert::Infallible, fmt, sync::Arc};

use http::Request;

pub use self::{future::ResponseFuture, service::AuthService};
use crate::{
    auth::{Auth, Authenticated, Check},
    error::{Error, ErrorKind},
    resource::{ForeignClaims, ResourceServer},
    token::Claims,
    user::AuthUser,
};

/// The user who makes the request, loaded from the store by the guard.
#[derive(Clone)]
pub struct CurrentUser<U>(pub U);

/// Names the user by id only: an app's own `Debug` may print the password hash.
impl<U: AuthUser> fmt::Debug for CurrentUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentUser").field(&self.0.id()).finish()
    }
}

/// The mark that a guard leaves on a request: extractors tell by it that there was one, and load the user with its stores.
///
/// Not generic, so that [`Claims`] need not name the user's type.
#[cfg(feature = "axum")]
#[derive(Clone)]
pub(crate) struct GuardMark(Arc<dyn std::any::Any + Send + Sync>);

#[cfg(feature = "axum")]
impl GuardMark {
    fn new<U: AuthUser>(gate: &Gate<U>) -> Self {
        match gate {
            Gate::Own(auth) => {
                let inner: Arc<dyn std::any::Any + Send + Sync> = Arc::<crate::auth::Inner<U>>::clone(&auth.0);
                Self(inner)
            }
            Gate::Foreign(server) => Self(server.inner()),
        }
    }

    /// The guard's `Auth`, if it is for users of this type.
    pub(crate) fn auth<U: AuthUser>(&self) -> Option<Auth<U>> {
        Arc::clone(&self.0).downcast::<crate::auth::Inner<U>>().ok().map(Auth)
    }
}

/// Wraps services so that they are reached with a good access token only; made by [`Auth::require`] and [`Auth::optional`].
///
/// ```
/// # use portcullis::{Auth, store::memory::MemoryStore};
/// # fn layers(auth: Auth<portcullis::User>) {
/// let signed_in = auth.require();
/// let admins = auth.require().role("admin");
/// let fresh_user = auth.require().load_user();
/// let anybody = auth.optional();
/// # }
/// ```
#[must_use]
pub struct AuthLayer<U: AuthUser> {
    pub(crate) gate: Gate<U>,
    pub(crate) guard: Arc<Guard>,
}

/// Who verifies: the service that issues, or one that only holds another's public keys.
pub(crate) enum Gate<U: AuthUser> {
    Own(Auth<U>),
    Foreign(ResourceServer),
}

impl<U: AuthUser> Clone for Gate<U> {
    fn clone(&self) -> Self {
        match self {
            Self::Own(auth) => Self::Own(auth.clone()),
            Self::Foreign(server) => Self::Foreign(server.clone()),
        }
    }
}

/// What a guard asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) optional: bool,
    pub(crate) check: Check,
    /// One of each group must be there.
    roles: Vec<Vec<String>>,
}

impl Guard {
    /// # Errors
    /// [`ErrorKind::InsufficientRole`] where a role is missing.
    pub(crate) fn authorize(&self, has_role: impl Fn(&str) -> bool) -> Result<(), Error> {
        let has_one_of = |group: &Vec<String>| group.iter().any(|role| has_role(role));
        if self.roles.iter().all(has_one_of) { Ok(()) } else { Err(ErrorKind::InsufficientRole.into()) }
    }
}

impl<U: AuthUser> Auth<U> {
    /// A guard that admits requests with a good access token; stateless unless told otherwise.
    pub fn require(&self) -> AuthLayer<U> {
        AuthLayer { gate: Gate::Own(self.clone()), guard: Arc::default() }
    }

    /// A guard that admits requests with a good access token or none at all.
    pub fn optional(&self) -> AuthLayer<U> {
        AuthLayer { gate: Gate::Own(self.clone()), guard: Arc::new(Guard { optional: true, ..Guard::default() }) }
    }
}

impl ResourceServer {
    /// A guard that admits requests with a good Bearer token; the handler finds
    /// [`ForeignClaims`] in the request's extensions. There are no users to load and no
    /// sessions to check: a guard that asks for them answers 500.
    pub fn require(&self) -> AuthLayer<Infallible> {
        AuthLayer { gate: Gate::Foreign(self.clone()), guard: Arc::default() }
    }

    /// A guard that admits requests with a good Bearer token or none at all.
    pub fn optional(&self) -> AuthLayer<Infallible> {
        AuthLayer { gate: Gate::Foreign(self.clone()), guard: Arc::new(Guard { optional: true, ..Guard::default() }) }
    }
}

impl<U: AuthUser> AuthLayer<U> {
    /// Loads the user as [`Check::User`] says and puts [`CurrentUser`] into the request's extensions.
    pub fn load_user(self) -> Self {
        self.check(Check::User)
    }

    /// Asks the store for the session as [`Check::Session`] says.
    pub fn check_session(self) -> Self {
        self.check(Check::Session)
    }

    fn check(mut self, check: Check) -> Self {
        Arc::make_mut(&mut self.guard).check = check;
        self
    }

    /// Asks for a role, compared exactly; told twice, it asks for both. A request without a token is refused then, on
    /// optional guards too.
    pub fn role(self, role: impl Into<String>) -> Self {
        self.any_role([role])
    }

    /// Asks for one of these roles.
    pub fn any_role(mut self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let guard = Arc::make_mut(&mut self.guard);
        guard.roles.push(roles.into_iter().map(Into::into).collect());
        guard.optional = false;
        self
    }
}

impl<U: AuthUser> AuthLayer<U> {
    /// Leaves the mark by which extractors tell that there was a guard.
    #[cfg(feature = "axum")]
    fn mark<B>(&self, request: &mut Request<B>) {
        request.extensions_mut().insert(GuardMark::new(&self.gate));
    }
}

/// Puts what the handler needs into the request, and takes out what a guard further out had put there for itself.
fn admit<U: AuthUser, B>(request: &mut Request<B>, admitted: Option<Authenticated<U>>) {
    let extensions = request.extensions_mut();
    extensions.remove::<Claims>();
    extensions.remove::<CurrentUser<U>>();
    let Some(Authenticated { claims, user }) = admitted else { return };
    extensions.insert(claims);
    if let Some(user) = user {
        extensions.insert(CurrentUser(user));
    }
}

/// The same for another issuer's claims.
fn admit_foreign<B>(request: &mut Request<B>, claims: Option<ForeignClaims>) {
    request.extensions_mut().remove::<ForeignClaims>();
    if let Some(claims) = claims {
        request.extensions_mut().insert(claims);
    }
}

impl<S, U: AuthUser> tower_layer::Layer<S> for AuthLayer<U> {
    type Service = AuthService<S, U>;

    fn layer(&self, inner: S) -> AuthService<S, U> {
        AuthService::new(inner, self.clone())
    }
}

impl<U: AuthUser> Clone for AuthLayer<U> {
    fn clone(&self) -> Self {
        Self { gate: self.gate.clone(), guard: Arc::clone(&self.guard) }
    }
}

impl<U: AuthUser> fmt::Debug for AuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer").field("guard", &self.guard).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
