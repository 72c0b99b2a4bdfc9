//! `POST /refresh`: exchanges a refresh token for a new pair of tokens.

use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    exchange::Exchange,
};
use crate::{
    error::{Error, ErrorKind},
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec},
        request::{body::RequestBody, credentials::CookieValue},
        schema::{FieldKind, FieldSpec, RequestSchema, SuccessSchema},
    },
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::Refresh,
    methods: &[Method::POST],
    path: "/refresh",
    caller: Caller::RefreshToken,
    cross_site: CrossSiteRule::Always,
    cookies: CookieEffect::Sets,
    status: StatusCode::OK,
    request: Some(RequestSchema::new(&[FieldSpec::optional("refresh_token", FieldKind::NullableText)])),
    success: SuccessSchema::Tokens,
    failures: &[&[
        ErrorKind::RefreshMissing,
        ErrorKind::RefreshInvalid,
        ErrorKind::RefreshExpired,
        ErrorKind::RefreshReused,
    ]],
    operation_id: "refresh",
    summary: "Gives a new pair of tokens for a refresh token",
    message: "Access token refreshed successfully",
};

pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, body: RequestBody) -> Result<Answer, Error> {
    match refresh(exchange, body).await {
        Err(error) if is_final(&error) => {
            let mut answer = answer::failure(exchange, error);
            if answer::clear_cookies(exchange, answer.headers_mut()).is_err() {
                tracing::error!(target: "portcullis", "the cookies cannot be cleared");
            }
            Ok(answer)
        }
        result => result,
    }
}

/// Returns whether the refresh token can never be valid again. The cookies are then cleared. An
/// outage does not clear them.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::RefreshInvalid | ErrorKind::RefreshExpired | ErrorKind::RefreshReused)
        && !error.is_overtaken()
}

async fn refresh<U: AuthUser>(exchange: &Exchange<'_, U>, body: RequestBody) -> Result<Answer, Error> {
    let mut fields = exchange.optional_fields(body).await?;
    let deliveries = &exchange.auth.0.http.deliveries;
    // An empty text is a form field that the user left empty.
    let from_body = fields.take("refresh_token")?.filter(|token| !token.trim().is_empty());
    let (token, places) = match (&from_body, exchange.refresh_cookie()) {
        (Some(token), _) => (token.as_str(), deliveries.to_body()),
        (None, CookieValue::Once(token)) => (token, deliveries.to_cookie()),
        (None, CookieValue::Absent) => return Err(ErrorKind::RefreshMissing.into()),
        (None, CookieValue::Ambiguous) => {
            // An attacker may have planted one of the cookies. They are not cleared, because the
            // planted one could remain and would switch the user to the attacker's session.
            return Err(Error::new(ErrorKind::InvalidRequest)
                .with_detail("The refresh token's cookie was sent twice. Log in again, which leaves one."));
        }
    };
    let places = exchange.check_places(places)?;
    let logged_in = exchange.auth.refresh(token, &exchange.client_for_events()).await?;
    answer::tokens(exchange, &logged_in, places)
}
