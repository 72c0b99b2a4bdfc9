//! Waiting for an access token to stop counting: for connections that outlive the request that opened them.

use std::{future::Future, time::Duration};

use super::Auth;
use crate::{error::ErrorKind, session::Standing, token::Claims, user::AuthUser};

/// How long a wait goes without a look at the clock, which may have been set, or have stood still with the machine.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl<U: AuthUser> Auth<U> {
    /// Waits until an access token that was accepted no longer counts, and answers what a request with it would now be
    /// refused for: [`ErrorKind::TokenRevoked`] where its session has ended, [`ErrorKind::TokenExpired`] where nothing
    /// ended it before its time.
    ///
    /// For what goes on after its request was admitted: a WebSocket, a stream of events, a streaming call. Such a connection
    /// is closed by whatever ends a session (a logout, also of all devices; another device that ends this one; a refresh
    /// token that came twice; a changed password, in the session that goes on as well; a user who was disabled, with
    /// [`end_sessions_of`](Self::end_sessions_of)), and by its token's expiry: the client refreshes and comes back. One
    /// that is to go on lets its client send the next token, verifies it with [`authenticate`](Self::authenticate), and
    /// waits anew.
    ///
    /// ```
    /// # use portcullis::{Auth, Claims, ErrorKind, User};
    /// # async fn talk() {}
    /// async fn serve(auth: Auth<User>, claims: Claims) {
    ///     tokio::select! {
    ///         why = auth.until_ended(&claims) => println!("closed: {}", why.code()),
    ///         () = talk() => {}
    ///     }
    /// }
    /// ```
    ///
    /// A stream ends likewise with `stream.take_until(auth.until_ended(&claims))` of `futures-util`.
    ///
    /// What this node ends counts at once; what another ends, as soon as this one hears of it: at once with a
    /// [`revocation_feed`](crate::Builder::revocation_feed), otherwise at the next poll. Whoever waits costs about a
    /// kilobyte and a timer that looks at the clock once a minute; the store is asked only where the guard would ask it too.
    /// An outage of the store ends no wait. Misses what [`Check::Stateless`](crate::Check::Stateless) misses.
    ///
    /// # Panics
    /// When polled outside of a Tokio runtime with its timer enabled.
    pub fn until_ended(&self, claims: &Claims) -> impl Future<Output = ErrorKind> + Send + use<U> {
        let (auth, claims) = (self.clone(), claims.clone());
        async move {
            loop {
                // Before the look, so that nothing falls in between.
                let news = auth.0.revocations.news(&claims.session_id(), claims.subject());
                if let Some(why) = auth.refusal_of(&claims).await {
                    return why;
                }
                let expiry = claims.expires_at().plus(auth.0.verifier.profile.leeway);
                // On news or in time: either way it looks again.
                let _ = tokio::time::timeout(expiry.since(auth.now()).min(LOOK_AGAIN), news).await;
            }
        }
    }

    /// Why the token no longer counts. Where a store would have to say and cannot, it still does.
    async fn refusal_of(&self, claims: &Claims) -> Option<ErrorKind> {
        let now = self.now();
        if now >= claims.expires_at().plus(self.0.verifier.profile.leeway) {
            return Some(ErrorKind::TokenExpired);
        }
        // Claims that another `Auth` verified may be the first thing that this one hears of.
        let _ = self.load_revocations().await;
        let refused = match self.standing(claims, now) {
            Standing::Good => false,
            Standing::Ended => true,
            Standing::AskStore => {
                let session = self.require_live_session(claims).await;
                session.is_err_and(|error| error.kind() == ErrorKind::TokenRevoked)
            }
        };
        refused.then_some(ErrorKind::TokenRevoked)
    }
}
