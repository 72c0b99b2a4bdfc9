//! [`ResponseShape`]: what a shape of answers other than the standard one has to say.

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

/// Rewrites the standard requests and answers. The standard shape itself has none, so that nothing is rewritten.
pub(crate) trait ResponseShape: Send + Sync {
    /// Second paths of endpoints.
    fn aliases(&self) -> &'static [(Endpoint, &'static str)];

    /// Default names of the cookies of the access and the refresh token.
    fn cookie_names(&self) -> (&'static str, &'static str);

    /// Default of [`AuthBuilder::login_on_register`](crate::AuthBuilder::login_on_register).
    fn login_on_register(&self) -> bool;

    /// Turns the members of a request into those of the standard request.
    fn read(&self, spec: &EndpointSpec, types: ReadyTypes, fields: &mut Fields);

    /// The shape's name of a member of a request, where it is not the standard one.
    fn field_name(&self, spec: &EndpointSpec, types: ReadyTypes, standard: &str) -> Option<&'static str>;

    /// The status of a success that has this one in the standard shape.
    fn status(&self, standard: StatusCode) -> StatusCode;

    /// Writes the body of a success, from the one that the standard shape has.
    ///
    /// # Errors
    /// Where it cannot be written.
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
    /// Where it cannot be written.
    fn failure(&self, failure: &FailureBody) -> serde_json::Result<Vec<u8>>;

    /// The members of bodies, for the `OpenAPI` document.
    #[cfg(feature = "openapi")]
    fn schemas(&self) -> &'static ShapeSchemas;
}

/// Which of an app's types are the ready ones. A shape renames the members of those, and of no other type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadyTypes {
    /// [`AuthUser::Public`] is [`PublicUser`].
    pub(crate) user: bool,
    /// [`AuthUser::Registration`] is [`Profile`].
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

/// The members of the bodies that every endpoint shares.
#[cfg(feature = "openapi")]
pub(crate) struct ShapeSchemas {
    /// The ready user.
    pub(crate) user: &'static [FieldSpec],
    pub(crate) failure: &'static [FieldSpec],
    pub(crate) tokens: &'static [FieldSpec],
    /// The answer to a registration, where it is the same with and without a login.
    pub(crate) registration: Option<FieldKind>,
    /// What is around the answer of each endpoint.
    pub(crate) wrapper: Option<&'static [FieldSpec]>,
}

/// The members of a problem with one field.
#[cfg(feature = "openapi")]
pub(crate) const FIELD_ERROR: &[FieldSpec] = &[
    FieldSpec::required("field", FieldKind::Text),
    FieldSpec::required("code", FieldKind::Text),
    FieldSpec::required("message", FieldKind::Text),
];

/// The bodies of the standard shape. Failures are those of RFC 9457 with our `code` and `errors`.
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
