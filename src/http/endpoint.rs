//! [`Endpoint`], which names a ready endpoint, and [`EndpointSpec`], which declares everything about one.

use http::{Method, StatusCode};

use super::schema::{RequestSchema, SuccessSchema};
use crate::error::ErrorKind;

/// Names one of the ready endpoints, to move it with [`AuthBuilder::endpoint_path`](crate::AuthBuilder::endpoint_path) or to
/// switch it off with [`AuthBuilder::without_endpoint`](crate::AuthBuilder::without_endpoint).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `POST /register`
    Register,
    /// `POST /login`
    Login,
    /// `POST /refresh`
    Refresh,
    /// `POST /logout`
    Logout,
    /// `POST /logout-all`
    LogoutAll,
    /// `GET /me`
    Me,
    /// `GET /sessions`
    Sessions,
    /// `DELETE /sessions/{id}`
    EndSession,
    /// `PUT /password`
    ChangePassword,
    /// `GET /.well-known/jwks.json`
    Jwks,
    /// `GET /openapi.json` (feature `openapi`)
    #[cfg(feature = "openapi")]
    OpenApi,
}

/// Declares everything about an endpoint that more than its handler has to know.
///
/// Each file of `endpoints/` has one. Routing and `Allow`, the cross-site check, the `OpenAPI` document and the texts of the
/// envelope are read from it.
#[derive(Debug)]
#[cfg_attr(not(feature = "openapi"), allow(dead_code, reason = "the document reads more of it than the service does"))]
pub(crate) struct EndpointSpec {
    pub(crate) endpoint: Endpoint,
    /// Methods of the path that the endpoint answers. `HEAD` comes with `GET`.
    pub(crate) methods: &'static [Method],
    /// Path below the mount path. A name in braces, such as `{id}`, stands for one segment. There is at most one.
    pub(crate) path: &'static str,
    /// Credentials that the endpoint reads.
    pub(crate) caller: Caller,
    pub(crate) cross_site: CrossSiteRule,
    pub(crate) cookies: CookieEffect,
    /// Status of a success in the standard shape.
    pub(crate) status: StatusCode,
    pub(crate) request: Option<RequestSchema>,
    pub(crate) success: SuccessSchema,
    /// Failures beside those that follow from the other members.
    pub(crate) failures: &'static [&'static [ErrorKind]],
    /// The `operationId` of the `OpenAPI` document.
    pub(crate) operation_id: &'static str,
    /// One line of the `OpenAPI` document.
    pub(crate) summary: &'static str,
    /// What a success says in a shape that has a text for it.
    pub(crate) message: &'static str,
}

/// Credentials that an endpoint reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// None: anyone may call it.
    Anyone,
    /// An access token as Bearer or cookie.
    AccessToken,
    /// A refresh token as cookie or in the body.
    RefreshToken,
    /// Any token that the request brings, valid or not.
    AnyToken,
}

impl Caller {
    /// Returns whether the cookie of the refresh token has to reach the endpoint.
    pub(crate) const fn reads_refresh_cookie(self) -> bool {
        matches!(self, Self::RefreshToken | Self::AnyToken)
    }
}

/// When an endpoint checks where its requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrossSiteRule {
    /// Never: it changes nothing and sets no cookie.
    Unchecked,
    /// Always: it sets cookies, and no Bearer token is its credential. See [`Self::admits_without_cookies`].
    Always,
    /// Unless a Bearer token is its credential. No page of another site can make a browser send one unasked.
    UnlessBearer,
    /// Unless the request brings a Bearer token and no cookie of a refresh token, which is a credential as well.
    UnlessBearerAlone,
}

impl CrossSiteRule {
    /// Returns whether a request of another site may pass that brings no cookie, and whose answer sets none.
    ///
    /// It may where the tokens can be in the bodies alone, unless the app's CORS refuses.
    pub(crate) const fn admits_without_cookies(self) -> bool {
        matches!(self, Self::Always | Self::UnlessBearerAlone)
    }
}

/// What a success does to the cookies of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieEffect {
    None,
    /// It sets them, where tokens are delivered in cookies.
    Sets,
    /// It deletes them.
    Clears,
}

impl EndpointSpec {
    /// Returns every failure that the endpoint answers with: those that follow from its other members, then its own.
    #[cfg(feature = "openapi")]
    pub(crate) fn all_failures(&self) -> impl Iterator<Item = ErrorKind> {
        const ALWAYS: &[ErrorKind] = &[ErrorKind::InvalidRequest, ErrorKind::Internal, ErrorKind::StoreUnavailable];
        const CROSS_SITE: &[ErrorKind] = &[ErrorKind::CrossSite];
        const BODY: &[ErrorKind] = &[ErrorKind::InvalidBody, ErrorKind::BodyTooLarge, ErrorKind::UnsupportedMediaType];
        const TOKEN: &[ErrorKind] =
            &[ErrorKind::TokenMissing, ErrorKind::TokenExpired, ErrorKind::TokenInvalid, ErrorKind::TokenRevoked];
        let implied = [
            (!matches!(self.success, SuccessSchema::Document { .. }), ALWAYS),
            (self.cross_site != CrossSiteRule::Unchecked, CROSS_SITE),
            (self.request.is_some(), BODY),
            (self.caller == Caller::AccessToken, TOKEN),
        ];
        let implied = implied.into_iter().filter(|(applies, _)| *applies).map(|(_, kinds)| kinds);
        implied.chain(self.failures.iter().copied()).flatten().copied()
    }
}

/// Failures of an endpoint that hashes a password.
pub(crate) const PASSWORD_FAILURES: &[ErrorKind] =
    &[ErrorKind::ValidationFailed, ErrorKind::TooManyAttempts, ErrorKind::Overloaded];
