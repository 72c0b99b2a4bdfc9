//! The layer: attaches the access token, and has it refreshed where the server refuses it.

use std::{
    fmt, mem,
    task::{Context, Poll},
};

use http::{Request, Response, header::AUTHORIZATION};
use tower_layer::Layer;
use tower_service::Service;

use super::{BearerFuture, CallError, ClientAuth};

/// Gives an HTTP client the access token of a [`ClientAuth`]; made by [`ClientAuth::layer`].
#[derive(Clone, Debug)]
pub struct BearerLayer<R = CloneBody> {
    auth: ClientAuth,
    replay: R,
}

impl BearerLayer {
    pub(super) fn new(auth: ClientAuth) -> Self {
        Self { auth, replay: CloneBody }
    }
}

impl<R> BearerLayer<R> {
    /// Says how a body is sent again, for bodies that are not `Clone`, or only sometimes.
    ///
    /// A request whose body cannot be sent again gets its 401 back; the token is refreshed all the same, for the next one.
    ///
    /// ```
    /// # use portcullis::client::ClientAuth;
    /// # fn example<UploadBody>(auth: &ClientAuth) {
    /// let layer = auth.layer().replay(|_: &UploadBody| None);
    /// # let _ = layer; }
    /// ```
    pub fn replay<B, F: Fn(&B) -> Option<B>>(self, replay: F) -> BearerLayer<ReplayWith<F>> {
        BearerLayer { auth: self.auth, replay: ReplayWith(replay) }
    }
}

impl<S, R: Clone> Layer<S> for BearerLayer<R> {
    type Service = BearerService<S, R>;

    fn layer(&self, inner: S) -> BearerService<S, R> {
        BearerService { inner, auth: self.auth.clone(), replay: self.replay.clone() }
    }
}

/// How a request's body is sent a second time.
pub trait Replay<B> {
    /// The body once more, before it is sent; `None` where it can be sent once only.
    fn replay(&self, body: &B) -> Option<B>;
}

/// Clones bodies, such as `http_body_util::Full`: what [`ClientAuth::layer`] does.
#[derive(Clone, Copy, Debug)]
pub struct CloneBody;

impl<B: Clone> Replay<B> for CloneBody {
    fn replay(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Asks a closure, as [`BearerLayer::replay`] got it.
#[derive(Clone, Copy)]
pub struct ReplayWith<F>(F);

impl<B, F: Fn(&B) -> Option<B>> Replay<B> for ReplayWith<F> {
    fn replay(&self, body: &B) -> Option<B> {
        (self.0)(body)
    }
}

impl<F> fmt::Debug for ReplayWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayWith")
    }
}

/// An HTTP client with tokens; made by [`BearerLayer`].
#[derive(Clone, Debug)]
pub struct BearerService<S, R = CloneBody> {
    inner: S,
    auth: ClientAuth,
    replay: R,
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for BearerService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: Replay<ReqBody>,
{
    type Response = Response<ResBody>;
    type Error = CallError<S::Error>;
    type Future = BearerFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Call)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The one that was polled ready is called, unless a token has to be waited for, and its clone takes its place.
        let next = self.inner.clone();
        let service = mem::replace(&mut self.inner, next);
        // Who brings credentials of their own has their reasons.
        if request.headers().contains_key(AUTHORIZATION) || !self.auth.is_meant_for(request.uri()) {
            return BearerFuture::untouched(self.auth.clone(), service, request);
        }
        let again = self.replay.replay(request.body());
        BearerFuture::new(self.auth.clone(), service, request, again)
    }
}
