//! Keeps the tokens of a Rust program that calls a service, attaches them and refreshes them
//! (feature `client`).
//!
//! [`ClientAuth`] logs in at the ready endpoints and holds the session. [`ClientAuth::layer`] is a
//! tower layer for any HTTP client that is a
//! `Service<http::Request<B>, Response = http::Response<R>>`.
//!
//! The server's [`TOKEN_DELIVERY`](crate::AuthBuilder::token_delivery) must allow `body`, and its
//! answers must have the standard shape. A program is no web page and sends no `Origin`, so a
//! server with [`strict_cross_site`](crate::AuthBuilder::strict_cross_site) refuses it with
//! `cross_site`.
//!
//! # Examples
//!
//! ```no_run
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use portcullis::client::ClientAuth;
//! use tower::{Layer, Service};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
//! let auth = ClientAuth::builder("http://127.0.0.1:3000").user_agent("my-cli/1.0").build(http.clone())?;
//! auth.login("ada@example.com", "open sesame 42".into()).await?;
//!
//! let mut api = auth.layer().layer(http);
//! let response = api.call(Request::get("http://127.0.0.1:3000/profile").body(Full::default())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(()) }
//! ```
//!
//! # What happens to a request
//!
//! 1. The layer does not change a request that has an `Authorization` header, or that goes neither
//!    to the server nor to a named [`origin`](ClientAuthBuilder::origin). This holds for redirects
//!    that are followed outside of the layer as well.
//! 2. The layer refreshes the access token first if it expires soon. While the refresh fails, or
//!    takes longer than a second, the layer uses the old token until it expires.
//! 3. The layer attaches the token and sends the request. If no user is logged in, it sends the
//!    request without a token.
//! 4. If the server refuses the token (401, or gRPC's status 16), the layer refreshes the token,
//!    unless that has happened since, and sends the request once more. It does so only if the body
//!    can be sent again ([`BearerLayer::replay`]). The caller gets the second answer, whatever it
//!    is. A token that is refused within a second of its refresh is not refreshed again, because
//!    some services refuse every token.
//!
//! A request belongs to the session in which it began. A login may replace that session while the
//! request is under way, here or in another process. The request is not sent again then, and its
//! caller gets the 401. A request that still waits for a token is sent without one. The next
//! request belongs to the new session.
//!
//! All requests that need a new token wait for one refresh. The refresh runs in a task of its own
//! on the Tokio runtime and needs the runtime's timers. A caller that stops waiting does not stop
//! the refresh. The end of the runtime does: call [`settled`](ClientAuth::settled) before `main`
//! returns, or a token that the server has just issued may never be stored. A request that waits
//! occupies no place in an HTTP client that has few of them (`tower::limit`), because the refresh
//! may need it.
//!
//! # What ends a session, and what does not
//!
//! A refresh token can be used once, and again within a grace of 10 s. So the latest one must not
//! be lost:
//!
//! - **A new pair is stored before it is used.** While the storage fails, the pair stays in memory,
//!   and each further call first tries to store it. Callers get [`ClientErrorKind::Storage`] unless
//!   the old access token is still valid. If the process ends in that state, the user has to log in
//!   again.
//! - **A lost answer is requested again** with the same refresh token, at once and a second later.
//!   The server repeats its answer within the grace. If the network fails for longer, right after
//!   the server has rotated the session, the user has to log in again.
//! - **Two processes with one storage take turns** if the storage [locks](TokenStorage::lock). Each
//!   process reads what the other has stored before it refreshes and before it stores.
//! - **The session has ended** when the server answers a refresh with 401 and one of the codes
//!   `refresh_expired`, `refresh_invalid` and `refresh_reused`. The storage is cleared, callers get
//!   the server's 401, and the next [`login`](ClientAuth::login) begins a session. The storage is
//!   not cleared if another process has stored other tokens. After a `refresh_invalid` the client
//!   waits a second for those, because a password change by another process invalidates earlier
//!   tokens.
//! - **Nothing else logs the user out.** The tokens stay without a network, at 429, at 503 and
//!   behind a captive portal. Callers get [`CallError::Tokens`] once the access token has expired.
//!   The client does not call the server again for a second, or for as long as the server's
//!   `Retry-After` says, up to 5 min. Calls within that time get the same error.
//!
//! # With reqwest
//!
//! reqwest's client is a service of its own type of request. A closure converts it:
//!
//! ```no_run
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use portcullis::client::ClientAuth;
//! use tower::{Layer, Service, service_fn};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let reqwest = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
//! let http = service_fn(move |request: Request<Full<Bytes>>| {
//!     let reqwest = reqwest.clone();
//!     async move {
//!         let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))?;
//!         reqwest.execute(request).await.map(Response::from)
//!     }
//! });
//! let auth = ClientAuth::builder("http://127.0.0.1:3000").build(http.clone())?;
//! let mut api = auth.layer().layer(http);
//! # let _: Response<reqwest::Body> = api.call(Request::new(Full::default())).await?;
//! # Ok(()) }
//! ```
//!
//! The layer does not see redirects that the HTTP client follows by itself. reqwest removes the
//! token when host, port or scheme change. hyper-util's client follows no redirects.

mod api;
mod backoff;
mod builder;
mod change_password;
mod client_auth;
mod error;
mod future;
mod layer;
mod login;
mod logout;
mod persist;
mod refresh;
mod rotate;
mod server_user;
mod state;
mod storage;
#[cfg(test)]
mod tests;
mod tokens;
mod uninterrupted;
mod usable_pair;

pub use self::{
    builder::ClientAuthBuilder,
    client_auth::ClientAuth,
    error::{CallError, ClientError, ClientErrorKind},
    future::ResponseFuture,
    layer::{BearerLayer, BearerService, CloneBody, Replay, ReplayWith},
    server_user::ServerUser,
    storage::{MemoryStorage, StorageError, StorageLock, TokenStorage},
};
