//! [`BearerLayer`] and [`BearerService`]: attach the access token, and refresh it if the server
//! refuses it.

use std::{
    fmt, mem,
    task::{Context, Poll},
};

use http::{Request, Response, header::AUTHORIZATION};
use tower_layer::Layer;
use tower_service::Service;

use super::{CallError, ClientAuth, ResponseFuture};

/// Attaches the access token of a [`ClientAuth`] to requests. [`ClientAuth::layer`] makes one.
#[derive(Clone, Debug)]
pub struct BearerLayer<R = CloneBody> {
    auth: ClientAuth,
    replay: R,
}

impl ClientAuth {
    /// Returns the layer for an HTTP client, for requests whose body is `Clone`. Use
    /// [`BearerLayer::replay`] for other bodies.
    pub fn layer(&self) -> BearerLayer {
        BearerLayer { auth: self.clone(), replay: CloneBody }
    }
}

impl<R> BearerLayer<R> {
    /// Sets how a body is sent again, for bodies that are not always `Clone`.
    ///
    /// If a body cannot be sent again, the caller gets the 401. The token is refreshed for the next
    /// request.
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

/// Copies the body of a request, to send it a second time.
pub trait Replay<B> {
    /// Returns a copy of a body that is not sent yet. Returns `None` if it can be sent only once.
    fn replay(&self, body: &B) -> Option<B>;
}

/// Clones bodies, such as `http_body_util::Full`. [`ClientAuth::layer`] uses it.
#[derive(Clone, Copy, Debug)]
pub struct CloneBody;

impl<B: Clone> Replay<B> for CloneBody {
    fn replay(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Calls the closure of [`BearerLayer::replay`].
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

/// An HTTP client that attaches tokens. [`BearerLayer`] makes one.
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
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(CallError::Call)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The service that was polled ready is called, unless the request waits for a token. Its
        // clone replaces it.
        let next = self.inner.clone();
        let service = mem::replace(&mut self.inner, next);
        // The caller's own credentials are not replaced.
        if request.headers().contains_key(AUTHORIZATION) || !self.auth.is_meant_for(request.uri()) {
            return ResponseFuture::unchanged(self.auth.clone(), service, request);
        }
        let again = self.replay.replay(request.body());
        ResponseFuture::new(self.auth.clone(), service, request, again)
    }
}
