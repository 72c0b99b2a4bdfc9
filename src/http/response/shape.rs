//! [`ResponseShape`]: the differences between another shape of answers and the standard one.

use std::any::TypeId;

use http::StatusCode;
use serde_json::Value;

use super::problem::FailureBody;
#[cfg(feature = "openapi")]
use crate::http::schema::{FieldKind, FieldSpec};
use crate::{
    http::{
        endpoint::{Endpoint, EndpointSpec},
        request::body::Fields,
    },
    user::{AuthUser, Profile, PublicUser},
};

/// Rewrites requests to the standard shape, and answers from it. The standard shape itself does not
/// implement it, because it needs no rewriting.
pub(crate) trait ResponseShape: Send + Sync {
    /// Returns second paths of endpoints.
    fn aliases(&self) -> &'static [(Endpoint, &'static str)];

    /// Returns the default names of the access cookie and the refresh cookie.
    fn cookie_names(&self) -> (&'static str, &'static str);

    /// Returns the default of
    /// [`AuthBuilder::login_on_register`](crate::AuthBuilder::login_on_register).
    fn login_on_register(&self) -> bool;

    /// Turns the members of a request into those of the standard request.
    fn read(&self, spec: &EndpointSpec, types: ReadyTypes, fields: &mut Fields);

    /// Returns the shape's name for a member of a request, if it differs from the standard name.
    fn field_name(&self, spec: &EndpointSpec, types: ReadyTypes, standard: &str) -> Option<&'static str>;

    /// Returns the status of a success, given its status in the standard shape.
    fn status(&self, standard: StatusCode) -> StatusCode;

    /// Writes the body of a success from the standard body.
    ///
    /// # Errors
    /// An error of `serde_json` if a value cannot be written.
    fn success(
        &self,
        spec: &EndpointSpec,
        status: StatusCode,
        types: ReadyTypes,
        body: Option<Value>,
    ) -> serde_json::Result<Vec<u8>>;

    /// Writes the body of a failure.
    ///
    /// # Errors
    /// An error of `serde_json` if a value cannot be written.
    fn failure(&self, failure: &FailureBody) -> serde_json::Result<Vec<u8>>;

    /// Returns the members of bodies, for the `OpenAPI` document.
    #[cfg(feature = "openapi")]
    fn schemas(&self) -> &'static ShapeSchemas;
}

/// Which types of the app are ready types of this crate. A shape renames members of ready types
/// only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyTypes {
    /// Whether [`AuthUser::Public`] is [`PublicUser`].
    pub(crate) user: bool,
    /// Whether [`AuthUser::Registration`] is [`Profile`].
    pub(crate) profile: bool,
}

impl ReadyTypes {
    pub(crate) fn of<U: AuthUser>() -> Self {
        Self {
            user: TypeId::of::<U::Public>() == TypeId::of::<PublicUser>(),
            profile: TypeId::of::<U::Registration>() == TypeId::of::<Profile>(),
        }
    }
}

/// The members of bodies that several endpoints share.
#[cfg(feature = "openapi")]
pub(crate) struct ShapeSchemas {
    /// The ready [`PublicUser`].
    pub(crate) user: &'static [FieldSpec],
    pub(crate) failure: &'static [FieldSpec],
    pub(crate) tokens: &'static [FieldSpec],
    /// The answer to a registration, if it is the same with and without a login.
    pub(crate) registration: Option<FieldKind>,
    /// The wrapper around the answer of each endpoint.
    pub(crate) wrapper: Option<&'static [FieldSpec]>,
}

/// The members of an error about one field.
#[cfg(feature = "openapi")]
pub(crate) const FIELD_ERROR: &[FieldSpec] = &[
    FieldSpec::required("field", FieldKind::Text),
    FieldSpec::required("code", FieldKind::Text),
    FieldSpec::required("message", FieldKind::Text),
];

/// The bodies of the standard shape. Failures follow RFC 9457 and add the members `code` and
/// `errors`.
#[cfg(feature = "openapi")]
pub(crate) static STANDARD: ShapeSchemas = ShapeSchemas {
    user: &[
        FieldSpec::required("id", FieldKind::Text),
        FieldSpec::required("email", FieldKind::Text),
        FieldSpec::optional("username", FieldKind::NullableText),
        FieldSpec::optional("name", FieldKind::NullableText),
        FieldSpec::optional("avatar_url", FieldKind::NullableText),
        FieldSpec::required("roles", FieldKind::Texts),
        FieldSpec::required("created_at", FieldKind::Time),
    ],
    failure: &[
        FieldSpec::required("type", FieldKind::Text),
        FieldSpec::required("title", FieldKind::Text),
        FieldSpec::required("status", FieldKind::Integer),
        FieldSpec::required("code", FieldKind::Text),
        FieldSpec::required("detail", FieldKind::Text),
        FieldSpec::optional("errors", FieldKind::List(FIELD_ERROR)),
    ],
    tokens: &[
        FieldSpec::required("user", FieldKind::User),
        FieldSpec::optional("access_token", FieldKind::Text),
        FieldSpec::optional("refresh_token", FieldKind::Text),
        FieldSpec::optional("token_type", FieldKind::Bearer),
        FieldSpec::optional("expires_in", FieldKind::Integer),
    ],
    registration: None,
    wrapper: None,
};
