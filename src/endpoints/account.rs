//! `GET /me` and `PUT /password`.

use http::StatusCode;
use http_body::Body;
use tower::BoxError;

use super::{Answer, answer::Content, exchange::Exchange};
use crate::{
    auth::Check,
    error::{Error, ErrorKind, FieldError},
    http::credentials::CookieValue,
    user::AuthUser,
};

pub(super) async fn me<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<Answer, Error> {
    let (authenticated, _) = exchange.authenticate(Check::User).await?;
    let user = authenticated.user.ok_or(ErrorKind::Internal)?;
    exchange.answer(StatusCode::OK, Content::User { user: user.public() })
}

pub(super) async fn change_password<U, B>(exchange: &Exchange<'_, U>, body: B) -> Result<Answer, Error>
where
    U: AuthUser,
    B: Body,
    B::Error: Into<BoxError>,
{
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
    exchange.token_answer(StatusCode::OK, &logged_in, places)
}
