//! For axum (feature `axum`): extractors, and the endpoints as a router.
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
//! CORS is `tower-http`'s. It goes around everything, because a preflight carries no credentials and a guard outside of it
//! would refuse it; and it is told the same origins as [`trusted_origin`](crate::AuthBuilder::trusted_origin), or the endpoints
//! refuse what CORS lets through. A page on another *site* (not merely another subdomain) gets cookies with
//! [`SameSite::None`](crate::SameSite::None) only; what there is to choose is in a [guide](crate::guide::csrf_and_cors).
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
    http::{format::Responder, respond},
    layer::{CurrentUser, GuardMark},
    resource::ForeignClaims,
    token::Claims,
    user::AuthUser,
};

impl<U: AuthUser> Auth<U> {
    /// The ready endpoints as a router to merge.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let mount = self.0.http.table.mount_path();
        let router = Router::new().route_service(&format!("{mount}/{{*rest}}"), self.routes());
        let router = router.route_service(&format!("{mount}/"), self.routes());
        // A router has no empty path.
        if mount.is_empty() { router } else { router.route_service(mount, self.routes()) }
    }
}

impl<U: AuthUser> Auth<U> {
    /// What a handler returns for an [`Error`] of a flow, in the shape of this `Auth`'s other answers.
    pub fn rejection(&self, error: impl Into<Error>) -> AuthRejection {
        AuthRejection { error: error.into(), grpc: false, guard: Some(GuardMark::of(self)) }
    }
}

/// Why an extractor refused, with the same bytes as the guard's; also what a handler may return for an [`Error`] of a flow:
/// in the standard shape by `?`, in that of an `Auth` by [`Auth::rejection`].
pub struct AuthRejection {
    error: Error,
    grpc: bool,
    guard: Option<GuardMark>,
}

impl AuthRejection {
    /// What was wrong.
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

impl fmt::Debug for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRejection").field("error", &self.error).finish_non_exhaustive()
    }
}

fn refuse(parts: &Parts, error: impl Into<Error>) -> AuthRejection {
    let guard = GuardMark::find(&parts.extensions).cloned();
    AuthRejection { error: error.into(), grpc: respond::is_grpc(&parts.method, &parts.headers), guard }
}

fn guard(parts: &Parts) -> Result<GuardMark, AuthRejection> {
    let mend = "an extractor of portcullis ran without its guard: wrap the route with `.route_layer(auth.require())`";
    let mark = GuardMark::find(&parts.extensions).cloned();
    mark.ok_or_else(|| refuse(parts, Error::internal(mend)))
}

/// Refuses a request that brings no token; behind a guard of the other kind, that no token could bring what the extractor
/// looks for is the app's fault.
fn missing(parts: &Parts, foreign: bool) -> AuthRejection {
    if GuardMark::find(&parts.extensions).is_some_and(|mark| mark.is_foreign() == foreign) {
        return refuse(parts, ErrorKind::TokenMissing);
    }
    let fix = if foreign {
        "`ForeignClaims` behind the guard of an `Auth`: extract `Claims`, or use the guard of a `ResourceServer`"
    } else {
        "`Claims` or `CurrentUser` behind the guard of a `ResourceServer`: extract `ForeignClaims`, or use the guard of an \
         `Auth`"
    };
    refuse(parts, Error::new(ErrorKind::Internal).with_source(fix))
}

impl<S: Sync> FromRequestParts<S> for Claims {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AuthRejection> {
        let claims = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        claims.ok_or_else(|| missing(parts, false))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Claims {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthRejection> {
        guard(parts)?;
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl<S: Sync> FromRequestParts<S> for ForeignClaims {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AuthRejection> {
        let claims = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        claims.ok_or_else(|| missing(parts, true))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for ForeignClaims {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthRejection> {
        guard(parts)?;
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// The user whom the guard loaded, or whom this loads now (one store round trip) where the guard is stateless.
impl<S: Sync, U: AuthUser> FromRequestParts<S> for CurrentUser<U> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AuthRejection> {
        let user = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        user.ok_or_else(|| missing(parts, false))
    }
}

impl<S: Sync, U: AuthUser> OptionalFromRequestParts<S> for CurrentUser<U> {
    type Rejection = AuthRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, AuthRejection> {
        let mark = guard(parts)?;
        if let Some(user) = parts.extensions.get::<Self>() {
            return Ok(Some(user.clone()));
        }
        let Some(claims) = parts.extensions.get::<Claims>() else {
            return Ok(None);
        };
        let mend = "`CurrentUser<U>` names another user type than the guard's `Auth<U>`";
        let auth = mark.auth::<U>().ok_or_else(|| refuse(parts, Error::internal(mend)))?;
        let user = auth.load_user(claims).await.map_err(|error| refuse(parts, error))?;
        parts.extensions.insert(Self(user.clone()));
        Ok(Some(Self(user)))
    }
}
