//! The service that guards another by an issuer's tokens, and its answer as a named future.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::guard::ResourceGuard;
use crate::{http::ResponseBody, layer::GuardFuture};

/// Lets only requests with a valid Bearer token of the issuer reach the inner service.
///
/// [`ResourceLayer`](super::ResourceLayer) makes it.
#[derive(Clone, Debug)]
pub struct ResourceService<S> {
    inner: S,
    guard: ResourceGuard,
}

impl<S> ResourceService<S> {
    pub(super) fn new(inner: S, guard: ResourceGuard) -> Self {
        Self { inner, guard }
    }
}

impl<S, Req, Res> Service<Request<Req>> for ResourceService<S>
where
    S: Service<Request<Req>, Response = Response<Res>> + Clone,
{
    type Response = Response<ResponseBody<Res>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        ResponseFuture { answer: GuardFuture::new(&self.guard, &mut self.inner, request) }
    }
}

pin_project! {
    /// Resolves to the answer of [`ResourceService`].
    ///
    /// Allocates only where the guard waits for the keys of the issuer.
    #[must_use = "futures do nothing unless awaited"]
    pub struct ResponseFuture<S, Req>
    where
        S: Service<Request<Req>>,
    {
        #[pin]
        answer: GuardFuture<S, ResourceGuard, Req>,
    }
}

impl<S, Req, Res> Future for ResponseFuture<S, Req>
where
    S: Service<Request<Req>, Response = Response<Res>>,
{
    type Output = Result<Response<ResponseBody<Res>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().answer.poll(cx)
    }
}

impl<S, Req> fmt::Debug for ResponseFuture<S, Req>
where
    S: Service<Request<Req>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
