//! The decision about one request, as the guards of own and of foreign tokens both make it.

use std::{future::Future, pin::Pin};

use http::{Extensions, Request};

use crate::{error::Error, http::response::responder::Responder};

/// Decides which requests reach the inner service. Clones share everything.
pub(crate) trait Guard: Clone {
    /// What a valid token brings into the request.
    type Admitted;

    /// Decides about a request, as far as that is possible without waiting.
    ///
    /// # Errors
    /// The reason of the refusal.
    fn decide<B>(&self, request: &Request<B>) -> Result<Decision<Self::Admitted>, Error>;

    /// Puts what the handler needs into the request. Removes what an outer guard of the same kind
    /// has put there.
    fn admit(&self, extensions: &mut Extensions, admitted: Option<Self::Admitted>);

    /// Returns what writes the answer to a refused request.
    fn responder(&self) -> &Responder;
}

/// What a guard decides about a request that it does not refuse at once.
pub(crate) enum Decision<A> {
    /// Admits the request, with or without a token.
    Admit(Option<A>),
    /// Waits for a store or for the keys of an issuer. The future decides.
    Wait(Pending<A>),
}

/// A decision that a guard waits for.
pub(crate) type Pending<A> = Pin<Box<dyn Future<Output = Result<A, Error>> + Send>>;
