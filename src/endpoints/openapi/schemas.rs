//! The bodies of requests and answers, as JSON Schema.

use std::any::TypeId;

use serde_json::json;
use utoipa::openapi::{
    ArrayBuilder, ComponentsBuilder, ObjectBuilder, Ref, RefOr, Schema, Type,
    schema::{KnownFormat, SchemaFormat, SchemaType},
};

use crate::{
    http::{Endpoint, HttpSettings, ResponseFormat},
    user::{AuthUser, Email, Profile, PublicUser},
};

type Described = RefOr<Schema>;

#[expect(clippy::struct_excessive_bools, reason = "independent facts, each used by name")]
pub(super) struct Schemas {
    in_envelope: bool,
    own_success: bool,
    own_failure: bool,
    ready_user: bool,
    ready_profile: bool,
    deliveries: Vec<&'static str>,
    signs_in_on_register: bool,
}

impl Schemas {
    pub(super) fn of<U: AuthUser>(web: &HttpSettings) -> Self {
        Self {
            in_envelope: web.responder.format == ResponseFormat::Envelope,
            own_success: web.responder.success.is_some(),
            own_failure: web.responder.failure.is_some(),
            ready_user: TypeId::of::<U::Public>() == TypeId::of::<PublicUser>(),
            ready_profile: TypeId::of::<U::Registration>() == TypeId::of::<Profile>(),
            deliveries: web.deliveries.names().collect(),
            signs_in_on_register: web.login_on_register,
        }
    }

    pub(super) fn components(&self, components: ComponentsBuilder) -> ComponentsBuilder {
        let failure = if self.in_envelope { refusal() } else { problem() };
        components.schema("User", self.user()).schema("Failure", failure)
    }

    /// The name of a member, which clients of the envelope write in another way.
    fn name<'a>(&self, standard: &'a str, theirs: &'a str) -> &'a str {
        if self.in_envelope { theirs } else { standard }
    }

    fn user(&self) -> Schema {
        if !self.ready_user {
            return anything();
        }
        let optional = if self.in_envelope { text } else { maybe_text };
        let user = ObjectBuilder::new()
            .property(self.name("id", "_id"), text())
            .property("email", text())
            .property("username", optional())
            .property(self.name("name", "fullName"), optional())
            .property(self.name("avatar_url", "avatarUrl"), optional())
            .property("roles", ArrayBuilder::new().items(text()))
            .property(self.name("created_at", "createdAt"), moment());
        let always = [self.name("id", "_id"), "email", "roles", self.name("created_at", "createdAt")];
        always.into_iter().fold(user, ObjectBuilder::required).into()
    }

    /// The body of a request, and whether there has to be one.
    pub(super) fn request(&self, endpoint: Endpoint) -> Option<(Described, bool)> {
        let refresh_token = self.name("refresh_token", "refreshToken");
        let body = ObjectBuilder::new();
        let body = match endpoint {
            Endpoint::Register => {
                let email = ObjectBuilder::new().schema_type(Type::String);
                let email = email.format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)));
                let body = body
                    .property("email", email.max_length(Some(Email::MAX_BYTES)))
                    .property("password", password())
                    .property("username", maybe_text())
                    .property("delivery", self.delivery())
                    .property(refresh_token, maybe_text());
                let body = body.required("email").required("password");
                if self.ready_profile {
                    let body = body.property(self.name("name", "fullName"), maybe_text());
                    body.property(self.name("avatar_url", "avatarUrl"), maybe_text())
                } else {
                    body
                }
            }
            Endpoint::Login => body
                .description(Some("One of login, email and username."))
                .property("login", maybe_text())
                .property("email", maybe_text())
                .property("username", maybe_text())
                .property("password", password())
                .property("delivery", self.delivery())
                .property(refresh_token, maybe_text())
                .required("password"),
            Endpoint::Refresh | Endpoint::Logout => body.property(refresh_token, maybe_text()),
            Endpoint::ChangePassword => {
                let current = self.name("current_password", "currentPassword");
                let new = self.name("new_password", "newPassword");
                body.property(current, password()).property(new, password()).required(current).required(new)
            }
            _ => return None,
        };
        let required = matches!(endpoint, Endpoint::Register | Endpoint::Login | Endpoint::ChangePassword);
        Some((body.into(), required))
    }

    fn delivery(&self) -> ObjectBuilder {
        let names = self.deliveries.iter().map(|name| json!(name)).chain([json!(null)]);
        ObjectBuilder::new().schema_type(nullable(Type::String)).enum_values(Some(names))
    }

    /// The body of a success, or `None` where there is none.
    pub(super) fn success(&self, endpoint: Endpoint) -> Option<Described> {
        match endpoint {
            Endpoint::Jwks => return Some(keys()),
            Endpoint::OpenApi => return Some(ObjectBuilder::new().into()),
            _ => {}
        }
        if self.in_envelope {
            return Some(envelope(self.content(endpoint, "accessToken", "refreshToken")));
        }
        match endpoint {
            Endpoint::Logout | Endpoint::LogoutAll | Endpoint::EndSession => None,
            _ if self.own_success => Some(anything().into()),
            _ => Some(self.content(endpoint, "access_token", "refresh_token")),
        }
    }

    /// What an endpoint has to say, without what is around it.
    fn content(&self, endpoint: Endpoint, access_token: &str, refresh_token: &str) -> Described {
        let user = || RefOr::<Schema>::Ref(Ref::from_schema_name("User"));
        let with_user = || ObjectBuilder::new().property("user", user()).required("user");
        match endpoint {
            // Of an envelope the user is the data, beside whom a token may be.
            Endpoint::Register if self.in_envelope => user(),
            Endpoint::Register if !self.signs_in_on_register => with_user().into(),
            Endpoint::Register | Endpoint::Login | Endpoint::Refresh | Endpoint::ChangePassword => {
                let answer = with_user().property(access_token, text()).property(refresh_token, text());
                if self.in_envelope {
                    return answer.into();
                }
                let bearer = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["Bearer"]));
                let seconds = ObjectBuilder::new().schema_type(Type::Integer);
                answer.property("token_type", bearer).property("expires_in", seconds).into()
            }
            Endpoint::Me => with_user().into(),
            Endpoint::Sessions => {
                let sessions = ArrayBuilder::new().items(RefOr::T(session()));
                ObjectBuilder::new().property("sessions", sessions).required("sessions").into()
            }
            _ => ObjectBuilder::new().into(),
        }
    }

    pub(super) fn failure(&self) -> Described {
        if self.own_failure { anything().into() } else { RefOr::Ref(Ref::from_schema_name("Failure")) }
    }
}

