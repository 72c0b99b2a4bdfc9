//! The guard: a tower [`Layer`](tower_layer::Layer) that admits requests with a good access token.
//!
//! A request is admitted when, in this order:
//! 1. it has at most one `Authorization` header, and its Bearer token or else its access cookie is there (or the guard is
//!    [`optional`](Auth::optional) and neither is);
//! 2. where a cookie authenticates an unsafe method or a WebSocket upgrade, it comes from the same site;
//! 3. the token is well signed, in time, and nothing that it belongs to has ended;
//! 4. its session is live in the store, where [`check_session`](AuthLayer::check_session) asks for that;
//! 5. its user may log in, where [`load_user`](AuthLayer::load_user) asks for that;
//! 6. the roles and scopes that the guard asks for are there, and the app's own conditions hold, in the order in which the
//!    guard's methods were called.
//!
//! Each method of the guard adds its check and removes no other. The order of `load_user` and `check_session` changes
//! nothing.
//!
//! The handler finds [`Claims`] in the request's extensions, and [`CurrentUser`] where the guard loads the
//! user. A bad token is refused on optional routes too: a client that sends one believes to be signed in.
//!
//! On the stateless path nothing is boxed and nothing is awaited; the inner service that was polled ready is the one
//! that is called.
//!
//! # Before an upgrade, as to a WebSocket
//!
//! A handshake is a request like any other: put the route that upgrades behind a guard, and the handler that answers 101 is
//! reached by verified requests alone. Programs send `Authorization: Bearer`. Browsers cannot set headers on a handshake;
//! theirs brings the access cookie, so keep tokens in cookies ([`Delivery::Cookie`](crate::Delivery::Cookie)) and let the
//! page connect to its own origin. As no CORS protects a handshake, one that a cookie authenticates has to come from the
//! same origin, which browsers say in `Origin`, or from a [trusted one](crate::AuthBuilder::trusted_origin). That origin has to
//! be https, unless cookies are insecure; to develop over plain HTTP with the usual ones trust `http://localhost:3000` by name,
//! because Chromium sends no `Sec-Fetch-Site` with a handshake.
//! There is deliberately no token in the query string, which servers and proxies write into logs.
//!
//! A connection outlives the request that opened it, and nothing closes it by itself when its user logs out:
//! [`Auth::until_ended`] waits for the end of its session, by whatever ended it and on whichever node, or of its token. The
//! example `websocket` then closes with a code of its own, upon which its page refreshes and connects again if it may.

mod future;
mod requirements;
mod service;

