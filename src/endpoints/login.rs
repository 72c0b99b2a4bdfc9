//! `POST /register`, `POST /login`, `POST /refresh`.

use http::StatusCode;
use http_body::Body;
use tower::BoxError;

use super::{Answer, answer::Content, exchange::Exchange};
use crate::{
    auth::{LoggedIn, Registration},
    error::{Error, ErrorKind, FieldError},
    event::LoginMethod,
    http::{body::Fields, credentials::CookieValue, delivery::Places},
    user::{AuthUser, Login},
};

pub(super) async fn register<U, B>(exchange: &Exchange<'_, U>, body: B) -> Result<Answer, Error>
where
    U: AuthUser,
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut fields = exchange.fields(body).await?;
    let places = places(exchange, &mut fields)?;
    let presented = fields.take("refresh_token")?;
    let email = fields.take("email")?.unwrap_or_default();
    let password = fields.take("password")?.unwrap_or_default();
    // A form sends an empty text for a field that was left alone.
    let username = fields.take("username")?.filter(|username| !username.is_empty());
    let mut registration = Registration::new(email, password, fields.rest()?);
    registration.username = username;
    let client = exchange.client(presented);
    registration.ip = client.counted_ip();
    let auth = exchange.auth;
    let user = auth.register_from(registration, &client).await?;
    if auth.0.http.login_on_register {
        match auth.start_session_by(&user, &client, LoginMethod::Registration).await {
            Ok(tokens) => {
                return exchange.token_answer(StatusCode::CREATED, &LoggedIn { user, tokens }, places);
            }
            // The user exists now: an error would make the client register again and meet its own address.
            Err(error) => {
                tracing::error!(target: "portcullis", ?error, "a registered user could not be signed in");
            }
        }
    }
    exchange.answer(StatusCode::CREATED, Content::User { user: user.public() })
}

pub(super) async fn login<U, B>(exchange: &Exchange<'_, U>, body: B) -> Result<Answer, Error>
where
    U: AuthUser,
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut fields = exchange.fields(body).await?;
    let places = places(exchange, &mut fields)?;
    let presented = fields.take("refresh_token")?;
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let login = given(fields.take("login")?).map(|text| Login::either(&text));
    let (mut email, mut username) = (given(fields.take("email")?), given(fields.take("username")?));
    if exchange.in_envelope() && email.is_some() && username.is_some() {
        // One input for either, sent as both: that system looks for whichever there is.
        let is_address = email.as_ref().is_some_and(|text| text.contains('@'));
        *(if is_address { &mut username } else { &mut email }) = None;
    }
    let email = email.map(|text| Login::email(&text));
    let username = username.map(|text| Login::username(&text));
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
    let logged_in = exchange.auth.login(&login, password.into(), &exchange.client(presented)).await?;
    exchange.token_answer(StatusCode::OK, &logged_in, places)
}

pub(super) async fn refresh<U, B>(exchange: &Exchange<'_, U>, body: B) -> Result<Answer, Error>
where
    U: AuthUser,
    B: Body,
    B::Error: Into<BoxError>,
{
    let mut fields = exchange.optional_fields(body).await?;
    let deliveries = &exchange.auth.0.http.deliveries;
    // As everywhere, an empty text is a field that was left alone.
    let from_body = fields.take("refresh_token")?.filter(|token| !token.trim().is_empty());
    let (token, places) = match (&from_body, exchange.refresh_cookie()) {
        (Some(token), _) => (token.as_str(), deliveries.to_body()),
        (None, CookieValue::Once(token)) => (token, deliveries.to_cookie()),
        (None, CookieValue::Absent) => return Err(ErrorKind::RefreshMissing.into()),
        // One of them may be planted. Clearing them would leave the other one, and switch the user's session.
        (None, CookieValue::Ambiguous) => {
            return Err(Error::new(ErrorKind::InvalidRequest)
                .with_detail("The refresh token's cookie was sent twice. Log in again, which leaves one."));
        }
    };
    let places = exchange.check_places(places)?;
    let logged_in = exchange.auth.refresh_from(token, &exchange.origin()).await?;
    exchange.token_answer(StatusCode::OK, &logged_in, places)
}

/// Where the tokens of a login or registration go.
fn places<U: AuthUser>(exchange: &Exchange<'_, U>, fields: &mut Fields) -> Result<Places, Error> {
    let asked = fields.take("delivery")?;
    let places = exchange.auth.0.http.deliveries.asked(asked.as_deref()).ok_or_else(|| {
        Error::validation(vec![FieldError::new("delivery", "not_allowed", "This way of delivery is not allowed here.")])
    })?;
    exchange.check_places(places)
}
