//! `PUT /password`: changes the password and ends every other session.

use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    exchange::Exchange,
};
use crate::{
    auth::Check,
    error::{Error, ErrorKind, FieldError},
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec, PASSWORD_FAILURES},
        request::{body::RequestBody, credentials::CookieValue},
        schema::{FieldKind, FieldSpec, RequestSchema, SuccessSchema},
    },
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::ChangePassword,
    methods: &[Method::PUT],
    path: "/password",
    caller: Caller::AccessToken,
    cross_site: CrossSiteRule::UnlessBearer,
    cookies: CookieEffect::Sets,
    status: StatusCode::OK,
    request: Some(RequestSchema::new(&[
        FieldSpec::required("current_password", FieldKind::Password),
        FieldSpec::required("new_password", FieldKind::Password),
    ])),
    success: SuccessSchema::Tokens,
    failures: &[PASSWORD_FAILURES, &[ErrorKind::WrongPassword, ErrorKind::TooManySessions]],
    operation_id: "change_password",
    summary: "Changes the password and ends every other session",
    message: "Password changed successfully",
};

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, body: RequestBody) -> Result<Answer, Error> {
    let (authenticated, source) = exchange.authenticate(Check::Stateless).await?;
    let mut fields = exchange.fields(body).await?;
    let current = fields.take("current_password")?.filter(|password| !password.is_empty());
    let new = fields.take("new_password")?.filter(|password| !password.is_empty());
    let missing = |name| FieldError::new(name, "required", "A password is required.");
    let (Some(current), Some(new)) = (&current, &new) else {
        let mut errors = Vec::new();
        errors.extend(current.is_none().then(|| missing("current_password")));
        errors.extend(new.is_none().then(|| missing("new_password")));
        return Err(Error::validation(errors));
    };
    let logged_in = exchange
        .auth
        .change_password(&authenticated.claims, current.as_str().into(), new.as_str().into(), &exchange.client(None))
        .await?;
    let has_refresh_cookie = exchange.refresh_cookie() != CookieValue::Absent;
    let places = exchange.auth.0.http.deliveries.by_access(source, has_refresh_cookie);
    answer::tokens(exchange, &logged_in, places)
}
