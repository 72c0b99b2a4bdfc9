//! What people write by hand: a middleware on `jsonwebtoken::decode`.
//!
//! It checks what ours checks of the token (signature, issuer, audience, times) into claims of the
//! same content, and hands them to the handler. It boxes nothing and prepares its key once. It
//! knows nothing of ended sessions, cookies or refusals that a client can read: the comparison
//! favours it.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, crypto::aws_lc};
use serde::Deserialize;
use tower::{Layer, Service};

use crate::setup::{ACCESS_SECRET, ISSUER};

/// The claims of our access tokens.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "they are named as in the token")]
pub struct PeerClaims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
    pub client_id: String,
    pub exp: i64,
    pub iat: i64,
    pub jti: String,
    pub auth_time: i64,
    pub sid: String,
    pub ver: u64,
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A verifier of access tokens, and a layer that guards with it.
#[derive(Clone, Debug)]
pub struct Peer(Arc<(DecodingKey, Validation)>);

impl Peer {
    /// A peer that takes the same tokens as [`auth`](crate::setup::auth).
    #[allow(clippy::new_without_default, reason = "it sets up the process as well")]
    pub fn new() -> Self {
        Self::with_key(Algorithm::HS256, DecodingKey::from_secret(ACCESS_SECRET.as_bytes()))
    }

    /// A peer that takes tokens under this key.
    pub fn with_key(algorithm: Algorithm, key: DecodingKey) -> Self {
        // With all features there are two backends, and `jsonwebtoken` does not choose one by
        // itself. A second call finds the same backend installed.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        Self(Arc::new((key, validation)))
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(&self, token: &str) -> jsonwebtoken::errors::Result<PeerClaims> {
        let (key, validation) = &*self.0;
        jsonwebtoken::decode(token, key, validation).map(|data| data.claims)
    }
}

impl<S> Layer<S> for Peer {
    type Service = PeerService<S>;

    fn layer(&self, inner: S) -> PeerService<S> {
        PeerService { inner, peer: self.clone() }
    }
}

/// A guarded service.
#[derive(Clone, Debug)]
pub struct PeerService<S> {
    inner: S,
    peer: Peer,
}

impl<S, B> Service<Request<B>> for PeerService<S>
where
    S: Service<Request<B>, Response = Response<Full<Bytes>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer "));
        if let Some(Ok(claims)) = token.map(|token| self.peer.decode(token)) {
            request.extensions_mut().insert(claims);
            Either::Left(self.inner.call(request))
        } else {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            Either::Right(ready(Ok(response)))
        }
    }
}
