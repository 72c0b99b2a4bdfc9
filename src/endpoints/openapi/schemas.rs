//! Writes the members of bodies as JSON Schema.

use serde_json::json;
use utoipa::openapi::{
    ArrayBuilder, ComponentsBuilder, ObjectBuilder, Ref, RefOr, Schema, Type,
    schema::{KnownFormat, SchemaFormat, SchemaType},
};

use crate::{
    http::{
        HttpSettings,
        endpoint::EndpointSpec,
        response::shape::{self, ReadyTypes, ResponseShape, ShapeSchemas},
        schema::{FieldKind, FieldSpec, RequestSchema, SuccessSchema},
    },
    user::Email,
};

type Described = RefOr<Schema>;

/// Writes the schemas of the bodies of a service.
pub(super) struct Schemas {
    shape: Option<&'static dyn ResponseShape>,
    types: ReadyTypes,
    /// Whether the app writes the bodies of successes.
    own_success: bool,
    /// Whether the app writes the bodies of failures.
    own_failure: bool,
    deliveries: Vec<&'static str>,
    login_on_register: bool,
}

impl Schemas {
    pub(super) fn new(http: &HttpSettings, types: ReadyTypes) -> Self {
        Self {
            shape: http.responder.shape(),
            types,
            own_success: http.responder.success.is_some(),
            own_failure: http.responder.failure.is_some(),
            deliveries: http.deliveries.names().collect(),
            login_on_register: http.login_on_register,
        }
    }

    fn shared(&self) -> &'static ShapeSchemas {
        self.shape.map_or(&shape::STANDARD, |shape| shape.schemas())
    }

    pub(super) fn components(&self, components: ComponentsBuilder) -> ComponentsBuilder {
        let user = if self.types.user { self.object(self.shared().user).into() } else { anything() };
        let failure: Schema = self.object(self.shared().failure).into();
        components.schema("User", user).schema("Failure", failure)
    }

    /// Describes the body of a request.
    pub(super) fn request(&self, spec: &EndpointSpec, request: &RequestSchema) -> Described {
        let fields = request.fields.iter().filter(|field| self.types.profile || !field.kind.is_profile());
        let body = fields.fold(ObjectBuilder::new().description(request.description), |body, field| {
            let name = self.shape.and_then(|shape| shape.field_name(spec, self.types, field.name));
            self.member(body, &FieldSpec { name: name.unwrap_or(field.name), ..*field }, None)
        });
        body.into()
    }

    /// Describes the body of a success. Returns `None` if there is none.
    pub(super) fn success(&self, success: &SuccessSchema) -> Option<Described> {
        if let SuccessSchema::Document { fields, .. } = success {
            return Some(self.object(fields).into());
        }
        if let Some(wrapper) = self.shared().wrapper {
            let content = self.content(success);
            let body =
                wrapper.iter().fold(ObjectBuilder::new(), |body, field| self.member(body, field, Some(&content)));
            return Some(body.into());
        }
        match success {
            SuccessSchema::Nothing => None,
            _ if self.own_success => Some(anything().into()),
            _ => Some(self.content(success)),
        }
    }

    /// Describes the answer of an endpoint, without the wrapper of the shape.
    fn content(&self, success: &SuccessSchema) -> Described {
        const USER: &[FieldSpec] = &[FieldSpec::required("user", FieldKind::User)];
        let shared = self.shared();
        match success {
            SuccessSchema::Registration => match shared.registration {
                Some(kind) => self.kind(kind, None),
                None if self.login_on_register => self.object(shared.tokens).into(),
                None => self.object(USER).into(),
            },
            SuccessSchema::Tokens => self.object(shared.tokens).into(),
            SuccessSchema::User => self.object(USER).into(),
            SuccessSchema::Fields(fields) | SuccessSchema::Document { fields, .. } => self.object(fields).into(),
            SuccessSchema::Nothing => ObjectBuilder::new().into(),
        }
    }

    pub(super) fn failure(&self) -> Described {
        if self.own_failure { anything().into() } else { RefOr::Ref(Ref::from_schema_name("Failure")) }
    }

    fn object(&self, fields: &[FieldSpec]) -> ObjectBuilder {
        fields.iter().fold(ObjectBuilder::new(), |object, field| self.member(object, field, None))
    }

    fn member(&self, object: ObjectBuilder, field: &FieldSpec, content: Option<&Described>) -> ObjectBuilder {
        let object = object.property(field.name, self.kind(field.kind, content));
        if field.required { object.required(field.name) } else { object }
    }

    fn kind(&self, kind: FieldKind, content: Option<&Described>) -> Described {
        let formatted = |format| of_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)));
        match kind {
            FieldKind::Text => text(),
            FieldKind::NullableText | FieldKind::Profile => of_type(nullable(Type::String)).into(),
            FieldKind::Email => formatted(KnownFormat::Email).max_length(Some(Email::MAX_BYTES)).into(),
            FieldKind::Password => formatted(KnownFormat::Password).min_length(Some(1)).into(),
            FieldKind::Delivery => {
                let names = self.deliveries.iter().map(|name| json!(name)).chain([json!(null)]);
                of_type(nullable(Type::String)).enum_values(Some(names)).into()
            }
            FieldKind::Time => formatted(KnownFormat::DateTime).into(),
            FieldKind::Integer => of_type(Type::Integer).into(),
            FieldKind::Flag => of_type(Type::Boolean).into(),
            FieldKind::Null => of_type(Type::Null).into(),
            FieldKind::Bearer => of_type(Type::String).enum_values(Some(["Bearer"])).into(),
            FieldKind::Texts => ArrayBuilder::new().items(text()).into(),
            FieldKind::List(fields) => ArrayBuilder::new().items(self.object(fields)).into(),
            FieldKind::User => RefOr::Ref(Ref::from_schema_name("User")),
            FieldKind::Content => content.cloned().unwrap_or_else(|| anything().into()),
        }
    }
}

pub(super) fn text() -> Described {
    of_type(Type::String).into()
}

fn of_type(schema_type: impl Into<SchemaType>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(schema_type)
}

fn nullable(schema_type: Type) -> SchemaType {
    SchemaType::from_iter([schema_type, Type::Null])
}

/// Describes a body that the app writes. It can be any JSON.
fn anything() -> Schema {
    of_type(SchemaType::AnyValue).into()
}
