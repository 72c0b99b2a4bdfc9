//! [`Routes`]: the tower service of the endpoints. It finds the endpoint of a request, makes the
//! cross-site check, and runs the handler.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_LENGTH},
};
use http_body::Body;
use http_body_util::Full;
use tower::BoxError;
use tower_service::Service;

use super::{
    answer::{self, Answer},
    exchange::{CookieUse, Exchange},
    list,
};
use crate::{
    auth::Auth,
    error::{Error, ErrorKind},
    http::{
        ResponseBody,
        endpoint::CrossSiteRule,
        request::{
            body::RequestBody,
            credentials::{self, CookieValue},
            cross_site,
        },
        response::plain,
    },
    user::AuthUser,
};

/// Serves the ready endpoints below the mount path. Default of the mount path: `/auth`.
///
/// It is a tower [`Service`] that never fails. It expects full paths, which begin with the mount
/// path. Clones share all state.
///
/// - With hyper, pass it every request for which [`matches`](Self::matches) returns true.
/// - With axum, merge `Auth::router()` (feature `axum`), or use `route_service("/auth/{*rest}",
///   auth.routes())`. Do not use `nest`, because it removes the mount path.
///
/// | method, path | body | success |
/// |---|---|---|
/// | `POST /auth/register` | `email`, `password`, optional `username` and the app's own fields | 201 token answer |
/// | `POST /auth/login` | `password` and one of `login`, `email`, `username`; optional `delivery` | 200 token answer |
/// | `POST /auth/refresh` | none (cookie) or `refresh_token` | 200 token answer |
/// | `POST /auth/logout` | none, or `refresh_token` | 204 |
/// | `POST /auth/logout-all` | none | 204 |
/// | `GET /auth/me` | | 200 `{user}` |
/// | `GET /auth/sessions` | | 200 `{sessions}` |
/// | `DELETE /auth/sessions/{id}` | | 204 |
/// | `PUT /auth/password` | `current_password`, `new_password` | 200 token answer |
/// | `GET /auth/.well-known/jwks.json` | | 200, the public keys of access tokens as a JWK set |
/// | `GET /auth/openapi.json` (feature `openapi`) | | 200, the `OpenAPI` 3.1 document of what is mounted |
///
/// Bodies of requests are JSON or forms. Maximum size: 16 KiB. Failures are
/// `application/problem+json` (RFC 9457) with a stable `code`, which [`ErrorKind`] lists.
///
/// An app can change the endpoints:
///
/// - [`endpoint_path`](crate::AuthBuilder::endpoint_path) moves an endpoint.
/// - [`without_endpoint`](crate::AuthBuilder::without_endpoint) switches an endpoint off.
/// - [`response_format`](crate::AuthBuilder::response_format),
///   [`success_body`](crate::AuthBuilder::success_body) and
///   [`failure_body`](crate::AuthBuilder::failure_body) change the bodies.
/// - [`AuthUser::Registration`] is the type of the app's own fields in a registration, in addition
///   to `email`, `password` and `username`. [`AuthUser::check_registration`] checks them.
///
/// # Examples
///
/// ```
/// use portcullis::{Auth, User, store::memory::MemoryStore};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let auth: Auth<User> = Auth::builder(store.clone(), store)
///     .issuer("https://example.com")
///     .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
///     .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
///     .build()?;
///
/// let routes = auth.routes();
/// assert!(routes.matches("/auth/me"));
/// let request = http::Request::get("/auth/me").body(String::new())?;
/// let response = routes.oneshot(request).await?;
/// assert_eq!(response.status(), http::StatusCode::UNAUTHORIZED);
/// # Ok(()) }
/// ```
pub struct Routes<U: AuthUser>(Auth<U>);

impl<U: AuthUser> Auth<U> {
    /// Returns the ready endpoints as a tower service.
    pub fn routes(&self) -> Routes<U> {
        Routes(self.clone())
    }
}

impl<U: AuthUser> Routes<U> {
    /// Returns whether a path is the mount path or below it, for servers without a router.
    pub fn matches(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.0.0.http.table.mount_path());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl<U: AuthUser> Clone for Routes<U> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<U: AuthUser> fmt::Debug for Routes<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Routes").field(&self.0).finish()
    }
}

impl<U, B> Service<Request<B>> for Routes<U>
where
    U: AuthUser,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let auth = self.0.clone();
        ResponseFuture(Box::pin(async move { respond(auth, request).await.map(ResponseBody::own) }))
    }
}

/// The future of an answer of [`Routes`].
#[must_use = "futures do nothing unless awaited"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

async fn respond<U, B>(auth: Auth<U>, request: Request<B>) -> Answer
where
    U: AuthUser,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let responder = &auth.0.http.responder;
    let Some((resource, path_parameter)) = auth.0.http.table.find(parts.uri.path()) else {
        return responder.problem(&ErrorKind::NotFound.into());
    };
    let head = parts.method == Method::HEAD;
    let method = if head { &Method::GET } else { &parts.method };
    let Some(spec) = resource.endpoint(method) else {
        let mut answer = if parts.method == Method::OPTIONS {
            plain::empty(StatusCode::NO_CONTENT)
        } else {
            responder.problem(&ErrorKind::MethodNotAllowed.into())
        };
        answer.headers_mut().insert(ALLOW, resource.allow().clone());
        return answer;
    };
    let exchange = Exchange::new(&auth, &parts, spec, path_parameter);
    let answer = match handle(&exchange, RequestBody::new(body)).await {
        Ok(answer) => answer,
        Err(error) => answer::failure(&exchange, error),
    };
    if head { without_body(answer) } else { answer }
}

async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, body: RequestBody) -> Result<Answer, Error> {
    check_cross_site(exchange)?;
    list::handle(exchange, body).await
}

/// Refuses a request from another site, if the rule of the endpoint requires that.
fn check_cross_site<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<(), Error> {
    let headers = &exchange.parts.headers;
    let exempt = match exchange.spec.cross_site {
        CrossSiteRule::Unchecked => return Ok(()),
        // `has_bearer` also refuses two `Authorization` headers.
        CrossSiteRule::Always => credentials::has_bearer(headers).map(|_| false)?,
        CrossSiteRule::UnlessBearer => credentials::has_bearer(headers)?,
        CrossSiteRule::UnlessBearerAlone => {
            credentials::has_bearer(headers)? && exchange.refresh_cookie() == CookieValue::Absent
        }
    };
    // If cookies are barred, the request passes here. The endpoint refuses it before it sets a
    // cookie.
    if exempt || exchange.cookies != CookieUse::Refused { Ok(()) } else { Err(cross_site::refusal()) }
}

fn without_body(mut answer: Answer) -> Answer {
    let length = Body::size_hint(answer.body()).lower();
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    *answer.body_mut() = Full::default();
    answer
}
