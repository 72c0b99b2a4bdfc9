//! The guard of own tokens.

use std::{fmt, sync::Arc};

use http::{Extensions, HeaderMap, Method, Request, header::UPGRADE};

#[cfg(feature = "axum")]
use super::mark::GuardMark;
use super::{
    current_user::CurrentUser,
    guard::{Decision, Guard},
    requirements::{Requirements, WithCurrentRoles},
};
use crate::{
    auth::{Auth, Authenticated, Check},
    error::{Error, ErrorKind},
    http::{
        request::{
            credentials::{self, Found, Source},
            cross_site,
        },
        response::responder::Responder,
    },
    token::Claims,
    user::AuthUser,
};

/// Decides about requests with tokens of an [`Auth`].
///
/// One pointer to everything, because routers clone their services for each request.
pub(super) struct AuthGuard<U: AuthUser>(Arc<Settings<U>>);

/// What an app has required of a guard, and the `Auth` that verifies.
#[derive(Clone)]
pub(super) struct Settings<U: AuthUser> {
    auth: Auth<U>,
    pub(super) check: Check,
    pub(super) requirements: Requirements<Claims>,
    #[cfg(feature = "axum")]
    mark: Arc<GuardMark>,
}

impl<U: AuthUser> AuthGuard<U> {
    pub(super) fn new(auth: &Auth<U>, requirements: Requirements<Claims>) -> Self {
        Self(Arc::new(Settings {
            auth: auth.clone(),
            check: Check::default(),
            requirements,
            #[cfg(feature = "axum")]
            mark: Arc::new(GuardMark::of(auth)),
        }))
    }

    /// Returns the settings, to change them before the guard is in use.
    pub(super) fn settings(&mut self) -> &mut Settings<U> {
        Arc::make_mut(&mut self.0)
    }
}

impl<U: AuthUser> Settings<U> {
    fn check_requirements(&self, admitted: &Authenticated<U>) -> Result<(), Error> {
        let Authenticated { claims, user } = admitted;
        match user {
            Some(user) => self.requirements.check(&WithCurrentRoles { claims, roles: user.roles() }),
            None => self.requirements.check(claims),
        }
    }

    async fn ask_stores(&self, token: &[u8]) -> Result<Authenticated<U>, Error> {
        let admitted = self.auth.authenticate_bytes(token, self.check).await?;
        self.check_requirements(&admitted)?;
        Ok(admitted)
    }
}

impl<U: AuthUser> Guard for AuthGuard<U> {
    type Admitted = Authenticated<U>;

    fn decide<B>(&self, request: &Request<B>) -> Result<Decision<Authenticated<U>>, Error> {
        let Settings { auth, check, requirements, .. } = &*self.0;
        let (headers, http) = (request.headers(), &auth.0.http);
        let Some(Found { token, source }) = credentials::access_token(headers, http.cookies.access.name())? else {
            return if requirements.optional { Ok(Decision::Admit(None)) } else { Err(ErrorKind::TokenMissing.into()) };
        };
        if source == Source::Cookie
            && has_to_be_same_site(request.method(), headers)
            && !http.cross_site.admits(headers, request.uri())
        {
            return Err(cross_site::refusal());
        }
        let at_once = if *check == Check::Stateless { auth.authenticate_now(token) } else { None };
        let Some(claims) = at_once else {
            let (settings, token) = (Arc::clone(&self.0), token.to_owned());
            return Ok(Decision::Wait(Box::pin(async move { settings.ask_stores(&token).await })));
        };
        let admitted = Authenticated { claims: claims?, user: None };
        self.0.check_requirements(&admitted)?;
        Ok(Decision::Admit(Some(admitted)))
    }

    fn admit(&self, extensions: &mut Extensions, admitted: Option<Authenticated<U>>) {
        extensions.remove::<Claims>();
        extensions.remove::<CurrentUser<U>>();
        let Some(Authenticated { claims, user }) = admitted else {
            #[cfg(feature = "axum")]
            GuardMark::clone(&self.0.mark).leave(extensions);
            return;
        };
        #[cfg(feature = "axum")]
        GuardMark::leave_with(&self.0.mark, claims, extensions);
        #[cfg(not(feature = "axum"))]
        extensions.insert(claims);
        if let Some(user) = user {
            extensions.insert(CurrentUser(user));
        }
    }

    fn responder(&self) -> &Responder {
        &self.0.auth.0.http.responder
    }
}

/// Returns whether a request that a cookie authenticates has to come from the same site.
fn has_to_be_same_site(method: &Method, headers: &HeaderMap) -> bool {
    // A WebSocket handshake is a GET that CORS does not protect.
    !method.is_safe() || headers.contains_key(UPGRADE)
}

impl<U: AuthUser> Clone for AuthGuard<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<U: AuthUser> fmt::Debug for AuthGuard<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthGuard")
            .field("check", &self.0.check)
            .field("requirements", &self.0.requirements)
            .finish_non_exhaustive()
    }
}
