//! Extractors for axum, and the endpoints as a router (feature `axum`).
//!
//! [`Claims`], [`Principal`] and [`CurrentUser`] are extractors behind the guard of an [`Auth`].
//! [`ForeignClaims`] is one behind the guard of a
//! [`ResourceServer`](crate::resource::ResourceServer). If an optional guard admits a request
//! without a token, each of them answers 401, and `Option` of it is `None`. If the route has no
//! guard, or a guard of the other kind, each of them answers 500 and logs the reason.
//!
//! [`CurrentUser`] needs no guard with [`load_user`](crate::AuthLayer::load_user). Where the guard
//! did not load the user, the extractor loads them itself, with one call to the store and the same
//! checks. A guard with `load_user` also makes [`role`](crate::AuthLayer::role) read the roles that
//! the user has now.
//!
//! # Examples
//!
//! ```
//! use axum::{Router, routing::get};
//! use portcullis::{Auth, Claims, CurrentUser, User};
//!
//! async fn profile(claims: Claims) -> String {
//!     claims.subject().to_string()
//! }
//! async fn account(CurrentUser(user): CurrentUser<User>) -> String {
//!     user.email
//! }
//! async fn greeting(claims: Option<Claims>) -> String {
//!     claims.map_or("stranger".into(), |claims| claims.subject().to_string())
//! }
//!
//! fn app(auth: &Auth<User>) -> Router {
//!     let logged_in = Router::new().route("/profile", get(profile)).route("/account", get(account));
//!     let anybody = Router::new().route("/greeting", get(greeting));
//!     auth.router()
//!         .merge(logged_in.route_layer(auth.require()))
//!         .merge(anybody.route_layer(auth.optional()))
//! }
//! ```
//!
//! # A page on another origin
//!
//! Use the CORS layer of `tower-http`. Put it around everything, because a preflight carries no
//! credentials and a guard outside of the layer would refuse it. Give it the same origins as
//! [`trusted_origin`](crate::AuthBuilder::trusted_origin). The endpoints refuse other origins, even
//! where CORS admits them. A page on another site, not only on another subdomain, gets cookies with
//! [`SameSite::None`](crate::http::SameSite::None) only. The
//! [guide](crate::guide::csrf_and_cors) compares the choices.
//!
//! ```
//! use axum::Router;
//! use http::{Method, header};
//! use portcullis::{Auth, User};
//! use tower_http::cors::CorsLayer;
//!
//! // Auth::builder(…).trusted_origin(PAGE).same_site(SameSite::None)
//! const PAGE: &str = "https://app.example.com";
//!
//! fn app(auth: &Auth<User>, routes: Router) -> Router {
//!     let cors = CorsLayer::new()
//!         .allow_origin([header::HeaderValue::from_static(PAGE)])
//!         .allow_credentials(true)
//!         .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
//!         .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION]);
//!     routes.route_layer(auth.require()).merge(auth.router()).layer(cors)
//! }
//! ```

use std::fmt;

use axum::Router;
use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::{
    auth::Auth,
    error::{Error, ErrorKind},
    http::response::{grpc, responder::Responder},
    layer::{CurrentUser, GuardMark, Principal},
    resource::ForeignClaims,
    store::StoreError,
    token::Claims,
    user::AuthUser,
};

impl<U: AuthUser> Auth<U> {
    /// Returns the ready endpoints as a router to merge.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let mount = self.0.http.table.mount_path();
        let router = Router::new().route_service(&format!("{mount}/{{*rest}}"), self.routes());
        let router = router.route_service(&format!("{mount}/"), self.routes());
        // axum accepts no empty path.
        if mount.is_empty() { router } else { router.route_service(mount, self.routes()) }
    }

    /// Turns the [`Error`] of a flow into a rejection that a handler returns. The answer has the
    /// shape of the other answers of this `Auth`.
    pub fn rejection(&self, error: impl Into<Error>) -> AuthRejection {
        AuthRejection { error: error.into(), grpc: false, guard: Some(GuardMark::of(self)) }
    }
}

/// The rejection of an extractor. It answers with the same bytes as the guard.
///
/// A handler may return it for an [`Error`] of a flow or a [`StoreError`]. `?` makes one in the
/// standard shape, and [`Auth::rejection`] one in the shape of an `Auth`.
///
/// # Examples
/// ```
/// use axum::response::IntoResponse;
/// use http::StatusCode;
/// use portcullis::{User, axum::AuthRejection, store::{StoreError, UserAdmin}, user::UserId};
///
/// async fn enable(users: &impl UserAdmin<User = User>, id: &UserId) -> Result<StatusCode, AuthRejection> {
///     let is_known = users.set_disabled(id, false).await?;
///     Ok(if is_known { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
/// }
///
/// fn status(error: StoreError) -> StatusCode {
///     AuthRejection::from(error).into_response().status()
/// }
/// assert_eq!(status(StoreError::unavailable("no answer within 5 s")), StatusCode::SERVICE_UNAVAILABLE);
/// assert_eq!(status(StoreError::internal("no such table")), StatusCode::INTERNAL_SERVER_ERROR);
/// ```
pub struct AuthRejection {
    error: Error,
    grpc: bool,
    guard: Option<GuardMark>,
}