fn session() -> Schema {
    let text_or_null = ["user_agent", "ip"];
    let moments = ["created_at", "last_used_at", "expires_at"];
    let session = ObjectBuilder::new().property("id", text()).required("id");
    let session = moments.into_iter().fold(session, |session, name| session.property(name, moment()).required(name));
    let session =
        text_or_null.into_iter().fold(session, |session, name| session.property(name, maybe_text()).required(name));
    let current = ObjectBuilder::new().schema_type(Type::Boolean);
    session.property("current", current).required("current").into()
}

fn envelope(data: Described) -> Described {
    let envelope = ObjectBuilder::new()
        .property("statusCode", ObjectBuilder::new().schema_type(Type::Integer))
        .property("data", data)
        .property("message", text())
        .property("success", ObjectBuilder::new().schema_type(Type::Boolean));
    ["statusCode", "data", "message", "success"].into_iter().fold(envelope, ObjectBuilder::required).into()
}

/// RFC 9457 with our `code` and `errors`.
fn problem() -> Schema {
    let problem = ObjectBuilder::new()
        .property("type", text())
        .property("title", text())
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .property("code", text())
        .property("detail", text())
        .property("errors", field_errors());
    ["type", "title", "status", "code", "detail"].into_iter().fold(problem, ObjectBuilder::required).into()
}

fn refusal() -> Schema {
    let refusal = ObjectBuilder::new()
        .property("statusCode", ObjectBuilder::new().schema_type(Type::Integer))
        .property("data", ObjectBuilder::new().schema_type(Type::Null))
        .property("message", text())
        .property("success", ObjectBuilder::new().schema_type(Type::Boolean))
        .property("errors", field_errors())
        .property("code", text());
    ["statusCode", "data", "message", "success", "errors", "code"]
        .into_iter()
        .fold(refusal, ObjectBuilder::required)
        .into()
}

fn field_errors() -> ArrayBuilder {
    let names = ["field", "code", "message"];
    let error = names.into_iter().fold(ObjectBuilder::new(), |error, name| error.property(name, text()).required(name));
    ArrayBuilder::new().items(error)
}

fn keys() -> Described {
    let keys = ArrayBuilder::new().items(ObjectBuilder::new());
    ObjectBuilder::new().property("keys", keys).required("keys").into()
}

pub(super) fn text() -> Described {
    ObjectBuilder::new().schema_type(Type::String).into()
}

fn maybe_text() -> Described {
    ObjectBuilder::new().schema_type(nullable(Type::String)).into()
}

fn password() -> ObjectBuilder {
    let password = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    password.format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
}

fn moment() -> Described {
    let moment = ObjectBuilder::new().schema_type(Type::String);
    moment.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into()
}

fn nullable(r#type: Type) -> SchemaType {
    SchemaType::from_iter([r#type, Type::Null])
}

/// What an app writes itself.
fn anything() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
}
