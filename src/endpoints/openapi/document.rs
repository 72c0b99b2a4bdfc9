//! Writes the `OpenAPI` 3.1 document from the specifications of the endpoints that are mounted.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use utoipa::openapi::{
    Components, ComponentsBuilder, ContentBuilder, Header, HttpMethod, InfoBuilder, OpenApiBuilder, PathItem, Paths,
    PathsBuilder, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::{RequestBody, RequestBodyBuilder},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::schemas::{self, Schemas};
use crate::{
    auth::Auth,
    error::Error,
    http::{
        HttpSettings,
        endpoint::{Caller, CookieEffect, EndpointSpec},
        path_table::Resource,
        response::{shape::ReadyTypes, status::status},
        schema::SuccessSchema,
    },
    user::AuthUser,
};

impl<U: AuthUser> Auth<U> {
    /// Returns the `OpenAPI` 3.1 document of the endpoints that are mounted (feature `openapi`). It
    /// describes the shape that the app chose.
    ///
    /// `GET /auth/openapi.json` answers with the same document. The document does not describe the
    /// members of the app's own user and registration types, and the app's own bodies.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the document cannot be written. No
    /// setting causes this.
    pub fn openapi(&self) -> Result<String, Error> {
        let http = &self.0.http;
        let writer = Writer { http, schemas: Schemas::new(http, ReadyTypes::of::<U>()) };
        let info = InfoBuilder::new().title("Authentication").version(env!("CARGO_PKG_VERSION"));
        let info = info.description(Some("Registration, login, sessions and passwords."));
        let document = OpenApiBuilder::new().info(info.build()).paths(writer.paths());
        let document = document.components(Some(writer.components())).build();
        document.to_json().map_err(Error::internal)
    }
}

const BEARER: &str = "bearer";
const ACCESS_COOKIE: &str = "access_cookie";
const REFRESH_COOKIE: &str = "refresh_cookie";

struct Writer<'a> {
    http: &'a HttpSettings,
    schemas: Schemas,
}

impl Writer<'_> {
    fn components(&self) -> Components {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let cookie = |name: &str| SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(name)));
        let components = ComponentsBuilder::new()
            .security_scheme(BEARER, SecurityScheme::Http(bearer))
            .security_scheme(ACCESS_COOKIE, cookie(self.http.cookies.access.name()))
            .security_scheme(REFRESH_COOKIE, cookie(self.http.cookies.refresh.name()));
        self.schemas.components(components).build()
    }

    fn paths(&self) -> Paths {
        let mut paths = PathsBuilder::new();
        let mut described = Vec::new();
        for resource in self.http.table.resources() {
            let mut item = PathItem::default();
            for (method, spec) in resource.methods() {
                let operation_id = operation_id(spec, method, &described);
                described.push(operation_id.clone());
                let operation = self.operation(spec, operation_id, resource);
                item.merge_operations(PathItem::new(http_method(method), operation));
            }
            paths = paths.path(format!("{}{}", self.http.table.mount_path(), resource.path()), item);
        }
        paths.build()
    }

    fn operation(&self, spec: &EndpointSpec, operation_id: String, resource: &Resource) -> Operation {
        let success_status = self.http.responder.shape().map_or(spec.status, |shape| shape.status(spec.status));
        let mut operation = OperationBuilder::new()
            .operation_id(Some(operation_id))
            .summary(Some(spec.summary))
            .request_body(self.request(spec))
            .response(success_status.as_str(), self.success(spec));
        if let Some(name) = resource.parameter() {
            let segment = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
            operation = operation.parameter(segment.schema(Some(schemas::text())));
        }
        let mut codes: BTreeMap<StatusCode, Vec<&'static str>> = BTreeMap::new();
        for kind in spec.all_failures() {
            let codes = codes.entry(status(kind)).or_default();
            // An endpoint may name a failure that its caller's token implies.
            if !codes.contains(&kind.code()) {
                codes.push(kind.code());
            }
        }
        for (status, codes) in codes {
            operation = operation.response(status.as_str(), self.failure(status, &codes));
        }
        operation.securities(Some(securities(spec.caller))).build()
    }

    fn request(&self, spec: &EndpointSpec) -> Option<RequestBody> {
        let request = spec.request.as_ref()?;
        let schema = self.schemas.request(spec, request);
        let body = || content(schema.clone());
        let builder = RequestBodyBuilder::new().content("application/json", body());
        let builder = builder.content("application/x-www-form-urlencoded", body());
        Some(builder.required(Some(if request.is_required() { Required::True } else { Required::False })).build())
    }

    fn success(&self, spec: &EndpointSpec) -> Response {
        let response = ResponseBuilder::new().description(spec.summary);
        let Some(schema) = self.schemas.success(&spec.success) else { return response.build() };
        let content_type = match spec.success {
            SuccessSchema::Document { content_type, .. } => content_type,
            _ => "application/json",
        };
        let mut response = response.content(content_type, content(schema));
        if spec.cookies == CookieEffect::Sets {
            response = response.header("Set-Cookie", header("The tokens, where their delivery is a cookie."));
        }
        response.build()
    }

    fn failure(&self, status: StatusCode, codes: &[&str]) -> Response {
        let standard = self.http.responder.failure.is_none() && self.http.responder.shape().is_none();
        let content_type = if standard { "application/problem+json" } else { "application/json" };
        let mut response = ResponseBuilder::new()
            .description(format!("`{}`", codes.join("`, `")))
            .content(content_type, content(self.schemas.failure()));
        if status == StatusCode::UNAUTHORIZED {
            response = response.header("WWW-Authenticate", header("The challenge of RFC 6750."));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response = response.header("Retry-After", header("Seconds to wait."));
        }
        response.build()
    }
}

fn content(schema: RefOr<Schema>) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

fn header(description: &str) -> Header {
    utoipa::openapi::HeaderBuilder::new().schema(Some(schemas::text())).description(Some(description)).build()
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// Returns the name of an operation. A second method or path of an endpoint gets a suffix, because
/// each name may occur only once.
fn operation_id(spec: &EndpointSpec, method: &Method, described: &[String]) -> String {
    let mut id = spec.operation_id.to_owned();
    if spec.methods.first() != Some(method) {
        id = format!("{id}_{}", method.as_str().to_ascii_lowercase());
    }
    while described.contains(&id) {
        id.push_str("_alias");
    }
    id
}

/// Returns the credentials that a request may bring. An empty requirement in the list means that
/// they are optional.
fn securities(caller: Caller) -> Vec<SecurityRequirement> {
    let by = |scheme: &str| SecurityRequirement::new(scheme, Vec::<String>::new());
    let nothing = SecurityRequirement::default;
    match caller {
        Caller::Anyone => Vec::new(),
        Caller::AccessToken => vec![by(BEARER), by(ACCESS_COOKIE)],
        Caller::RefreshToken => vec![by(REFRESH_COOKIE), nothing()],
        Caller::AnyToken => vec![by(REFRESH_COOKIE), by(BEARER), by(ACCESS_COOKIE), nothing()],
    }
}
