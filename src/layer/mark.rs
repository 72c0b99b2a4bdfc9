//! The mark that a guard leaves on a request, for the extractors behind it.

use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use http::Extensions;

use crate::{
    auth::{Auth, Inner},
    http::response::responder::Responder,
    token::Claims,
    user::AuthUser,
};

/// Marks a request that has passed a guard.
///
/// An extractor reads three things from it: that there was a guard, how that guard writes its
/// answers, and from which stores the user is loaded.
///
/// The type has no parameter, so that [`Claims`] need not name the user's type.
#[derive(Clone)]
pub(crate) struct GuardMark(Arc<dyn MarkedBy>);

/// What stands behind a guard.
pub(crate) trait MarkedBy: Any + Send + Sync {
    /// Returns what writes the answers of the guard.
    fn responder(&self) -> &Responder;

    /// Returns the type of the claims that the guard puts into the extensions of a request.
    fn claims_type(&self) -> TypeId;
}

impl<U: AuthUser> MarkedBy for Inner<U> {
    fn responder(&self) -> &Responder {
        &self.http.responder
    }

    fn claims_type(&self) -> TypeId {
        TypeId::of::<Claims>()
    }
}

impl GuardMark {
    pub(crate) fn new(guard: Arc<dyn MarkedBy>) -> Self {
        Self(guard)
    }

    /// Makes the mark of the guards of an `Auth`.
    pub(crate) fn of<U: AuthUser>(auth: &Auth<U>) -> Self {
        let inner = Arc::<Inner<U>>::clone(&auth.0);
        Self(inner)
    }

    /// Finds the mark of the guard that the request has passed last.
    pub(crate) fn find(extensions: &Extensions) -> Option<&Self> {
        let companion = || extensions.get::<Claims>()?.companion()?.downcast_ref();
        extensions.get::<Self>().or_else(companion)
    }

    /// Leaves the mark on a request that has claims.
    ///
    /// The claims carry the mark, because an extension of its own would be one more allocation for
    /// each request.
    pub(super) fn leave_with(mark: &Arc<Self>, claims: Claims, extensions: &mut Extensions) {
        // The type, named, is what `find` looks for.
        let companion: Arc<dyn Any + Send + Sync> = Arc::<Self>::clone(mark);
        extensions.remove::<Self>();
        extensions.insert(claims.with_companion(companion));
    }

    /// Leaves the mark on a request whose claims cannot carry it.
    pub(crate) fn leave(self, extensions: &mut Extensions) {
        extensions.insert(self);
    }

    /// Returns the guard's `Auth`, if its users are of this type.
    pub(crate) fn auth<U: AuthUser>(&self) -> Option<Auth<U>> {
        let inner: Arc<dyn Any + Send + Sync> = Arc::<dyn MarkedBy>::clone(&self.0);
        inner.downcast::<Inner<U>>().ok().map(Auth)
    }

    /// Returns what writes the answers of the guard.
    pub(crate) fn responder(&self) -> &Responder {
        self.0.responder()
    }

    /// Returns whether the guard puts claims of this type into requests.
    pub(crate) fn admits<C: 'static>(&self) -> bool {
        self.0.claims_type() == TypeId::of::<C>()
    }
}
