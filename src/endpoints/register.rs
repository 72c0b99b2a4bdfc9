//! `POST /register`: creates a user, and logs the user in unless the app's settings say otherwise.

use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    delivery::asked_places,
    exchange::Exchange,
};
use crate::{
    auth::Registration,
    error::{Error, ErrorKind},
    event::LoginMethod,
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec, PASSWORD_FAILURES},
        request::body::RequestBody,
        schema::{FieldKind, FieldSpec, RequestSchema, SuccessSchema},
    },
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::Register,
    methods: &[Method::POST],
    path: "/register",
    caller: Caller::Anyone,
    cross_site: CrossSiteRule::Always,
    cookies: CookieEffect::Sets,
    status: StatusCode::CREATED,
    request: Some(RequestSchema::new(&[
        FieldSpec::required("email", FieldKind::Email),
        FieldSpec::required("password", FieldKind::Password),
        FieldSpec::optional("username", FieldKind::NullableText),
        FieldSpec::optional("name", FieldKind::Profile),
        FieldSpec::optional("avatar_url", FieldKind::Profile),
        FieldSpec::optional("delivery", FieldKind::Delivery),
        FieldSpec::optional("refresh_token", FieldKind::NullableText),
    ])),
    success: SuccessSchema::Registration,
    failures: &[PASSWORD_FAILURES, &[ErrorKind::EmailTaken, ErrorKind::UsernameTaken]],
    operation_id: "register",
    summary: "Registers a user",
    message: "User registered successfully",
};

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, body: RequestBody) -> Result<Answer, Error> {
    let mut fields = exchange.fields(body).await?;
    let places = asked_places(exchange, &mut fields)?;
    let presented = fields.take("refresh_token")?;
    let email = fields.take("email")?.unwrap_or_default();
    let password = fields.take("password")?.unwrap_or_default();
    // A form sends an empty text for a field that the user left empty.
    let username = fields.take("username")?.filter(|username| !username.is_empty());
    let mut registration = Registration::new(email, password, fields.rest()?);
    registration.username = username;
    let client = exchange.client(presented);
    let auth = exchange.auth;
    let user = auth.register(registration, &client).await?;
    if auth.0.http.login_on_register {
        match auth.start_session_by(&user, &client, LoginMethod::Registration).await {
            Ok(outcome) => return answer::outcome(exchange, &outcome, places),
            // The user exists now. After an error the client would register again, and the address
            // would be taken.
            Err(error) => {
                tracing::error!(target: "portcullis", ?error, "a registered user could not be logged in");
            }
        }
    }
    answer::user(exchange, &user)
}
