//! The guard of another issuer's tokens.

use std::{fmt, sync::Arc};

use http::{Extensions, Request};

use super::{claims::ForeignClaims, server::ResourceServer};
#[cfg(feature = "axum")]
use crate::layer::{GuardMark, MarkedBy};
use crate::{
    error::{Error, ErrorKind},
    http::{request::credentials, response::responder::Responder},
    layer::{Bearer, Decision, Guard, Requirements},
};

/// Decides about requests with tokens of another issuer.
#[derive(Clone)]
pub(super) struct ResourceGuard(Arc<Settings>);

/// What an app has required of a guard, and the server that verifies.
#[derive(Clone)]
pub(super) struct Settings {
    server: ResourceServer,
    pub(super) requirements: Requirements<ForeignClaims>,
}

impl ResourceGuard {
    pub(super) fn new(server: &ResourceServer, requirements: Requirements<ForeignClaims>) -> Self {
        Self(Arc::new(Settings { server: server.clone(), requirements }))
    }

    /// Returns the settings, to change them before the guard is in use.
    pub(super) fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }
}

impl Settings {
    async fn ask_issuer(&self, token: &[u8]) -> Result<ForeignClaims, Error> {
        let claims = self.server.authenticate_bytes(token).await?;
        self.requirements.check(&claims)?;
        Ok(claims)
    }
}

impl Guard for ResourceGuard {
    type Admitted = ForeignClaims;

    fn decide<B>(&self, request: &Request<B>) -> Result<Decision<ForeignClaims>, Error> {
        let Settings { server, requirements } = &*self.0;
        // Cookies belong to the issuer. Another service accepts Bearer tokens only.
        let Some(token) = credentials::bearer(request.headers())? else {
            return if requirements.optional { Ok(Decision::Admit(None)) } else { Err(ErrorKind::TokenMissing.into()) };
        };
        let Some(claims) = server.verify_now(token) else {
            let (settings, token) = (Arc::clone(&self.0), token.to_owned());
            return Ok(Decision::Wait(Box::pin(async move { settings.ask_issuer(&token).await })));
        };
        let claims = claims?;
        requirements.check(&claims)?;
        Ok(Decision::Admit(Some(claims)))
    }

    fn admit(&self, extensions: &mut Extensions, admitted: Option<ForeignClaims>) {
        extensions.remove::<ForeignClaims>();
        if let Some(claims) = admitted {
            extensions.insert(claims);
        }
        #[cfg(feature = "axum")]
        GuardMark::new(Arc::<Settings>::clone(&self.0)).leave(extensions);
    }

    fn responder(&self) -> &Responder {
        &Responder::STANDARD
    }
}

#[cfg(feature = "axum")]
impl MarkedBy for Settings {
    fn responder(&self) -> &Responder {
        &Responder::STANDARD
    }

    fn claims_type(&self) -> std::any::TypeId {
        std::any::TypeId::of::<ForeignClaims>()
    }
}

impl Bearer for ForeignClaims {
    type Claims = Self;

    fn claims(&self) -> &Self {
        self
    }

    fn has_role(&self, role: &str) -> bool {
        self.has_role(role)
    }

    fn has_scope(&self, scope: &str) -> bool {
        self.has_scope(scope)
    }
}

impl fmt::Debug for ResourceGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceGuard").field("requirements", &self.0.requirements).finish_non_exhaustive()
    }
}
