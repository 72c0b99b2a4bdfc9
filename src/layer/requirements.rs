//! What a guard asks of a token beyond being good: roles, scopes, and conditions of the app.

use std::{fmt, sync::Arc};

use crate::{
    auth::Check,
    error::{Error, ErrorKind},
    resource::ForeignClaims,
    token::Claims,
};

/// What a guard asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) optional: bool,
    pub(crate) check: Check,
    demands: Vec<Demand>,
}

/// One demand of a guard; they are asked in the order in which they were made, and all have to be met.
#[derive(Clone)]
pub(super) enum Demand {
    /// One of these.
    Role(Vec<String>),
    /// One of these.
    Scope(Vec<String>),
    Claims(Arc<dyn Fn(&Claims) -> bool + Send + Sync>),
    ForeignClaims(Arc<dyn Fn(&ForeignClaims) -> bool + Send + Sync>),
}

/// A good token, ours or another issuer's.
#[derive(Clone, Copy)]
pub(super) enum Bearer<'a> {
    Own(&'a Claims),
    /// With the roles that the user has by now.
    Loaded(&'a Claims, &'a [&'a str]),
    Foreign(&'a ForeignClaims),
}

impl Guard {
    /// One that admits requests without a token.
    pub(super) fn optional() -> Self {
        Self { optional: true, ..Self::default() }
    }

    /// Adds a demand; from then on a request without a token is refused.
    pub(super) fn demand(&mut self, demand: Demand) {
        self.demands.push(demand);
        self.optional = false;
    }

    /// # Errors
    /// [`ErrorKind::InsufficientRole`], [`ErrorKind::InsufficientScope`] and [`ErrorKind::Forbidden`] for the first demand
    /// that is not met; [`ErrorKind::Internal`] where it is about claims of another kind than the guard's.
    pub(super) fn authorize(&self, bearer: Bearer<'_>) -> Result<(), Error> {
        self.demands.iter().try_for_each(|demand| demand.ask(bearer))
    }
}

impl Demand {
    fn ask(&self, bearer: Bearer<'_>) -> Result<(), Error> {
        let (met, kind) = match (self, bearer) {
            (Self::Role(roles), bearer) => {
                (roles.iter().any(|role| bearer.has_role(role)), ErrorKind::InsufficientRole)
            }
            (Self::Scope(scopes), bearer) => {
                if scopes.iter().any(|scope| bearer.has_scope(scope)) {
                    return Ok(());
                }
                return Err(Error::new(ErrorKind::InsufficientScope).with_scope(scopes.join(" ")));
            }
            (Self::Claims(allow), Bearer::Own(claims) | Bearer::Loaded(claims, _)) => {
                (allow(claims), ErrorKind::Forbidden)
            }
            (Self::ForeignClaims(allow), Bearer::Foreign(claims)) => (allow(claims), ErrorKind::Forbidden),
            (Self::Claims(_) | Self::ForeignClaims(_), _) => {
                let mend =
                    "the guard of a resource server checks with check_foreign_claims, any other with check_claims";
                return Err(Error::internal(mend));
            }
        };
        if met { Ok(()) } else { Err(kind.into()) }
    }
}

impl Bearer<'_> {
    fn has_role(self, role: &str) -> bool {
        match self {
            Self::Own(claims) => claims.has_role(role),
            Self::Loaded(_, roles) => roles.contains(&role),
            Self::Foreign(claims) => claims.has_role(role),
        }
    }

    fn has_scope(self, scope: &str) -> bool {
        match self {
            Self::Own(claims) | Self::Loaded(claims, _) => claims.has_scope(scope),
            Self::Foreign(claims) => claims.has_scope(scope),
        }
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(roles) => f.debug_tuple("Role").field(roles).finish(),
            Self::Scope(scopes) => f.debug_tuple("Scope").field(scopes).finish(),
            Self::Claims(_) | Self::ForeignClaims(_) => f.write_str("Claims"),
        }
    }
}
