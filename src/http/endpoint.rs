//! [`Endpoint`] names a ready endpoint, and [`EndpointSpec`] declares its properties.

use http::{Method, StatusCode};

use super::schema::{RequestSchema, SuccessSchema};
use crate::error::ErrorKind;

/// Names one of the ready endpoints.
///
/// [`AuthBuilder::endpoint_path`](crate::AuthBuilder::endpoint_path) moves an endpoint, and
/// [`AuthBuilder::without_endpoint`](crate::AuthBuilder::without_endpoint) switches it off.
///
/// # Examples
///
/// ```
/// use portcullis::{AuthBuilder, User, http::Endpoint};
///
/// fn configure(builder: AuthBuilder<User>) -> AuthBuilder<User> {
///     builder.endpoint_path(Endpoint::Me, "/account").without_endpoint(Endpoint::Register)
/// }
/// ```
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

/// Declares the properties of an endpoint that other code than its handler needs.
///
/// Each endpoint in `endpoints/` has one in its file. These read it: routing, the header `Allow`,
/// the cross-site check, the `OpenAPI` document, and the texts of the envelope.
#[derive(Debug)]
#[cfg_attr(not(feature = "openapi"), allow(dead_code, reason = "the document reads more of it than the service does"))]
pub(crate) struct EndpointSpec {
    pub(crate) endpoint: Endpoint,
    /// Methods of the path that the endpoint answers. `HEAD` comes with `GET`.
    pub(crate) methods: &'static [Method],
    /// Path below the mount path. It has at most one parameter. A parameter is a name in braces,
    /// such as `{id}`, and stands for one segment.
    pub(crate) path: &'static str,
    /// Credentials that the endpoint reads.
    pub(crate) caller: Caller,
    pub(crate) cross_site: CrossSiteRule,
    pub(crate) cookies: CookieEffect,
    /// Status of a success in the standard shape.
    pub(crate) status: StatusCode,
    pub(crate) request: Option<RequestSchema>,
    pub(crate) success: SuccessSchema,
    /// Failures in addition to those that follow from the other members.
    pub(crate) failures: &'static [&'static [ErrorKind]],
    /// The `operationId` of the `OpenAPI` document.
    pub(crate) operation_id: &'static str,
    /// The summary in the `OpenAPI` document, one line.
    pub(crate) summary: &'static str,
    /// The message of a success, in shapes that have one.
    pub(crate) message: &'static str,
}

/// Credentials that an endpoint reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// No credential: any client may call the endpoint.
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

/// When an endpoint checks that its requests come from an allowed origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrossSiteRule {
    /// Never, because the endpoint changes nothing and sets no cookie.
    Unchecked,
    /// Always, because the endpoint sets cookies and takes no Bearer token as its credential.
    /// [`Self::admits_without_cookies`] names the exception.
    Always,
    /// Unless the request brings a Bearer token. A page of another site cannot make a browser send
    /// one without a CORS preflight.
    UnlessBearer,
    /// Unless the request brings a Bearer token and no refresh cookie. The refresh cookie is a
    /// credential too.
    UnlessBearerAlone,
}

impl CrossSiteRule {
    /// Returns whether a request from another site may pass if it brings no cookie and its answer
    /// sets none.
    ///
    /// It may pass at endpoints that can receive and return tokens in bodies only. The app's CORS
    /// settings still apply.
    pub(crate) const fn admits_without_cookies(self) -> bool {
        matches!(self, Self::Always | Self::UnlessBearerAlone)
    }
}

/// What a success does to the cookies of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieEffect {
    None,
    /// Sets them, if tokens are delivered in cookies.
    Sets,
    /// Deletes them.
    Clears,
}

impl EndpointSpec {
    /// Returns every failure that the endpoint can answer: first those that follow from its other
    /// members, then its own. One that belongs to both comes twice.
    #[cfg(feature = "openapi")]
    pub(crate) fn all_failures(&self) -> impl Iterator<Item = ErrorKind> {
        const ALWAYS: &[ErrorKind] = &[ErrorKind::InvalidRequest, ErrorKind::Internal, ErrorKind::StoreUnavailable];
        const CROSS_SITE: &[ErrorKind] = &[ErrorKind::CrossSite];
        const BODY: &[ErrorKind] = &[ErrorKind::InvalidBody, ErrorKind::BodyTooLarge, ErrorKind::UnsupportedMediaType];
        // The guard is overloaded where it has to ask the store about too many sessions.
        const TOKEN: &[ErrorKind] = &[
            ErrorKind::TokenMissing,
            ErrorKind::TokenExpired,
            ErrorKind::TokenInvalid,
            ErrorKind::TokenRevoked,
            ErrorKind::Overloaded,
        ];
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
