//! `GET /openapi.json`: describes the endpoints that are mounted.

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
        schema::SuccessSchema,
    },
    user::AuthUser,
};

pub(super) const SPEC: EndpointSpec = EndpointSpec {
    endpoint: Endpoint::OpenApi,
    methods: &[Method::GET],
    path: "/openapi.json",
    caller: Caller::Anyone,
    cross_site: CrossSiteRule::Unchecked,
    cookies: CookieEffect::None,
    status: StatusCode::OK,
    request: None,
    success: SuccessSchema::Document { content_type: "application/json", fields: &[] },
    failures: &[],
    operation_id: "openapi",
    summary: "This document",
    message: "Success",
};

#[expect(clippy::unused_async, reason = "all handlers have one signature")]
pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, _: RequestBody) -> Result<Answer, Error> {
    Ok(answer::document(exchange, exchange.auth.openapi()?))
}