impl AuthRejection {
    /// Returns the cause.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        let responder = self.guard.as_ref().map_or(&Responder::STANDARD, GuardMark::responder);
        responder.refusal(&self.error, self.grpc).map(Body::new)
    }
}

impl From<Error> for AuthRejection {
    fn from(error: Error) -> Self {
        Self { error, grpc: false, guard: None }
    }
}

/// Makes the rejection of the [`Error`] that a flow returns for a failure of the store: 503 for an
/// outage, 409 for a value that another user has, 500 for anything else.
impl From<StoreError> for AuthRejection {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl fmt::Debug for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRejection").field("error", &self.error).finish_non_exhaustive()
    }
}

fn refuse(parts: &Parts, error: impl Into<Error>) -> AuthRejection {
    let guard = GuardMark::find(&parts.extensions).cloned();
    AuthRejection { error: error.into(), grpc: grpc::is_grpc(&parts.method, &parts.headers), guard }
}

fn misused(parts: &Parts, fix: &'static str) -> AuthRejection {
    refuse(parts, Error::internal(fix))
}

/// What a guard puts into requests and an extractor takes out again.
trait ByGuard: Clone + Send + Sync + 'static {
    /// The claims of the guards that put it there.
    type Claims: 'static;

    /// The message for the log where another kind of guard admits the requests.
    const OTHER_GUARD: &'static str;
}

impl ByGuard for Claims {
    type Claims = Self;

    const OTHER_GUARD: &'static str = "`Claims`, `Principal` or `CurrentUser` behind the guard of a `ResourceServer`: \
         extract `ForeignClaims`, or use the guard of an `Auth`";
}

impl<U: AuthUser> ByGuard for CurrentUser<U> {
    type Claims = Claims;

    const OTHER_GUARD: &'static str = Claims::OTHER_GUARD;
}

impl ByGuard for ForeignClaims {
    type Claims = Self;

    const OTHER_GUARD: &'static str =
        "`ForeignClaims` behind the guard of an `Auth`: extract `Claims`, or use the guard of a `ResourceServer`";
}

/// Returns the mark of the guard that the request has passed last.
///
/// No token could bring what the extractor looks for where there is no guard, or a guard of another
/// kind. Both are faults of the app.
fn guard<T: ByGuard>(parts: &Parts) -> Result<GuardMark, AuthRejection> {
    let Some(mark) = GuardMark::find(&parts.extensions) else {
        return Err(misused(
            parts,
            "an extractor of portcullis ran without its guard: wrap the route with `.route_layer(auth.require())`",
        ));
    };
    if !mark.admits::<T::Claims>() && parts.extensions.get::<T>().is_none() {
        return Err(misused(parts, T::OTHER_GUARD));
    }
    Ok(mark.clone())
}

fn find<T: ByGuard>(parts: &Parts) -> Result<Option<T>, AuthRejection> {
    guard::<T>(parts)?;
    Ok(parts.extensions.get::<T>().cloned())
}

fn required<T>(parts: &Parts, found: Option<T>) -> Result<T, AuthRejection> {
    found.ok_or_else(|| refuse(parts, ErrorKind::TokenMissing))
}

impl<S: Sync> FromRequestParts<S> for Claims {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AuthRejection> {
        required(parts, find(parts)?)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Claims {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthRejection> {
        find(parts)
    }
}

impl<S: Sync> FromRequestParts<S> for ForeignClaims {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AuthRejection> {
        required(parts, find(parts)?)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for ForeignClaims {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthRejection> {
        find(parts)
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AuthRejection> {
        let principal = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        required(parts, principal)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthRejection> {
        guard::<Claims>(parts)?;
        Ok(Self::find(&parts.extensions))
    }
}

/// Extracts the user that the guard loaded.
///
/// Where the guard did not load the user, the extractor loads them itself. That costs one store
/// round trip. The checks and the refusals are those of
/// [`load_user`](crate::AuthLayer::load_user). A second extractor of the same request uses the user
/// that the first one loaded.
impl<S: Sync, U: AuthUser> FromRequestParts<S> for CurrentUser<U> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AuthRejection> {
        let user = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        required(parts, user)
    }
}

impl<S: Sync, U: AuthUser> OptionalFromRequestParts<S> for CurrentUser<U> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthRejection> {
        let mark = guard::<Self>(parts)?;
        if let Some(user) = parts.extensions.get::<Self>() {
            return Ok(Some(user.clone()));
        }
        let Some(claims) = parts.extensions.get::<Claims>() else {
            return Ok(None);
        };
        let auth = mark
            .auth::<U>()
            .ok_or_else(|| misused(parts, "`CurrentUser<U>` names another user type than the guard's `Auth<U>`"))?;
        let user = auth.load_user(claims).await.map_err(|error| refuse(parts, error))?;
        parts.extensions.insert(Self(user.clone()));
        Ok(Some(Self(user)))
    }
}
