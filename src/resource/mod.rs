//! Verifies the access tokens of another service: [`ResourceServer`] and its guard.
//!
//! A resource server holds the JWK set of an issuer, as `GET /auth/.well-known/jwks.json` or any
//! identity provider publishes it. It has no users and no sessions and sees no revocations. It
//! accepts a token until the token expires.
//!
//! A token is accepted when all of this holds:
//! 1. It is a Bearer token of at most 8 KiB in three segments of canonical base64url.
//! 2. Its header names an asymmetric algorithm and a key of the set for exactly that algorithm. Its
//!    `typ` is one of the [configured types](ResourceServerBuilder::token_types). It asks for no
//!    extension.
//! 3. The signature is valid.
//! 4. Its claims are one object without duplicate names. They have the issuer, the configured
//!    audience, a subject, and an expiry that is ahead and at most a day after the issue. Times may
//!    have fractions (RFC 7519 §2), which never extend the token. `iat` and `nbf` may lie a minute
//!    ahead, because clocks differ.
//!
//! A token never brings its own key: `jku`, `x5u`, `jwk` and `x5c` are skipped, unread. To follow
//! the rotation of the issuer's keys, fetch the set on a timer and pass it to
//! [`replace_jwks`](ResourceServer::replace_jwks), or configure the URL of the set.
//!
//! # Keys from a URL
//!
//! With the feature `jwks_url` a server fetches the set itself, from the configured `JwksUrl` and
//! from nowhere else:
//! - Every five minutes, when a request comes in. That request does not wait and is answered with
//!   the present keys.
//! - When a token names a key that is not in the set, at most once in ten seconds. Such requests
//!   wait at most five seconds for the one fetch and are then decided with the new set.
//! - Before the first request, which waits. `ResourceServer::refresh` fetches at start.
//!
//! A fetch is one GET over https. It fails on a redirect, on a status other than 200, on more than
//! 256 KiB or 64 keys, and on a document that is no set or has no usable key. A failure is logged
//! and the fetch is repeated after ten seconds. The present keys stay in use, for a day at most.
//! Requests are answered 503, never 401, while there are no usable keys. The same is answered to a
//! token that names an unknown key while the last fetch has failed, because the issuer may have
//! changed its keys.
//!
//! The fetch trusts the certificate authorities of the operating system, and uses no proxy.

mod builder;
mod claims;
#[cfg(feature = "jwks_url")]
mod fetch;
mod guard;
#[cfg(feature = "jwks_url")]
mod jwks_url;
mod keys;
mod layer;
#[cfg(feature = "jwks_url")]
mod refresh_schedule;
mod server;
mod service;
mod verify;

#[cfg(feature = "jwks_url")]
pub use self::jwks_url::JwksUrl;
pub use self::{
    builder::ResourceServerBuilder,
    claims::ForeignClaims,
    layer::ResourceLayer,
    server::ResourceServer,
    service::{ResourceService, ResponseFuture},
};
