//! Requests as browsers send them, and the service that answers them.

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, header};
use http_body_util::Full;
use tower::{Service, service_fn};

use crate::{cases::Run, setup::USER_AGENT};

/// The body of requests and responses.
pub type Body = Full<Bytes>;

/// How a request carries its token.
#[derive(Clone, Copy, Debug)]
pub enum Carrier {
    /// `Authorization: Bearer`.
    Bearer,
    /// The cookie, among others.
    Cookie,
}

/// A `GET` with the headers of a browser and this token.
pub fn request(token: &str, carrier: Carrier) -> Request<Body> {
    let (name, value) = match carrier {
        Carrier::Bearer => (header::AUTHORIZATION, format!("Bearer {token}")),
        Carrier::Cookie => (header::COOKIE, format!("theme=dark; __Host-access_token={token}; lang=en")),
    };
    Request::get("/profile")
        .header(header::HOST, "example.com")
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "application/json")
        .header(header::ACCEPT_ENCODING, "gzip, br")
        .header(header::ACCEPT_LANGUAGE, "en-GB,en;q=0.7")
        .header("sec-fetch-site", "same-origin")
        .header(name, value)
        .body(Body::default())
        .expect("it is a request")
}

/// The service that is guarded: it answers at once.
pub fn inner()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer> + Clone + Send + Sync {
    service_fn(|_request: Request<Body>| ready(Ok(Response::new(Body::default()))))
}

/// Its answer.
pub type Answer = Ready<Result<Response<Body>, Infallible>>;

/// Sends a request, and says whether it was admitted.
pub fn send<S, B>(service: &mut S, request: Request<Body>) -> bool
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
{
    let response = service.call(request).now_or_never().expect("nothing waits here");
    matches!(response, Ok(response) if response.status().is_success())
}

/// Sends requests with these tokens in turn. Each one has to be admitted.
pub fn run<S, B>(mut service: S, tokens: &[String], carrier: Carrier) -> impl Run + Send
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Send,
{
    let mut tokens = tokens.iter().cycle();
    let prepare = move || request(tokens.next().expect("there are tokens"), carrier);
    crate::cases::chunked(256, prepare, move |request| assert!(send(&mut service, request)))
}
