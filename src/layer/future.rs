//! The answer of a guarded service, as a named future.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    auth_guard::AuthGuard,
    guard::{Decision, Guard, Pending},
};
use crate::{
    error::Error,
    http::{ResponseBody, response::grpc},
    user::AuthUser,
};

pin_project! {
    /// Resolves to the answer of [`AuthService`](super::AuthService).
    ///
    /// Allocates only where the guard asks a store.
    #[must_use = "futures do nothing unless awaited"]
    pub struct ResponseFuture<S, U, Req>
    where
        S: Service<Request<Req>>,
        U: AuthUser,
    {
        #[pin]
        answer: GuardFuture<S, AuthGuard<U>, Req>,
    }
}

impl<S, U, Req> ResponseFuture<S, U, Req>
where
    S: Service<Request<Req>>,
    U: AuthUser,
{
    pub(super) fn new(answer: GuardFuture<S, AuthGuard<U>, Req>) -> Self {
        Self { answer }
    }
}

impl<S, U, Req, Res> Future for ResponseFuture<S, U, Req>
where
    S: Service<Request<Req>, Response = Response<Res>>,
    U: AuthUser,
{
    type Output = Result<Response<ResponseBody<Res>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().answer.poll(cx)
    }
}

impl<S, U, Req> fmt::Debug for ResponseFuture<S, U, Req>
where
    S: Service<Request<Req>>,
    U: AuthUser,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

pin_project! {
    /// Resolves to the answer of a service behind any guard.
    #[must_use = "futures do nothing unless awaited"]
    pub(crate) struct GuardFuture<S, G, Req>
    where
        S: Service<Request<Req>>,
        G: Guard,
    {
        #[pin]
        state: State<S, G, Req>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, G, Req>
    where
        S: Service<Request<Req>>,
        G: Guard,
    {
        Inner { #[pin] future: S::Future },
        Refused { response: Option<Response<Full<Bytes>>> },
        Deciding { decision: Pending<G::Admitted>, rest: Option<Box<Rest<S, G, Req>>> },
    }
}

/// What is needed once the guard has decided.
struct Rest<S, G, Req> {
    service: S,
    request: Request<Req>,
    guard: G,
}

impl<S, G, Req> GuardFuture<S, G, Req>
where
    S: Service<Request<Req>> + Clone,
    G: Guard,
{
    /// Begins the answer to a request. `inner` has been polled ready.
    pub(crate) fn new(guard: &G, inner: &mut S, request: Request<Req>) -> Self {
        let state = match guard.decide(&request) {
            Ok(Decision::Admit(admitted)) => State::admitted(guard, admitted, inner, request),
            Ok(Decision::Wait(decision)) => {
                // The service that was polled ready goes with the request. Its clone stays behind,
                // to be polled anew.
                let clone = inner.clone();
                let service = mem::replace(inner, clone);
                State::Deciding { decision, rest: Some(Box::new(Rest { service, request, guard: guard.clone() })) }
            }
            Err(error) => State::refused(guard, &error, &request),
        };
        Self { state }
    }
}

impl<S, G, Req> State<S, G, Req>
where
    S: Service<Request<Req>>,
    G: Guard,
{
    fn admitted(guard: &G, admitted: Option<G::Admitted>, service: &mut S, mut request: Request<Req>) -> Self {
        guard.admit(request.extensions_mut(), admitted);
        Self::Inner { future: service.call(request) }
    }

    fn refused(guard: &G, error: &Error, request: &Request<Req>) -> Self {
        let grpc = grpc::is_grpc(request.method(), request.headers());
        Self::Refused { response: Some(guard.responder().refusal(error, grpc)) }
    }

    fn decided(decision: Result<G::Admitted, Error>, rest: Rest<S, G, Req>) -> Self {
        let Rest { mut service, request, guard } = rest;
        match decision {
            Ok(admitted) => Self::admitted(&guard, Some(admitted), &mut service, request),
            Err(error) => Self::refused(&guard, &error, &request),
        }
    }
}

impl<S, G, Req, Res> Future for GuardFuture<S, G, Req>
where
    S: Service<Request<Req>, Response = Response<Res>>,
    G: Guard,
{
    type Output = Result<Response<ResponseBody<Res>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Inner { future } => {
                    return future.poll(cx).map(|result| result.map(|response| response.map(ResponseBody::inner)));
                }
                StateProjection::Refused { response } => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response.map(ResponseBody::own))),
                        // The contract of `Future` leaves open what a poll after the end does.
                        None => Poll::Pending,
                    };
                }
                StateProjection::Deciding { decision, rest } => {
                    let decision = ready!(decision.as_mut().poll(cx));
                    match rest.take() {
                        Some(rest) => State::decided(decision, *rest),
                        None => return Poll::Pending,
                    }
                }
            };
            this.state.set(next);
        }
    }
}
