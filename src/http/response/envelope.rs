//! The envelope: `{"statusCode", "data", "message", "success"}`, as in a widespread Express
//! tutorial.
//!
//! [`ResponseFormat::Envelope`](super::format::ResponseFormat::Envelope) describes what clients
//! see. All differences from the standard shape are in this file.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

#[cfg(feature = "openapi")]
use super::shape::{FIELD_ERROR, ShapeSchemas};
use super::{
    problem::FailureBody,
    shape::{ReadyTypes, ResponseShape},
};
#[cfg(feature = "openapi")]
use crate::http::schema::{FieldKind, FieldSpec};
use crate::{
    error::FieldError,
    http::{
        endpoint::{Endpoint, EndpointSpec},
        request::body::Fields,
        schema::{RequestSchema, SuccessSchema},
    },
};

pub(super) struct Envelope;

/// Names of members of requests: first the name in the envelope, then the standard name.
const REQUEST_NAMES: [(&str, &str); 3] =
    [("refreshToken", "refresh_token"), ("currentPassword", "current_password"), ("newPassword", "new_password")];

/// Names of members of the ready profile. The members of an app's own registration type are not
/// renamed.
const PROFILE_NAMES: [(&str, &str); 2] = [("fullName", "name"), ("avatarUrl", "avatar_url")];

/// Names of members of the ready user in answers.
const USER_NAMES: [(&str, &str); 4] =
    [("_id", "id"), ("fullName", "name"), ("avatarUrl", "avatar_url"), ("createdAt", "created_at")];

impl ResponseShape for Envelope {
    fn aliases(&self) -> &'static [(Endpoint, &'static str)] {
        &[(Endpoint::Refresh, "/refresh-token")]
    }

    fn cookie_names(&self) -> (&'static str, &'static str) {
        ("accessToken", "refreshToken")
    }

    fn login_on_register(&self) -> bool {
        false
    }

    fn read(&self, spec: &EndpointSpec, types: ReadyTypes, fields: &mut Fields) {
        for (theirs, standard) in names(spec, types) {
            fields.rename(theirs, standard);
        }
        // The tutorial's front end has one input for the address or username, and sends its text as
        // both members.
        if let (Endpoint::Login, Some(email), Some(_)) = (spec.endpoint, fields.text("email"), fields.text("username"))
        {
            let unused = if email.contains('@') { "username" } else { "email" };
            fields.drop(unused);
        }
    }

    fn field_name(&self, spec: &EndpointSpec, types: ReadyTypes, standard: &str) -> Option<&'static str> {
        names(spec, types).find(|(_, own)| *own == standard).map(|(theirs, _)| theirs)
    }

    /// Returns 200 instead of 204, because every answer has a body and a 204 may have none.
    fn status(&self, standard: StatusCode) -> StatusCode {
        if standard == StatusCode::NO_CONTENT { StatusCode::OK } else { standard }
    }

    fn success(
        &self,
        spec: &EndpointSpec,
        status: StatusCode,
        types: ReadyTypes,
        body: Option<Value>,
    ) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Success {
            status_code: u16,
            data: Value,
            message: &'static str,
            success: bool,
        }
        let data = body.map_or_else(|| json!({}), |body| data(&spec.success, types, body));
        serde_json::to_vec(&Success { status_code: status.as_u16(), data, message: spec.message, success: true })
    }

    fn failure(&self, failure: &FailureBody) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Failure<'a> {
            status_code: u16,
            data: (),
            message: &'a str,
            success: bool,
            errors: &'a [FieldError],
            code: &'static str,
        }
        serde_json::to_vec(&Failure {
            status_code: failure.status.as_u16(),
            data: (),
            message: &failure.detail,
            success: false,
            errors: &failure.fields,
            code: failure.kind.code(),
        })
    }

    #[cfg(feature = "openapi")]
    fn schemas(&self) -> &'static ShapeSchemas {
        &SCHEMAS
    }
}

fn names(spec: &EndpointSpec, types: ReadyTypes) -> impl Iterator<Item = (&'static str, &'static str)> {
    let has_profile = types.profile && spec.request.as_ref().is_some_and(RequestSchema::has_profile);
    REQUEST_NAMES.into_iter().chain(PROFILE_NAMES.into_iter().filter(move |_| has_profile))
}

/// Turns the standard body into `data`. It renames the members of the user and the tokens, and
/// leaves all others unchanged.
fn data(schema: &SuccessSchema, types: ReadyTypes, body: Value) -> Value {
    let mut members = match (schema, body) {
        (SuccessSchema::Tokens | SuccessSchema::Registration | SuccessSchema::User, Value::Object(members)) => members,
        (_, body) => return body,
    };
    let mut user = members.remove("user").unwrap_or_default();
    if types.user {
        rename_user(&mut user);
    }
    let mut data = match (schema, user) {
        // The data of a registration is the user, without a member `user` around it.
        (SuccessSchema::Registration, Value::Object(user)) => user,
        (_, user) => Map::from_iter([("user".to_owned(), user)]),
    };
    for (theirs, standard) in [("accessToken", "access_token"), ("refreshToken", "refresh_token")] {
        data.extend(members.remove(standard).map(|token| (theirs.to_owned(), token)));
    }
    data.extend(members.into_iter().filter(|(name, _)| name != "token_type" && name != "expires_in"));
    data.into()
}

/// Renames the members of the ready user, and leaves out members without a value.
fn rename_user(user: &mut Value) {
    let Value::Object(members) = user else { return };
    members.retain(|_, value| !value.is_null());
    for (theirs, standard) in USER_NAMES {
        let member = members.remove(standard);
        members.extend(member.map(|member| (theirs.to_owned(), member)));
    }
}

#[cfg(feature = "openapi")]
static SCHEMAS: ShapeSchemas = ShapeSchemas {
    user: &[
        FieldSpec::required("_id", FieldKind::Text),
        FieldSpec::required("email", FieldKind::Text),
        FieldSpec::optional("username", FieldKind::Text),
        FieldSpec::optional("fullName", FieldKind::Text),
        FieldSpec::optional("avatarUrl", FieldKind::Text),
        FieldSpec::required("roles", FieldKind::Texts),
        FieldSpec::required("createdAt", FieldKind::Time),
    ],
    failure: &[
        FieldSpec::required("statusCode", FieldKind::Integer),
        FieldSpec::required("data", FieldKind::Null),
        FieldSpec::required("message", FieldKind::Text),
        FieldSpec::required("success", FieldKind::Flag),
        FieldSpec::required("errors", FieldKind::List(FIELD_ERROR)),
        FieldSpec::required("code", FieldKind::Text),
    ],
    tokens: &[
        FieldSpec::required("user", FieldKind::User),
        FieldSpec::optional("accessToken", FieldKind::Text),
        FieldSpec::optional("refreshToken", FieldKind::Text),
    ],
    // The user. Its object may also contain the tokens.
    registration: Some(FieldKind::User),
    wrapper: Some(&[
        FieldSpec::required("statusCode", FieldKind::Integer),
        FieldSpec::required("data", FieldKind::Content),
        FieldSpec::required("message", FieldKind::Text),
        FieldSpec::required("success", FieldKind::Flag),
    ]),
};