use std::{convert::Infallible, fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use self::requirements::{Demand, Guard};
pub use self::{future::ResponseFuture, service::AuthService};
use crate::{
    auth::{Auth, Authenticated, Check},
    error::Error,
    http::format::Responder,
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

/// The mark that a guard leaves on a request: extractors tell by it that there was one, load the user with its stores, and
/// refuse with its answers.
///
/// Not generic, so that [`Claims`] need not name the user's type.
#[cfg(feature = "axum")]
#[derive(Clone)]
pub(crate) struct GuardMark(Arc<dyn Guarding>);

/// What is behind a guard.
#[cfg(feature = "axum")]
trait Guarding: std::any::Any + Send + Sync {
    fn responder(&self) -> &Responder;

    /// Whether it admits by another issuer's tokens.
    fn is_foreign(&self) -> bool;
}

#[cfg(feature = "axum")]
impl<U: AuthUser> Guarding for crate::auth::Inner<U> {
    fn responder(&self) -> &Responder {
        &self.http.responder
    }

    fn is_foreign(&self) -> bool {
        false
    }
}

#[cfg(feature = "axum")]
impl Guarding for crate::resource::Inner {
    fn responder(&self) -> &Responder {
        &Responder::STANDARD
    }

    fn is_foreign(&self) -> bool {
        true
    }
}

#[cfg(feature = "axum")]
impl GuardMark {
    fn new<U: AuthUser>(gate: &Gate<U>) -> Self {
        match gate {
            Gate::Own(auth) => Self::of(auth),
            Gate::Foreign(server) => Self(server.inner()),
        }
    }

    /// That of the guard which a request has come through last.
    pub(crate) fn find(extensions: &http::Extensions) -> Option<&Self> {
        let of_claims = || extensions.get::<Claims>()?.guard()?.downcast_ref();
        extensions.get::<Self>().or_else(of_claims)
    }

    pub(crate) fn of<U: AuthUser>(auth: &Auth<U>) -> Self {
        let inner: Arc<dyn Guarding> = Arc::<crate::auth::Inner<U>>::clone(&auth.0);
        Self(inner)
    }

    /// The guard's `Auth`, if it is for users of this type.
    pub(crate) fn auth<U: AuthUser>(&self) -> Option<Auth<U>> {
        let inner: Arc<dyn std::any::Any + Send + Sync> = Arc::<dyn Guarding>::clone(&self.0);
        inner.downcast::<crate::auth::Inner<U>>().ok().map(Auth)
    }

    /// What the guard answers with.
    pub(crate) fn responder(&self) -> &Responder {
        self.0.responder()
    }

    /// Whether the guard admits by another issuer's tokens, so that the request has [`ForeignClaims`] and no [`Claims`].
    pub(crate) fn is_foreign(&self) -> bool {
        self.0.is_foreign()
    }
}

/// Wraps services so that they are reached with a good access token only; made by [`Auth::require`] and [`Auth::optional`].
///
/// ```
/// # use portcullis::{Auth, store::memory::MemoryStore};
/// # fn layers(auth: Auth<portcullis::User>) {
/// let logged_in = auth.require();
/// let admins = auth.require().role("admin");
/// let writers = auth.require().any_role(["editor", "author"]).scope("articles:write");
/// let just_signed_in = auth.require().check_claims(|claims| claims.auth_time() == Some(claims.issued_at()));
/// let fresh_user = auth.require().load_user();
/// let fresh_user_and_session = auth.require().load_user().check_session();
/// let anybody = auth.optional();
/// # }
/// ```
#[must_use]
pub struct AuthLayer<U: AuthUser> {
    /// One handle to everything, because routers clone their services for each request.
    shared: Arc<Shared<U>>,
}

/// What the clones of a layer share.
#[derive(Clone)]
struct Shared<U: AuthUser> {
    gate: Gate<U>,
    guard: Guard,
    /// A [`GuardMark`], made once.
    #[cfg(feature = "axum")]
    mark: Arc<dyn std::any::Any + Send + Sync>,
}

/// Who verifies: the service that issues, or one that only holds another's public keys.
enum Gate<U: AuthUser> {
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

impl<U: AuthUser> Auth<U> {
    /// A guard that admits requests with a good access token; stateless unless told otherwise.
    pub fn require(&self) -> AuthLayer<U> {
        AuthLayer::new(Gate::Own(self.clone()), Guard::default())
    }

    /// A guard that admits requests with a good access token or none at all.
    pub fn optional(&self) -> AuthLayer<U> {
        AuthLayer::new(Gate::Own(self.clone()), Guard::optional())
    }
}

impl ResourceServer {
    /// A guard that admits requests with a good Bearer token; the handler finds
    /// [`ForeignClaims`] in the request's extensions. There are no users to load and no
    /// sessions to check: a guard that asks for them answers 500.
    pub fn require(&self) -> AuthLayer<Infallible> {
        AuthLayer::new(Gate::Foreign(self.clone()), Guard::default())
    }

    /// A guard that admits requests with a good Bearer token or none at all.
    pub fn optional(&self) -> AuthLayer<Infallible> {
        AuthLayer::new(Gate::Foreign(self.clone()), Guard::optional())
    }
}

impl<U: AuthUser> AuthLayer<U> {
    fn new(gate: Gate<U>, guard: Guard) -> Self {
        #[cfg(feature = "axum")]
        let mark = Arc::new(GuardMark::new(&gate));
        let shared = Shared {
            gate,
            guard,
            #[cfg(feature = "axum")]
            mark,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds the check of the user as [`Check::User`] says, and puts [`CurrentUser`] into the request's extensions.
    ///
    /// One store round trip for each request.
    pub fn load_user(self) -> Self {
        self.check(Check::User)
    }

    /// Adds the check of the session as [`Check::Session`] says.
    ///
    /// One store round trip for each request.
    pub fn check_session(self) -> Self {
        self.check(Check::Session)
    }

    fn check(mut self, check: Check) -> Self {
        let guard = &mut Arc::make_mut(&mut self.shared).guard;
        guard.check = guard.check.and(check);
        self
    }

    /// Asks for a role, compared exactly; told twice, it asks for both. The roles are those of the token, and with
    /// [`load_user`](Self::load_user) those that the user has by now. A request without a token is refused then, on
    /// optional guards too, as by every demand below.
    pub fn role(self, role: impl Into<String>) -> Self {
        self.any_role([role])
    }

    /// Asks for one of these roles; who has none of them is answered 403 `insufficient_role`.
    pub fn any_role(self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.demand(Demand::Role(roles.into_iter().map(Into::into).collect()))
    }

    /// Asks for a scope, compared exactly; told twice, it asks for both. A token without it is answered 403
    /// `insufficient_scope`, with the challenge of RFC 6750 §3.1.
    ///
    /// Tokens of our own have the scopes that the app's [`custom_claims`](crate::AuthBuilder::custom_claims) write: see
    /// [`Claims::has_scope`].
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.any_scope([scope])
    }

    /// Asks for one of these scopes.
    pub fn any_scope(self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.demand(Demand::Scope(scopes.into_iter().map(Into::into).collect()))
    }

    /// Asks for what the app makes of the claims; where it says no, the answer is 403 `forbidden`.
    ///
    /// It runs on every request and must not block: what needs a store is asked in the handler.
    pub fn check_claims(self, allow: impl Fn(&Claims) -> bool + Send + Sync + 'static) -> Self {
        self.demand(Demand::Claims(Arc::new(allow)))
    }

    fn demand(mut self, demand: Demand) -> Self {
        Arc::make_mut(&mut self.shared).guard.demand(demand);
        self
    }
}

impl AuthLayer<Infallible> {
    /// [`check_claims`](Self::check_claims) for the guard of a [`ResourceServer`].
    pub fn check_foreign_claims(self, allow: impl Fn(&ForeignClaims) -> bool + Send + Sync + 'static) -> Self {
        self.demand(Demand::ForeignClaims(Arc::new(allow)))
    }
}

impl<U: AuthUser> AuthLayer<U> {
    /// The answer to a request that is not admitted.
    fn refuse(&self, error: &Error, grpc: bool) -> Response<Full<Bytes>> {
        let responder = match &self.shared.gate {
            Gate::Own(auth) => &auth.0.http.responder,
            Gate::Foreign(_) => &Responder::STANDARD,
        };
        responder.refusal(error, grpc)
    }

    /// Puts what the handler needs into the request, and takes out what a guard further out had put there for itself.
    #[cfg_attr(not(feature = "axum"), expect(clippy::unused_self, reason = "the mark is for extractors"))]
    fn admit<B>(&self, request: &mut Request<B>, admitted: Option<Authenticated<U>>) {
        let extensions = request.extensions_mut();
        extensions.remove::<Claims>();
        extensions.remove::<CurrentUser<U>>();
        let Some(Authenticated { claims, user }) = admitted else {
            #[cfg(feature = "axum")]
            self.leave_mark(request);
            return;
        };
        #[cfg(feature = "axum")]
        let claims = claims.admitted_by(Arc::clone(&self.shared.mark));
        #[cfg(feature = "axum")]
        extensions.remove::<GuardMark>();
        extensions.insert(claims);
        if let Some(user) = user {
            extensions.insert(CurrentUser(user));
        }
    }

    /// The mark of a request that has no claims to carry it.
    #[cfg(feature = "axum")]
    fn leave_mark<B>(&self, request: &mut Request<B>) {
        request.extensions_mut().insert(GuardMark::new(&self.shared.gate));
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
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<U: AuthUser> fmt::Debug for AuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer").field("guard", &self.shared.guard).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
