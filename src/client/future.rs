//! [`ResponseFuture`]: sends a request with a token, and perhaps once more with the next token.

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

use super::{CallError, ClientAuth, state::Outcome, tokens::Pair};

/// Waits for a pair. Nothing else is boxed.
type Waiting = Pin<Box<dyn Future<Output = Outcome> + Send>>;

pin_project! {
    /// The response future of [`BearerService`](super::BearerService).
    ///
    /// It allocates only to wait for a refresh.
    #[must_use = "futures do nothing unless awaited"]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        auth: ClientAuth,
        // Not ready. The service that was polled ready has been called, or was dropped: a request
        // that waits for a token must occupy no place that the refresh may need.
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
        // Waits for the first token.
        WaitingForToken { waiting: Waiting, request: Option<Q> },
        // Waits until the HTTP client is ready.
        WaitingForService { request: Option<Q>, pair: Option<Arc<Pair>> },
        // Waits for the answer. With a pair, the request is sent again if the server refuses that.
        Sending { #[pin] sending: F, pair: Option<Arc<Pair>> },
        // Waits for another token after the server has refused the first one.
        Refused { waiting: Waiting, response: Option<P> },
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    /// Sends the request unchanged.
    pub(super) fn unchanged(auth: ClientAuth, mut service: S, request: Request<B>) -> Self {
        let state = State::Sending { sending: service.call(request), pair: None };
        Self { auth, service, again: None, at_our_endpoints: false, state }
    }

    /// Sends the request with a token, and once more if `again` is its body.
    pub(super) fn new(auth: ClientAuth, mut service: S, request: Request<B>, again: Option<B>) -> Self
    where
        S: Clone,
    {
        let at_our_endpoints = auth.is_below_mount_path(request.uri());
        let (parts, body) = request.into_parts();
        let again = again.map(|body| Request::from_parts(parts.clone(), body));
        let request = Request::from_parts(parts, body);
        let state = if let Some(pair) = auth.usable_now() {
            State::Sending { sending: service.call(with_token(&pair, request)), pair: Some(pair) }
        } else {
            service = service.clone();
            let (client, lineage) = (auth.clone(), auth.lineage());
            let waiting = Box::pin(async move { client.usable_in(lineage).await });
            State::WaitingForToken { waiting, request: Some(request) }
        };
        Self { auth, service, again, at_our_endpoints, state }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<R>, CallError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::WaitingForToken { waiting, request } => {
                    let pair = ready!(waiting.as_mut().poll(cx)).map_err(CallError::Tokens)?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    // Without a pair the request is sent without a token. Some routes need none,
                    // and the others answer 401.
                    let request = match &pair {
                        Some(pair) => with_token(pair, request),
                        None => request,
                    };
                    State::WaitingForService { request: Some(request), pair }
                }
                StateProjection::WaitingForService { request, pair } => {
                    ready!(this.service.poll_ready(cx)).map_err(CallError::Call)?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    State::Sending { sending: this.service.call(request), pair: pair.take() }
                }
                StateProjection::Sending { sending, pair } => {
                    let response = ready!(sending.poll(cx)).map_err(CallError::Call)?;
                    match pair.take() {
                        Some(pair) if refuses_the_token(&response, *this.at_our_endpoints) => {
                            let auth = this.auth.clone();
                            let waiting = Box::pin(async move { auth.replacement_of(&pair).await });
                            State::Refused { waiting, response: Some(response) }
                        }
                        _ => return Poll::Ready(Ok(response)),
                    }
                }
                StateProjection::Refused { waiting, response } => {
                    let newer = ready!(waiting.as_mut().poll(cx));
                    let Some(response) = response.take() else { return Poll::Pending };
                    match (newer, this.again.take()) {
                        (Ok(Some(pair)), Some(request)) => {
                            State::WaitingForService { request: Some(with_token(&pair, request)), pair: None }
                        }
                        (Err(error), Some(_)) => return Poll::Ready(Err(CallError::Tokens(error))),
                        // The session has ended, or the body cannot be sent again. The caller gets
                        // the server's 401.
                        _ => return Poll::Ready(Ok(response)),
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

fn with_token<B>(pair: &Pair, mut request: Request<B>) -> Request<B> {
    if let Some(bearer) = pair.bearer() {
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    request
}

/// Returns whether the server refused the access token, so that another one could help.
///
/// Our own endpoints answer `invalid_token` then. A challenge without an error has another cause
/// there, such as a wrong password. Other services are less exact, but a challenge that names only
/// another scheme does not ask for a Bearer token. A gRPC call is refused in the headers of a 200.
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
