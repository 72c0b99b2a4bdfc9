//! A request on its way: with one token, and perhaps once more with the next.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    Request, Response, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{CallError, ClientAuth, ClientError, refresh::Held, tokens::Pair};

type Asking = Pin<Box<dyn Future<Output = Result<Held, ClientError>> + Send>>;

pin_project! {
    /// The answer of [`BearerService`](super::BearerService), to be awaited.
    ///
    /// Only where a refresh has to be waited for is anything boxed.
    #[must_use = "futures do nothing unless awaited"]
    pub struct BearerFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        auth: ClientAuth,
        // Ready for nothing: what is has been called, or was dropped, because whoever waits for a token keeps no place that
        // the refresh may need.
        service: S,
        again: Option<Request<B>>,
        at_our_endpoints: bool,
        #[pin]
        state: State<S::Future, Request<B>, S::Response>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, Q, P> {
        // For a token to begin with.
        Asking { asking: Asking, request: Option<Q> },
        // For a place in the HTTP client.
        Readying { request: Option<Q>, with: Option<Arc<Pair>> },
        // With this token, or none that could be better.
        Sending { #[pin] sending: F, with: Option<Arc<Pair>> },
        // For a better one.
        Refused { asking: Asking, response: Option<P> },
    }
}

impl<S, B> BearerFuture<S, B>
where
    S: Service<Request<B>>,
{
    /// Sends the request as it is.
    pub(super) fn untouched(auth: ClientAuth, mut service: S, request: Request<B>) -> Self {
        let state = State::Sending { sending: service.call(request), with: None };
        Self { auth, service, again: None, at_our_endpoints: false, state }
    }

    /// Sends the request with a token, and once more where there is a body for it.
    pub(super) fn new(auth: ClientAuth, mut service: S, request: Request<B>, again: Option<B>) -> Self
    where
        S: Clone,
    {
        let at_our_endpoints = auth.is_below_mount_path(request.uri());
        let (parts, body) = request.into_parts();
        let again = again.map(|body| Request::from_parts(parts.clone(), body));
        let request = Request::from_parts(parts, body);
        let state = if let Some(pair) = auth.usable_now() {
            State::Sending { sending: service.call(bearing(&pair, request)), with: Some(pair) }
        } else {
            service = service.clone();
            let (asked, lineage) = (auth.clone(), auth.lineage());
            State::Asking { asking: Box::pin(async move { asked.usable_in(lineage).await }), request: Some(request) }
        };
        Self { auth, service, again, at_our_endpoints, state }
    }
}

impl<S, B, R> Future for BearerFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<R>, CallError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Asking { asking, request } => {
                    let pair = ready!(asking.as_mut().poll(cx)).map_err(CallError::Tokens)?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    // Where nobody is signed in, or not who was: some routes are for anybody, and the others say so.
                    let request = match &pair {
                        Some(pair) => bearing(pair, request),
                        None => request,
                    };
                    State::Readying { request: Some(request), with: pair }
                }
                StateProjection::Readying { request, with } => {
                    ready!(this.service.poll_ready(cx)).map_err(CallError::Call)?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    State::Sending { sending: this.service.call(request), with: with.take() }
                }
                StateProjection::Sending { sending, with } => {
                    let response = ready!(sending.poll(cx)).map_err(CallError::Call)?;
                    match with.take() {
                        Some(pair) if refuses_the_token(&response, *this.at_our_endpoints) => {
                            let auth = this.auth.clone();
                            let asking = Box::pin(async move { auth.after(&pair).await });
                            State::Refused { asking, response: Some(response) }
                        }
                        _ => return Poll::Ready(Ok(response)),
                    }
                }
                StateProjection::Refused { asking, response } => {
                    let newer = ready!(asking.as_mut().poll(cx));
                    let Some(response) = response.take() else { return Poll::Pending };
                    match (newer, this.again.take()) {
                        (Ok(Some(pair)), Some(request)) => {
                            State::Readying { request: Some(bearing(&pair, request)), with: None }
                        }
                        (Err(error), Some(_)) => return Poll::Ready(Err(CallError::Tokens(error))),
                        // The session is over, or the request cannot be sent again: what the server said is the answer.
                        _ => return Poll::Ready(Ok(response)),
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for BearerFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerFuture")
    }
}

fn bearing<B>(pair: &Pair, mut request: Request<B>) -> Request<B> {
    if let Some(bearer) = pair.bearer() {
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    request
}

/// Whether another access token could help. Our own endpoints say `invalid_token` then, and a bare challenge for a wrong
/// password, say; other services are less exact, but one that names another scheme alone is not after a Bearer token.
/// A gRPC call is refused in the headers of a 200.
fn refuses_the_token<B>(response: &Response<B>, at_our_endpoints: bool) -> bool {
    if response.headers().get("grpc-status").is_some_and(|status| status == "16") {
        return true;
    }
    if response.status() != StatusCode::UNAUTHORIZED {
        return false;
    }
    let mut challenges = response.headers().get_all(WWW_AUTHENTICATE).iter().peekable();
    if challenges.peek().is_none() {
        return !at_our_endpoints;
    }
    challenges.any(|challenge| {
        let challenge = String::from_utf8_lossy(challenge.as_bytes()).to_ascii_lowercase();
        let names = |word: &str| challenge.split([' ', ',', '=', '"']).any(|part| part == word);
        names("bearer") && (names("invalid_token") || !at_our_endpoints && !names("error"))
    })
}
