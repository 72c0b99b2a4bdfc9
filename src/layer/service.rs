//! The service that guards another.

use std::{
    fmt, mem,
    task::{Context, Poll},
};

use http::{HeaderMap, Method, Request, Response, header::UPGRADE};
use tower_service::Service;

use super::{
    AuthLayer, Gate, admit_foreign,
    future::{Admitted, Asking, ResponseFuture},
    requirements::Bearer,
};
use crate::{
    auth::{Auth, Authenticated, Check},
    error::{Error, ErrorKind},
    http::{
        ResponseBody,
        credentials::{self, Found, Source},
        cross_site, respond,
    },
    resource::{ForeignClaims, ResourceServer},
    token::Claims,
    user::AuthUser,
};

/// A service that is reached with a good access token only; made by [`AuthLayer`].
pub struct AuthService<S, U: AuthUser> {
    inner: S,
    layer: AuthLayer<U>,
}

impl<S, U: AuthUser> AuthService<S, U> {
    pub(super) fn new(inner: S, layer: AuthLayer<U>) -> Self {
        Self { inner, layer }
    }
}

/// What can be said about a request without waiting.
enum Verdict<U: AuthUser> {
    Pass(Option<Claims>),
    PassForeign(Option<ForeignClaims>),
    Refuse(Error),
    /// The stores of this `Auth` have to be asked about this token.
    Ask(Auth<U>, Vec<u8>),
    /// The issuer's keys are being fetched.
    AskForeign(ResourceServer, Vec<u8>),
}

impl<U: AuthUser> AuthLayer<U> {
    fn judge<B>(&self, request: &Request<B>) -> Result<Verdict<U>, Error> {
        let headers = request.headers();
        let auth = match &self.shared.gate {
            Gate::Own(auth) => auth,
            Gate::Foreign(server) => return self.judge_foreign(server, headers),
        };
        let web = &auth.0.http;
        let Some(Found { token, source }) = credentials::access_token(headers, web.cookies.access.name())? else {
            return if self.shared.guard.optional {
                Ok(Verdict::Pass(None))
            } else {
                Err(ErrorKind::TokenMissing.into())
            };
        };
        if source == Source::Cookie
            && may_change_something(request.method(), headers)
            && !web.cross_site.admits(headers, request.uri())
        {
            return Err(cross_site::refusal());
        }
        let at_once = if self.shared.guard.check == Check::Stateless { auth.authenticate_now(token) } else { None };
        match at_once {
            Some(claims) => {
                let claims = claims?;
                self.shared.guard.authorize(Bearer::Own(&claims))?;
                Ok(Verdict::Pass(Some(claims)))
            }
            None => Ok(Verdict::Ask(auth.clone(), token.to_owned())),
        }
    }

    /// Cookies are the issuer's: another service takes Bearer tokens only.
    fn judge_foreign(&self, server: &ResourceServer, headers: &HeaderMap) -> Result<Verdict<U>, Error> {
        if self.shared.guard.check != Check::Stateless {
            let mend =
                "a resource server has neither users nor sessions: use its guard without load_user and check_session";
            return Err(Error::internal(mend));
        }
        let Some(token) = credentials::bearer(headers)? else {
            return if self.shared.guard.optional {
                Ok(Verdict::PassForeign(None))
            } else {
                Err(ErrorKind::TokenMissing.into())
            };
        };
        let Some(claims) = server.verify_now(token) else {
            return Ok(Verdict::AskForeign(server.clone(), token.to_owned()));
        };
        let claims = claims?;
        self.shared.guard.authorize(Bearer::Foreign(&claims))?;
        Ok(Verdict::PassForeign(Some(claims)))
    }
}

/// Whether a request that a cookie authenticates has to come from the same site.
fn may_change_something(method: &Method, headers: &HeaderMap) -> bool {
    // A WebSocket handshake is a GET that CORS does not protect.
    !method.is_safe() || headers.contains_key(UPGRADE)
}

impl<S, U, Req, Res> Service<Request<Req>> for AuthService<S, U>
where
    S: Service<Request<Req>, Response = Response<Res>> + Clone,
    U: AuthUser,
{
    type Response = Response<ResponseBody<Res>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, U, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Req>) -> Self::Future {
        match self.layer.judge(&request).unwrap_or_else(Verdict::Refuse) {
            Verdict::Pass(claims) => {
                let admitted = claims.map(|claims| Authenticated::<U> { claims, user: None });
                self.layer.admit(&mut request, admitted);
                ResponseFuture::inner(self.inner.call(request))
            }
            Verdict::PassForeign(claims) => {
                admit_foreign(&mut request, claims);
                #[cfg(feature = "axum")]
                self.layer.leave_mark(&mut request);
                ResponseFuture::inner(self.inner.call(request))
            }
            Verdict::Refuse(error) => {
                let grpc = respond::is_grpc(request.method(), request.headers());
                ResponseFuture::refused(self.layer.refuse(&error, grpc))
            }
            Verdict::Ask(auth, token) => {
                let check = self.layer.shared.guard.check;
                let answer = async move { auth.authenticate_bytes(&token, check).await.map(Admitted::Own) };
                self.asking(Box::pin(answer), request)
            }
            Verdict::AskForeign(server, token) => {
                let answer = async move { server.authenticate_bytes(&token).await.map(Admitted::Foreign) };
                self.asking(Box::pin(answer), request)
            }
        }
    }
}

impl<S: Clone, U: AuthUser> AuthService<S, U> {
    fn asking<Req>(&mut self, answer: Asking<U>, request: Request<Req>) -> ResponseFuture<S, U, Req>
    where
        S: Service<Request<Req>>,
    {
        // The inner service that was polled ready goes with the request; its clone stays here, to be polled anew.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        ResponseFuture::asking(answer, ready, request, self.layer.clone())
    }
}

impl<S: Clone, U: AuthUser> Clone for AuthService<S, U> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S: fmt::Debug, U: AuthUser> fmt::Debug for AuthService<S, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}
