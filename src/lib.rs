//! Complete authentication for tower, axum, hyper and tonic services: passwords in, tokens out,
//! sessions under control.
//!
//! The [guides](guide) begin with a [service in ten minutes](guide::quickstart). A whole service on
//! axum:
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # mod app {
//! use std::net::SocketAddr;
//!
//! use axum::{Router, routing::get};
//! use portcullis::{Auth, Claims, store::memory::MemoryStore};
//!
//! async fn profile(claims: Claims) -> String {
//!     format!("You are user {}", claims.subject())
//! }
//!
//! # #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = MemoryStore::new();
//!     let auth = Auth::from_env(store.clone(), store)?;
//!
//!     let app = Router::new()
//!         .route("/profile", get(profile))
//!         .route_layer(auth.require())
//!         .merge(auth.router());
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     // Passes on the address of each client, by which password guesses are slowed.
//!     axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//!     Ok(())
//! }
//! # }
//! ```
//!
//! `auth.router()` has the endpoints below `/auth`: register, log in, refresh, log out, and so on.
//! `auth.require()` is the guard. It admits a request by its access token, without I/O.
//!
//! # The map
//!
//! | module | what is in it |
//! |---|---|
//! | [`guide`] | how something is done from beginning to end, and why |
//! | [`Auth`], [`AuthBuilder`] | every flow in code; every setting and its default |
//! | [`auth`] | what the flows take and return |
//! | [`error`] | what can go wrong, in codes that are stable |
//! | [`endpoints`] | the ready endpoints, a tower service |
//! | [`http`] | what an app chooses about requests and answers |
//! | [`layer`] | the guard, a tower layer; [`Claims`] and [`CurrentUser`] |
//! | [`user`] | what the crate needs of an app's user, and a ready user |
//! | [`store`] | the traits that users and sessions are kept behind, and the memory store |
//! | [`password`] | the policy, the cost of a hash, and the check for known leaks |
//! | [`token`] | access and refresh tokens, and [`Claims`] |
//! | [`keys`] | keys that sign, keys that verify, and how they are rotated |
//! | [`resource`] | verifying another service's access tokens |
//! | [`session`] | the session record and the rules of rotation |
//! | [`throttle`] | how guesses are slowed |
//! | [`event`] | what happened, emitted to a sink: audit logs |
//! | [`clock`] | time, injected |
//! | `client` | tokens in a program that calls a service (feature `client`) |
//! | `testing` | users, tokens and time for an app's own tests (feature `testing`) |
//! | `axum` | extractors and a router (feature `axum`) |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `aws_lc_rs` | yes | signatures by aws-lc-rs |
//! | `rust_crypto` | no | signatures by the `RustCrypto` crates, for targets without a C compiler. Brings `rsa` (RUSTSEC-2023-0071), whose signing leaks timing, into the tree: sign with another key than RSA. Slower: 4 times at ES256, 11 times at RS256 |
//! | `sqlx_0_9_sqlite` | no | [`store`]`::sql::SqliteStore`: users and sessions in `SQLite` |
//! | `sqlx_0_9_postgres` | no | [`store`]`::sql::PostgresStore`: users and sessions in `PostgreSQL` |
//! | `mongodb_3` | no | [`store`]`::mongodb::MongoStore`: users and sessions in `MongoDB`, and users collections of Mongoose apps |
//! | `redis_1` | no | [`store`]`::redis::RedisSessions`: sessions in Redis, and `RedisFeed`, by which nodes learn of revocations at once |
//! | `jwks_url` | no | [`resource`]`::JwksUrl`: a resource server that fetches its issuer's keys itself, by hyper and rustls (on aws-lc-rs, whichever backend verifies) |
//! | `conformance` | no | [`store`]`::conformance`, the suite that proves a store of your own |
//! | `metrics` | no | counts and durations to the recorder of the crate `metrics` 0.24 that the app has installed: [`event`](event#metrics) |
//! | `client` | no | `client`: a tower layer for HTTP clients that attaches the access token and refreshes it, for command lines and services |
//! | `testing` | no | `testing`, which makes users and tokens and moves the clock for an app's own tests: for `[dev-dependencies]` alone |
//! | `axum` | no | extractors, [`Auth`]`::router()`, the peer address from `ConnectInfo` |
//! | `openapi` | no | [`Auth`]`::openapi()` and `GET /auth/openapi.json`, the `OpenAPI` 3.1 document of the mounted endpoints |
//! | `bcrypt` | no | logins with bcrypt hashes (`$2a$`, `$2b$`, `$2y$`) that an app brings along |
//! | `scrypt`, `pbkdf2` | no | the same for scrypt, and for PBKDF2 with SHA-256 or SHA-512, in PHC form |
//!
//! Hashes that an app brings along are replaced by Argon2id at the next successful login of their
//! user. Until then a wrong password takes as long as the old scheme does, which distinguishes such
//! a user from an unknown one. The same holds for Argon2 hashes of another cost than today's.
//! bcrypt counts the first 72 bytes of a password.
//!
//! One of the two backends is needed. With both, `aws_lc_rs` does the work.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod auth;
#[cfg(feature = "axum")]
pub mod axum;
mod builder;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
pub mod endpoints;
pub mod error;
pub mod event;
pub mod guide;
pub mod http;
pub mod layer;
mod metrics;
pub mod password;
mod random;
pub mod resource;
mod revocation;
mod secret;
pub mod session;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod throttle;
pub mod token;
mod unicode;
pub mod user;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

#[doc(inline)]
pub use crate::{
    auth::{Auth, Registration},
    builder::AuthBuilder,
    error::{BuildError, Error, ErrorKind},
    layer::{AuthLayer, CurrentUser},
    secret::Secret,
    token::{Claims, keys},
    user::{AuthUser, Profile, User},
};
