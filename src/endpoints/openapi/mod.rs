//! The `OpenAPI` 3.1 document of the endpoints that are mounted, from the table that routes.

mod failures;
mod schemas;

use http::{Method, StatusCode};
use utoipa::openapi::{
    Components, ComponentsBuilder, ContentBuilder, Header, HttpMethod, InfoBuilder, OpenApiBuilder, PathItem, Paths,
    PathsBuilder, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::{RequestBody, RequestBodyBuilder},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use self::schemas::Schemas;
use crate::{
    auth::Auth,
    error::Error,
    http::{Endpoint, HttpSettings, ResponseFormat, endpoint::Resource},
    user::AuthUser,
};

impl<U: AuthUser> Auth<U> {
    /// The `OpenAPI` 3.1 document of exactly the endpoints that are mounted, in the shape that they answer in (feature
    /// `openapi`).
    ///
    /// It is what `GET /auth/openapi.json` answers. The members of an app's own user and registration, and bodies of its own,
    /// are not described.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where it cannot be written, which no setting brings about.
    pub fn openapi(&self) -> Result<String, Error> {
        let web = &self.0.http;
        let writer = Writer { web, schemas: Schemas::of::<U>(web) };
        let info = InfoBuilder::new().title("Authentication").version(env!("CARGO_PKG_VERSION"));
        let info = info.description(Some("Registering, signing in, sessions and passwords."));
        let document = OpenApiBuilder::new().info(info.build()).paths(writer.paths());
        let document = document.components(Some(writer.components())).build();
        document.to_json().map_err(Error::internal)
    }
}

const BEARER: &str = "bearer";
const ACCESS_COOKIE: &str = "access_cookie";
const REFRESH_COOKIE: &str = "refresh_cookie";

struct Writer<'a> {
    web: &'a HttpSettings,
    schemas: Schemas,
}

impl Writer<'_> {
    fn components(&self) -> Components {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let cookie = |name: &str| SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(name)));
        let components = ComponentsBuilder::new()
            .security_scheme(BEARER, SecurityScheme::Http(bearer))
            .security_scheme(ACCESS_COOKIE, cookie(self.web.cookies.access.name()))
            .security_scheme(REFRESH_COOKIE, cookie(self.web.cookies.refresh.name()));
        self.schemas.components(components).build()
    }

    fn paths(&self) -> Paths {
        let mut paths = PathsBuilder::new();
        let mut described = Vec::new();
        for resource in self.web.table.resources() {
            let mut item = PathItem::default();
            for (method, endpoint) in resource.methods() {
                let again = described.contains(endpoint);
                described.push(*endpoint);
                let operation = self.operation(*endpoint, again, resource);
                item.merge_operations(PathItem::new(http_method(method), operation));
            }
            paths = paths.path(format!("{}{}", self.web.table.mount_path(), resource.path()), item);
        }
        paths.build()
    }

    fn operation(&self, endpoint: Endpoint, again: bool, resource: &Resource) -> Operation {
        let (id, summary) = naming(endpoint);
        let id = if again { format!("{id}_alias") } else { id.to_owned() };
        let mut operation = OperationBuilder::new()
            .operation_id(Some(id))
            .summary(Some(summary))
            .request_body(self.request(endpoint))
            .response(success_status(self.web, endpoint).as_str(), self.success(endpoint));
        if resource.path().ends_with("{id}") {
            let id = ParameterBuilder::new().name("id").parameter_in(ParameterIn::Path).required(Required::True);
            operation = operation.parameter(id.schema(Some(schemas::text())));
        }
        for (status, codes) in failures::of(endpoint) {
            operation = operation.response(status.as_str(), self.failure(status, &codes));
        }
        operation.securities(Some(securities(endpoint))).build()
    }

    fn request(&self, endpoint: Endpoint) -> Option<RequestBody> {
        let (schema, required) = self.schemas.request(endpoint)?;
        let body = || ContentBuilder::new().schema(Some(schema.clone())).build();
        let request = RequestBodyBuilder::new().content("application/json", body());
        let request = request.content("application/x-www-form-urlencoded", body());
        Some(request.required(Some(if required { Required::True } else { Required::False })).build())
    }

    fn success(&self, endpoint: Endpoint) -> Response {
        let response = ResponseBuilder::new().description(naming(endpoint).1);
        let Some(schema) = self.schemas.success(endpoint) else { return response.build() };
        let content_type = if endpoint == Endpoint::Jwks { "application/jwk-set+json" } else { "application/json" };
        let mut response = response.content(content_type, content(schema));
        if sets_cookies(endpoint) {
            response = response.header("Set-Cookie", header("The tokens, where their delivery is a cookie."));
        }
        response.build()
    }

    fn failure(&self, status: StatusCode, codes: &[&str]) -> Response {
        let standard = self.web.responder.failure.is_none() && self.web.responder.format == ResponseFormat::Standard;
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
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// A body goes with every status of the envelope.
fn success_status(web: &HttpSettings, endpoint: Endpoint) -> StatusCode {
    match endpoint {
        Endpoint::Register => StatusCode::CREATED,
        Endpoint::Logout | Endpoint::LogoutAll | Endpoint::EndSession
            if web.responder.format == ResponseFormat::Standard =>
        {
            StatusCode::NO_CONTENT
        }
        _ => StatusCode::OK,
    }
}

fn sets_cookies(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Register | Endpoint::Login | Endpoint::Refresh | Endpoint::ChangePassword)
}

/// What authenticates a request: one of these, and an empty one where nothing has to.
fn securities(endpoint: Endpoint) -> Vec<SecurityRequirement> {
    let by = |scheme: &str| SecurityRequirement::new(scheme, Vec::<String>::new());
    let nothing = SecurityRequirement::default;
    match endpoint {
        Endpoint::Me | Endpoint::Sessions | Endpoint::EndSession | Endpoint::LogoutAll | Endpoint::ChangePassword => {
            vec![by(BEARER), by(ACCESS_COOKIE)]
        }
        Endpoint::Refresh => vec![by(REFRESH_COOKIE), nothing()],
        Endpoint::Logout => vec![by(REFRESH_COOKIE), by(BEARER), by(ACCESS_COOKIE), nothing()],
        Endpoint::Register | Endpoint::Login | Endpoint::Jwks | Endpoint::OpenApi => Vec::new(),
    }
}

const fn naming(endpoint: Endpoint) -> (&'static str, &'static str) {
    match endpoint {
        Endpoint::Register => ("register", "Registers a user"),
        Endpoint::Login => ("login", "Signs a user in"),
        Endpoint::Refresh => ("refresh", "Gives a new pair of tokens for a refresh token"),
        Endpoint::Logout => ("logout", "Ends the session"),
        Endpoint::LogoutAll => ("logout_all", "Ends every session of the user"),
        Endpoint::Me => ("me", "Shows the user"),
        Endpoint::Sessions => ("sessions", "Lists the user's sessions"),
        Endpoint::EndSession => ("end_session", "Ends one of the user's sessions"),
        Endpoint::ChangePassword => ("change_password", "Changes the password and ends every other session"),
        Endpoint::Jwks => ("jwks", "The public keys of access tokens"),
        Endpoint::OpenApi => ("openapi", "This document"),
    }
}
