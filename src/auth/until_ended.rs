//! Waiting for an access token to stop counting: for connections that outlive the request that opened them.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::Auth;
use crate::{error::ErrorKind, revocation::Standing, session::SessionId, token::Claims, user::AuthUser};

/// How long a wait goes without a look at the clock, which may have been set, or have stood still with the machine.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A clock that stands still just before an expiry is looked at no more often.
const LOOK_AT_MOST: Duration = Duration::from_millis(50);

/// How long a wait leaves a store in peace that it has asked, or up to twice as long: they do not ask all at once.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// The same where what this node could not remember may have been the end of this very session.
const ASK_SOON: Duration = Duration::from_secs(5);

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
    /// [`revocation_feed`](crate::AuthBuilder::revocation_feed), otherwise at the next poll. Whoever waits costs about a
    /// kilobyte and a timer that looks at the clock once a minute; the store is asked only where the guard would ask it too,
    /// and by each wait every 30 to 60 seconds at most, or every 5 to 10 where the set of endings had no room for what may
    /// be this one. A store that is slow or out of reach ends no wait, and delays none that ends for what this node knows.
    /// Misses what [`Check::Stateless`](crate::auth::Check::Stateless) misses.
    ///
    /// # Panics
    /// When polled outside of a Tokio runtime with its timer enabled.
    pub fn until_ended(&self, claims: &Claims) -> impl Future<Output = ErrorKind> + Send + use<U> {
        let (auth, claims) = (self.clone(), claims.clone());
        async move {
            let (mut asking, mut asked) = (None::<Asking>, None::<Instant>);
            loop {
                // Before the look, so that nothing falls in between.
                let mut news = pin!(auth.0.revocations.news(&claims.session_id(), claims.subject()));
                let (left, ask_again) = match auth.look(&claims) {
                    Look::Over(why) => return why,
                    Look::Counts { left } => (left, None),
                    Look::AskStore { left, again } => (left, Some(again)),
                };
                let mut pause = left.clamp(LOOK_AT_MOST, LOOK_AGAIN);
                if let Some(again) = ask_again.filter(|_| asking.is_none()) {
                    let again = again + part(again, &claims.session_id());
                    let rest = asked.map_or(Duration::ZERO, |asked| again.saturating_sub(asked.elapsed()));
                    if rest.is_zero() {
                        asking = Some(Box::pin(auth.clone().has_ended(claims.clone())));
                        asked = Some(Instant::now());
                    } else {
                        pause = pause.min(rest);
                    }
                }
                // A store may take its time: news and the expiry are not kept waiting by it, nor is its answer lost to them.
                let look_or_answer = poll_fn(|cx| {
                    if let Some(answer) = &mut asking
                        && let Poll::Ready(ended) = answer.as_mut().poll(cx)
                    {
                        asking = None;
                        return Poll::Ready(ended);
                    }
                    news.as_mut().poll(cx).map(|()| false)
                });
                if timeout(pause, look_or_answer).await == Ok(true) {
                    return ErrorKind::TokenRevoked;
                }
            }
        }
    }

    /// What this node knows of the token by itself.
    fn look(&self, claims: &Claims) -> Look {
        let now = self.now();
        let left = claims.expires_at().plus(self.0.verifier.profile.leeway).since(now);
        if left.is_zero() {
            return Look::Over(ErrorKind::TokenExpired);
        }
        // Claims that another `Auth` verified may be the first thing that this one hears of.
        let loaded = self.0.revocations.is_loaded();
        match self.0.revocations.standing(claims, now) {
            Standing::Ended => Look::Over(ErrorKind::TokenRevoked),
            Standing::Good if loaded => Look::Counts { left },
            Standing::Good | Standing::AskStore => {
                let (session, user) = (claims.session_id(), claims.subject());
                let soon = !loaded || self.0.revocations.may_have_missed(&session, user, claims.token_version());
                Look::AskStore { left, again: if soon { ASK_SOON } else { ASK_AGAIN } }
            }
        }
    }

    /// Whether the store says that the session has ended. Where it cannot say, it has not.
    async fn has_ended(self, claims: Claims) -> bool {
        // What it brings is for the next look.
        let _ = self.0.revocations.load().await;
        if self.0.revocations.standing(&claims, self.now()) != Standing::AskStore {
            return false;
        }
        let session = self.require_live_session(&claims).await;
        session.is_err_and(|error| error.kind() == ErrorKind::TokenRevoked)
    }
}

/// A question to the store that is under way: in a box, because few waits ever ask.
type Asking = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What a look at the clock and into memory says of a token.
enum Look {
    Over(ErrorKind),
    Counts {
        /// Until it expires.
        left: Duration,
    },
    AskStore {
        left: Duration,
        /// How long the store is left in peace that was asked.
        again: Duration,
    },
}

/// Some part of `whole`: which, the random bytes of the session say.
fn part(whole: Duration, session: &SessionId) -> Duration {
    whole * u32::from(session.as_bytes().last().copied().unwrap_or(0)) / 256
}
