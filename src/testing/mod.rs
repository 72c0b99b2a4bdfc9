//! Helps an app to test its own routes (feature `testing`): users in one line, logins without a
//! password, and a clock that the test moves.
//!
//! [`TestAuth`] is an [`Auth`](crate::Auth) with the app's settings, except for what a test would
//! have to wait for or set up:
//! - Its clock is a [`ManualClock`](crate::clock::ManualClock). It stands still until
//!   [`advance`](TestAuth::advance) moves it, so a test does not sleep.
//! - Missing secrets are generated, and a missing issuer is set.
//! - A password hash takes some microseconds, and the throttle is off.
//! - [`user`](TestAuth::user) registers a user, and [`login`](TestAuth::login) begins a session
//!   without a password.
//!
//! The rest is real. Users go through [`Auth::register`](crate::Auth::register), sessions go
//! through [`Auth::start_session`](crate::Auth::start_session), and the guard and the endpoints are
//! the app's own. [`TestSession`] returns the tokens of a session as headers and works with any
//! `Auth`.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, body::Body, http::{Request, StatusCode, header}, routing::get};
//! use portcullis::{Auth, Claims, User, testing::TestAuth};
//! use tower::ServiceExt;
//!
//! # async fn profile(claims: Claims) -> String { claims.subject().to_string() }
//! fn app(auth: &Auth<User>) -> Router {
//!     Router::new().route("/profile", get(profile)).route_layer(auth.require())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let test = TestAuth::new()?;
//! let ada = test.user("ada@example.com").role("admin").create().await?;
//! let session = test.login(&ada).await?;
//! let profile = || Request::get("/profile").header(header::AUTHORIZATION, session.bearer()).body(Body::empty());
//!
//! assert_eq!(app(test.auth()).oneshot(profile()?).await?.status(), StatusCode::OK);
//! test.advance(Duration::from_secs(15 * 60));
//! assert_eq!(app(test.auth()).oneshot(profile()?).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(()) }
//! ```
//!
//! The [guide](crate::guide::testing) has a whole app and its test.
//!
//! # Not in a server
//!
//! Enable the feature only under `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! portcullis = { version = "0.1", features = ["testing"] }
//! ```
//!
//! The feature opens no way into a running service. No setting, variable, endpoint or token enables
//! a part of it, and code that holds an `Auth` can log any user in anyway. But a [`TestAuth`] is
//! unsafe in a server. Its password hashes are so cheap that an attacker finds the passwords, so
//! they must not outlive the test. It also signs every [draft](TokenDraft), which no other `Auth`
//! does. Making one logs a warning.

mod draft;
mod header;
mod session;
mod test_auth;
mod user;

pub use self::{
    draft::TokenDraft,
    session::TestSession,
    test_auth::{PASSWORD, TestAuth},
    user::TestUser,
};
