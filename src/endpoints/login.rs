//! `POST /login`: logs a user in.

use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    delivery::asked_places,
    exchange::Exchange,
};
use crate::{
    error::{Error, ErrorKind, FieldError},
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec, PASSWORD_FAILURES},
        request::body::RequestBody,
        schema::{FieldKind, FieldSpec, RequestSchema, SuccessSchema},
    },
    user::{AuthUser, Login},
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::Login,
    methods: &[Method::POST],
    path: "/login",
    caller: Caller::Anyone,
    cross_site: CrossSiteRule::Always,
    cookies: CookieEffect::Sets,
    status: StatusCode::OK,
    request: Some(RequestSchema {
        description: Some("One of login, email and username."),
        fields: &[
            FieldSpec::optional("login", FieldKind::NullableText),
            FieldSpec::optional("email", FieldKind::NullableText),
            FieldSpec::optional("username", FieldKind::NullableText),
            FieldSpec::required("password", FieldKind::Password),
            FieldSpec::optional("delivery", FieldKind::Delivery),
            FieldSpec::optional("refresh_token", FieldKind::NullableText),
        ],
    }),
    success: SuccessSchema::Tokens,
    failures: &[PASSWORD_FAILURES, &[ErrorKind::InvalidCredentials, ErrorKind::TooManySessions]],
    operation_id: "login",
    summary: "Logs a user in",
    message: "User logged in successfully",
};

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, body: RequestBody) -> Result<Answer, Error> {
    let mut fields = exchange.fields(body).await?;
    let places = asked_places(exchange, &mut fields)?;
    let presented = fields.take("refresh_token")?;
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let login = given(fields.take("login")?).map(|text| Login::either(&text));
    let email = given(fields.take("email")?).map(|text| Login::email(&text));
    let username = given(fields.take("username")?).map(|text| Login::username(&text));
    let password = fields.take("password")?.filter(|password| !password.is_empty());
    let mut errors = Vec::new();
    let several = [&login, &email, &username].into_iter().flatten().count() > 1;
    let login = login.or(email).or(username);
    if several {
        errors.push(FieldError::new("login", "ambiguous", "Send one of login, email and username."));
    }
    if login.is_none() {
        errors.push(FieldError::new("login", "required", "An e-mail address or username is required."));
    }
    if password.is_none() {
        errors.push(FieldError::new("password", "required", "A password is required."));
    }
    let (Some(login), Some(password), false) = (login, password, several) else {
        return Err(Error::validation(errors));
    };
    let outcome = exchange.auth.login(&login, password.into(), &exchange.client(presented)).await?;
    answer::outcome(exchange, &outcome, places)
}
