//! The ready endpoints as one tower [`Service`]: [`Auth::routes`].

mod account;
mod answer;
mod exchange;
mod login;
#[cfg(feature = "openapi")]
mod openapi;
mod sessions;

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_LENGTH, SET_COOKIE},
};
use http_body::Body;
use http_body_util::Full;
use tower::BoxError;
use tower_service::Service;

use self::exchange::{CookieUse, Exchange};
use crate::{
    auth::Auth,
    error::{Error, ErrorKind},
    http::{
        Endpoint, ResponseBody, ResponseFormat,
        credentials::{self, CookieValue},
        cross_site, respond,
    },
    user::AuthUser,
};

type Answer = Response<Full<Bytes>>;

/// The ready endpoints, below the mount path (`/auth` unless set); clones share everything.
///
/// A tower [`Service`] of full paths that never fails: on hyper it answers every request whose path begins with the mount
/// path, on axum it is `Auth::router()` to merge (feature `axum`), or `route_service("/auth/{*rest}", auth.routes())`.
/// Not for axum's `nest`, which cuts the mount path off.
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
/// Bodies are JSON or forms of at most 16 KiB. Failures are `application/problem+json` (RFC 9457) with a stable `code`:
/// see [`ErrorKind`].
///
/// An app has them elsewhere ([`endpoint_path`](crate::AuthBuilder::endpoint_path)), fewer of them
/// ([`without_endpoint`](crate::AuthBuilder::without_endpoint)), or with other bodies
/// ([`response_format`](crate::AuthBuilder::response_format), [`success_body`](crate::AuthBuilder::success_body),
/// [`failure_body`](crate::AuthBuilder::failure_body)). The members of a registration beside `email`, `password` and
/// `username` are the app's own [`AuthUser::Registration`], which [`AuthUser::check_registration`] checks.
pub struct Routes<U: AuthUser>(Auth<U>);

impl<U: AuthUser> Auth<U> {
    /// The ready endpoints.
    pub fn routes(&self) -> Routes<U> {
        Routes(self.clone())
    }
}

impl<U: AuthUser> Routes<U> {
    /// Whether a path is below the mount path, for servers that route by hand.
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
    type Future = RoutesFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> RoutesFuture {
        let auth = self.0.clone();
        RoutesFuture(Box::pin(async move { answer(auth, request).await.map(ResponseBody::own) }))
    }
}

/// The answer of [`Routes`], to be awaited.
#[must_use = "futures do nothing unless awaited"]
pub struct RoutesFuture(Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>);

impl Future for RoutesFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for RoutesFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoutesFuture")
    }
}

async fn answer<U, B>(auth: Auth<U>, request: Request<B>) -> Answer
where
    U: AuthUser,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let responder = &auth.0.http.responder;
    let Some((resource, id)) = auth.0.http.table.find(parts.uri.path()) else {
        return responder.problem(&ErrorKind::NotFound.into());
    };
    let head = parts.method == Method::HEAD;
    let method = if head { &Method::GET } else { &parts.method };
    let Some(endpoint) = resource.endpoint(method) else {
        let mut answer = if parts.method == Method::OPTIONS {
            respond::empty(StatusCode::NO_CONTENT)
        } else {
            responder.problem(&ErrorKind::MethodNotAllowed.into())
        };
        answer.headers_mut().insert(ALLOW, resource.allow().clone());
        return answer;
    };
    let exchange = Exchange::new(&auth, &parts, endpoint, id);
    let answer = match handle(&exchange, body).await {
        Ok(answer) => answer,
        Err(error) if auth.0.http.responder.format == ResponseFormat::Envelope => {
            failure(&exchange, &answer::rename_mistakes::<U::Registration>(error))
        }
        Err(error) => failure(&exchange, &error),
    };
    if head { without_body(answer) } else { answer }
}

async fn handle<U, B>(exchange: &Exchange<'_, U>, body: B) -> Result<Answer, Error>
where
    U: AuthUser,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    if exchange.parts.method != Method::GET && exchange.parts.method != Method::HEAD {
        refuse_cross_site(exchange)?;
    }
    match exchange.endpoint {
        Endpoint::Register => login::register(exchange, body).await,
        Endpoint::Login => login::login(exchange, body).await,
        Endpoint::Refresh => login::refresh(exchange, body).await,
        Endpoint::Logout => sessions::logout(exchange, body).await,
        Endpoint::LogoutAll => sessions::logout_all(exchange).await,
        Endpoint::Me => account::me(exchange).await,
        Endpoint::Sessions => sessions::list(exchange).await,
        Endpoint::EndSession => sessions::end(exchange).await,
        Endpoint::ChangePassword => account::change_password(exchange, body).await,
        Endpoint::Jwks => Ok(respond::jwks(exchange.auth.jwks())),
        #[cfg(feature = "openapi")]
        Endpoint::OpenApi => Ok(respond::openapi(exchange.auth.openapi()?)),
    }
}

/// Every unsafe endpoint sets or clears cookies or may be authenticated by one. `Authorization: Bearer` exempts where it is
/// the credential, because no page of another site can make a browser send it unasked; not where a cookie is.
fn refuse_cross_site<U: AuthUser>(exchange: &Exchange<'_, U>) -> Result<(), Error> {
    let by_bearer = credentials::has_bearer(&exchange.parts.headers)?
        && match exchange.endpoint {
            Endpoint::LogoutAll | Endpoint::EndSession | Endpoint::ChangePassword => true,
            Endpoint::Logout => exchange.refresh_cookie() == CookieValue::Absent,
            _ => false,
        };
    // Where cookies are barred the endpoint refuses as soon as it would set one.
    if by_bearer || exchange.cookies != CookieUse::Refused { Ok(()) } else { Err(cross_site::refusal()) }
}

/// A failed refresh clears the cookies where they can never work again; an outage clears nothing.
fn failure<U: AuthUser>(exchange: &Exchange<'_, U>, error: &Error) -> Answer {
    let mut answer = exchange.auth.0.http.responder.problem(error);
    let hopeless =
        matches!(error.kind(), ErrorKind::RefreshInvalid | ErrorKind::RefreshExpired | ErrorKind::RefreshReused)
            && !error.is_overtaken();
    if exchange.endpoint == Endpoint::Refresh && hopeless && clear_cookies(exchange, answer.headers_mut()).is_err() {
        tracing::error!(target: "portcullis", "the cookies cannot be cleared");
    }
    answer
}

fn clear_cookies<U: AuthUser>(exchange: &Exchange<'_, U>, headers: &mut HeaderMap) -> Result<(), Error> {
    if exchange.cookies == CookieUse::Barred {
        return Ok(());
    }
    let cookies = &exchange.auth.0.http.cookies;
    exchange.expire_other_cookies(headers)?;
    headers.append(SET_COOKIE, cookies.access.delete()?);
    headers.append(SET_COOKIE, cookies.refresh.delete()?);
    Ok(())
}

fn without_body(mut answer: Answer) -> Answer {
    let length = Body::size_hint(answer.body()).lower();
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    *answer.body_mut() = Full::default();
    answer
}
