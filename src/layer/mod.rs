//! Guards services: a tower [`Layer`](tower_layer::Layer) that admits requests with a valid access
//! token.
//!
//! The guard checks a request in this order and refuses it at the first condition that fails:
//! 1. The request has at most one `Authorization` header. It brings a Bearer token or, without
//!    one, the access cookie. An [`optional`](crate::Auth::optional) guard admits a request that
//!    brings neither.
//! 2. A request that a cookie authenticates comes from the same site, where its method is unsafe
//!    or where it asks for an upgrade such as to a WebSocket.
//! 3. The signature, issuer, audience and times of the token are valid, and this node does not
//!    know that its session has ended.
//! 4. The store has a live session of the token, where
//!    [`check_session`](AuthLayer::check_session) asks for it.
//! 5. The user may log in, where [`load_user`](AuthLayer::load_user) asks for it.
//! 6. The token has the required roles and scopes, and the app's own conditions hold. The guard
//!    checks these in the order in which its methods were called.
//!
//! Each method of the guard adds a check and removes no other. The order of `load_user` and
//! `check_session` does not matter.
//!
//! The handler finds [`Claims`](crate::Claims) in the extensions of the request, and
//! [`CurrentUser`] where the guard loads the user. Where the guard does not, the extractor of axum
//! (feature `axum`) loads the user itself. [`Principal`] covers every kind of credential.
//! An optional guard refuses an invalid token too, because its client believes to be logged in.
//!
//! A stateless guard boxes no future and awaits nothing. It calls the inner service that was
//! polled ready.
//!
//! # What each setting weakens
//!
//! - Without `check_session` the guard may admit, until the next poll, a token whose session
//!   another node has ended.
//! - Without `load_user` the guard admits, until the token expires, a user who was disabled by a
//!   write to the database alone, and it reads the roles that the token was issued with.
//! - [`optional`](crate::Auth::optional) reaches the handler without claims. A required role or
//!   scope makes the guard refuse such requests again.
//!
//! # Upgrades, for example to a WebSocket
//!
//! A handshake is a request like any other. Put the route that upgrades behind a guard, and only
//! verified requests reach the handler that answers 101. Programs send `Authorization: Bearer`.
//! Browsers cannot set headers on a handshake, but they send the access cookie. So keep tokens in
//! cookies ([`Delivery::Cookie`](crate::http::Delivery::Cookie)) and let the page connect to its
//! own origin.
//!
//! CORS does not protect a handshake. So one that a cookie authenticates has to come from the same
//! origin, which browsers send in `Origin`, or from a
//! [trusted origin](crate::AuthBuilder::trusted_origin). That origin has to be https unless cookies
//! are insecure. To develop over plain HTTP with secure cookies, trust `http://localhost:3000` by
//! name, because Chromium sends no `Sec-Fetch-Site` with a handshake.
//!
//! The guard deliberately reads no token from the query string, because servers and proxies write
//! query strings into their logs.
//!
//! A connection outlives the request that opened it. A logout does not close it.
//! [`Auth::until_ended`](crate::Auth::until_ended) waits until the session of the connection ends,
//! on this node or on another, or until its token expires. The example `websocket` then closes the
//! connection with a code of its own, so that the page refreshes its tokens and connects again.

mod auth_guard;
mod current_user;
mod future;
mod guard;
#[allow(clippy::module_inception, reason = "the file is named after its type's role, as in other tower layers")]
mod layer;
#[cfg(feature = "axum")]
mod mark;
mod principal;
mod requirements;
mod service;

#[cfg(feature = "axum")]
pub(crate) use self::mark::{GuardMark, MarkedBy};
pub use self::{
    current_user::CurrentUser, future::ResponseFuture, layer::AuthLayer, principal::Principal, service::AuthService,
};
pub(crate) use self::{
    future::GuardFuture,
    guard::{Decision, Guard},
    requirements::{Bearer, Requirement, Requirements},
};

#[cfg(test)]
mod tests;
