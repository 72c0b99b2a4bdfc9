//! The service that guards another.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    auth_guard::AuthGuard,
    future::{GuardFuture, ResponseFuture},
};
use crate::{http::ResponseBody, user::AuthUser};

/// Lets only requests with a valid access token reach the inner service.
///
/// [`AuthLayer`](super::AuthLayer) makes it.
pub struct AuthService<S, U: AuthUser> {
    inner: S,
    guard: AuthGuard<U>,
}

impl<S, U: AuthUser> AuthService<S, U> {
    pub(super) fn new(inner: S, guard: AuthGuard<U>) -> Self {
        Self { inner, guard }
    }
}

impl<S, U, Req, Res> Service<Request<Req>> for AuthService<S, U>
where
    S: Service<Request<Req>, Response = Response<Res>> + Clone,
    U: AuthUser,
{
    type Response = Response<ResponseBody<Res>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, U, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        ResponseFuture::new(GuardFuture::new(&self.guard, &mut self.inner, request))
    }
}

impl<S: Clone, U: AuthUser> Clone for AuthService<S, U> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), guard: self.guard.clone() }
    }
}

impl<S: fmt::Debug, U: AuthUser> fmt::Debug for AuthService<S, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService").field("inner", &self.inner).field("guard", &self.guard).finish()
    }
}
