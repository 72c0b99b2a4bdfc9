//! The answer of a guarded service, as a named future.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{AuthLayer, admit_foreign, requirements::Bearer};
use crate::{
    auth::Authenticated,
    error::Error,
    http::{ResponseBody, respond},
    resource::ForeignClaims,
    user::AuthUser,
};

pub(super) type Asking<U> = Pin<Box<dyn Future<Output = Result<Admitted<U>, Error>> + Send>>;

/// Who was admitted after waiting.
pub(super) enum Admitted<U> {
    Own(Authenticated<U>),
    Foreign(ForeignClaims),
}

pin_project! {
    /// The answer of [`AuthService`](super::AuthService), to be awaited.
    ///
    /// Only where a store has to be asked is anything boxed.
    #[must_use = "futures do nothing unless awaited"]
    pub struct ResponseFuture<S, U, Req>
    where
        S: Service<Request<Req>>,
        U: AuthUser,
    {
        #[pin]
        state: State<S, U, Req>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, U, Req>
    where
        S: Service<Request<Req>>,
        U: AuthUser,
    {
        Inner { #[pin] future: S::Future },
        Refused { response: Option<Response<Full<Bytes>>> },
        Asking { answer: Asking<U>, rest: Option<Box<Waiting<S, U, Req>>> },
    }
}

/// What waits while a store is asked.
struct Waiting<S, U: AuthUser, Req> {
    service: S,
    request: Request<Req>,
    layer: AuthLayer<U>,
}

impl<S, U, Req> ResponseFuture<S, U, Req>
where
    S: Service<Request<Req>>,
    U: AuthUser,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn refused(response: Response<Full<Bytes>>) -> Self {
        Self { state: State::Refused { response: Some(response) } }
    }

    pub(super) fn asking(answer: Asking<U>, service: S, request: Request<Req>, layer: AuthLayer<U>) -> Self {
        Self { state: State::Asking { answer, rest: Some(Box::new(Waiting { service, request, layer })) } }
    }
}

impl<S, U, Req> State<S, U, Req>
where
    S: Service<Request<Req>>,
    U: AuthUser,
{
    /// The next state once the store has answered.
    fn answered(answer: Result<Admitted<U>, Error>, waiting: Waiting<S, U, Req>) -> Self {
        let Waiting { mut service, mut request, layer } = waiting;
        let admitted = answer.and_then(|admitted| {
            let guard = &layer.shared.guard;
            match &admitted {
                Admitted::Own(Authenticated { claims, user: Some(user) }) => {
                    guard.authorize(Bearer::Loaded(claims, &user.roles()))
                }
                Admitted::Own(Authenticated { claims, user: None }) => guard.authorize(Bearer::Own(claims)),
                Admitted::Foreign(claims) => guard.authorize(Bearer::Foreign(claims)),
            }?;
            Ok(admitted)
        });
        match admitted {
            Ok(admitted) => {
                match admitted {
                    Admitted::Own(admitted) => layer.admit(&mut request, Some(admitted)),
                    Admitted::Foreign(claims) => {
                        admit_foreign(&mut request, Some(claims));
                        #[cfg(feature = "axum")]
                        layer.leave_mark(&mut request);
                    }
                }
                Self::Inner { future: service.call(request) }
            }
            Err(error) => {
                let grpc = respond::is_grpc(request.method(), request.headers());
                Self::Refused { response: Some(layer.refuse(&error, grpc)) }
            }
        }
    }
}

impl<S, U, Req, Res> Future for ResponseFuture<S, U, Req>
where
    S: Service<Request<Req>, Response = Response<Res>>,
    U: AuthUser,
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
                        // Polled again after its end, which the contract of `Future` leaves open.
                        None => Poll::Pending,
                    };
                }
                StateProjection::Asking { answer, rest } => {
                    let answer = ready!(answer.as_mut().poll(cx));
                    match rest.take() {
                        Some(waiting) => State::answered(answer, *waiting),
                        None => return Poll::Pending,
                    }
                }
            };
            this.state.set(next);
        }
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
