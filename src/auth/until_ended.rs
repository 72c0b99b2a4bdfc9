//! Waits until an access token is no longer accepted: [`Auth::until_ended`], for connections that
//! outlive the request that opened them.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::Auth;
use crate::{error::ErrorKind, revocation::Standing, session::SessionId, token::Claims, user::AuthUser};

/// Longest pause between two reads of the clock. The clock may have been set, or the machine may
/// have been suspended.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Shortest pause between two reads of the clock. It matters where the clock stands still just
/// before an expiry.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Shortest pause between two questions to the store. Each wait adds up to as much again, so that
/// they do not ask all at once.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// The same pause, where this node could not remember an ended session that may be this one.
const ASK_SOON: Duration = Duration::from_secs(5);

impl<U: AuthUser> Auth<U> {
    /// Waits until an accepted access token is no longer accepted, and returns why.
    ///
    /// The result is [`ErrorKind::TokenRevoked`] if the session of the token has ended, and
    /// [`ErrorKind::TokenExpired`] if the token has expired.
    ///
    /// It is meant for connections that go on after their request was admitted, such as a
    /// WebSocket, a stream of events or a streaming call. Such a connection closes when:
    ///
    /// - the user logs out, on this device or everywhere;
    /// - another device of the user ends the session;
    /// - a refresh token of the session is used a second time;
    /// - the user changes the password, in the session that stays too;
    /// - the app ends the user's sessions with [`end_sessions_of`](Self::end_sessions_of);
    /// - the token expires. The client then refreshes and connects again.
    ///
    /// To keep a connection open, let the client send its next token, verify it with
    /// [`authenticate`](Self::authenticate), and wait again.
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
    /// A stream ends in the same way with `stream.take_until(auth.until_ended(&claims))` of
    /// `futures-util`.
    ///
    /// A session that this node ends is noticed at once. A session that another node ends is
    /// noticed at once with a [`revocation_feed`](crate::AuthBuilder::revocation_feed), and
    /// otherwise at the next poll. The wait misses what
    /// [`Check::Stateless`](crate::auth::Check::Stateless) misses.
    ///
    /// A wait costs about 1 kB of memory and one timer, which reads the clock once a minute. It
    /// asks the store only where the guard would ask it too, at most every 30 to 60 s. Where the
    /// set of ended sessions had no room for one that may be this one, it asks every 5 to 10 s. A
    /// store that is slow or out of reach ends no wait, and delays none that ends for another
    /// reason.
    ///
    /// # Panics
    /// When polled outside of a Tokio runtime with its timer enabled.
    pub fn until_ended(&self, claims: &Claims) -> impl Future<Output = ErrorKind> + Send + use<U> {
        let (auth, claims) = (self.clone(), claims.clone());
        async move {
            let (mut asking, mut asked) = (None::<Asking>, None::<Instant>);
            loop {
                // The wait is registered before the check, so that no revocation falls in between.
                let mut revoked = pin!(auth.0.revocations.revoked(&claims.session_id(), claims.subject()));
                let (left, ask_again) = match auth.check_in_memory(&claims) {
                    Validity::Ended(why) => return why,
                    Validity::Valid { left } => (left, None),
                    Validity::AskStore { left, again } => (left, Some(again)),
                };
                let mut pause = left.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
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
                // A slow store must not delay a revocation or the expiry, and these must not lose
                // its answer.
                let revoked_or_answered = poll_fn(|cx| {
                    if let Some(answer) = &mut asking
                        && let Poll::Ready(ended) = answer.as_mut().poll(cx)
                    {
                        asking = None;
                        return Poll::Ready(ended);
                    }
                    revoked.as_mut().poll(cx).map(|()| false)
                });
                if timeout(pause, revoked_or_answered).await == Ok(true) {
                    return ErrorKind::TokenRevoked;
                }
            }
        }
    }

    /// Checks the token without I/O.
    fn check_in_memory(&self, claims: &Claims) -> Validity {
        let now = self.now();
        let left = claims.expires_at().plus(self.0.verifier.profile.leeway).since(now);
        if left.is_zero() {
            return Validity::Ended(ErrorKind::TokenExpired);
        }
        // These may be the first claims that this `Auth` sees, if another one verified them.
        let loaded = self.0.revocations.is_loaded();
        match self.0.revocations.standing(claims, now) {
            Standing::Ended => Validity::Ended(ErrorKind::TokenRevoked),
            Standing::Valid if loaded => Validity::Valid { left },
            Standing::Valid | Standing::AskStore => {
                let (session, user) = (claims.session_id(), claims.subject());
                let soon = !loaded || self.0.revocations.may_have_missed(&session, user, claims.token_version());
                Validity::AskStore { left, again: if soon { ASK_SOON } else { ASK_AGAIN } }
            }
        }
    }

    /// Returns whether the store says that the session has ended. A store that cannot answer is no
    /// reason to end the wait.
    async fn has_ended(self, claims: Claims) -> bool {
        // The next check uses what this reads.
        let _ = self.0.revocations.load().await;
        if self.0.revocations.standing(&claims, self.now()) != Standing::AskStore {
            return false;
        }
        let session = self.require_live_session(&claims).await;
        session.is_err_and(|error| error.kind() == ErrorKind::TokenRevoked)
    }
}

/// A running question to the store. It is boxed, because few waits ever ask.
type Asking = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Result of a check without I/O.
enum Validity {
    Ended(ErrorKind),
    Valid {
        /// Time until the token expires.
        left: Duration,
    },
    AskStore {
        left: Duration,
        /// Pause before the store is asked again.
        again: Duration,
    },
}

/// Returns a part of `whole`, which the random bytes of the session id choose.
fn part(whole: Duration, session: &SessionId) -> Duration {
    whole * u32::from(session.as_bytes().last().copied().unwrap_or(0)) / 256
}
