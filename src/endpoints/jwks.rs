//! `GET /.well-known/jwks.json`: publishes the keys that access tokens are verified with.

use http::{Method, StatusCode};

use super::{
    answer::{self, Answer},
    exchange::Exchange,
};
use crate::{
    error::Error,
    http::{
        endpoint::{Caller, CookieEffect, CrossSiteRule, Endpoint, EndpointSpec},
        request::body::RequestBody,
        schema::{FieldKind, FieldSpec, SuccessSchema},
    },
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::Jwks,
    methods: &[Method::GET],
    path: "/.well-known/jwks.json",
    caller: Caller::Anyone,
    cross_site: CrossSiteRule::Unchecked,
    cookies: CookieEffect::None,
    status: StatusCode::OK,
    request: None,
    success: SuccessSchema::Document {
        content_type: "application/jwk-set+json",
        fields: &[FieldSpec::required("keys", FieldKind::List(&[]))],
    },
    failures: &[],
    operation_id: "jwks",
    summary: "The public keys of access tokens",
    message: "Success",
};

#[expect(clippy::unused_async, reason = "all handlers have one signature")]
pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, _: RequestBody) -> Result<Answer, Error> {
    Ok(answer::document(exchange, exchange.auth.jwks()))
}
