//! Presents a refresh token to the server and handles the answer.

use std::{sync::Arc, time::Duration};

use http::Method;

use super::{
    ClientAuth, ClientError, ClientErrorKind,
    api::Presented,
    state::{Outcome, Unsaved},
    tokens::Pair,
};
use crate::error::causes;

/// How long another process without the lock may take to store the pair of a password change, from
/// the server's answer on.
const OTHER_PROCESS_STORES: Duration = Duration::from_secs(1);
/// The longest pause before another attempt. It lies within the server's grace (10 s by default).
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What became of a presented refresh token.
enum Rotated {
    New(Pair),
    Ended(ClientError),
    Failed(ClientError),
}

impl ClientAuth {
    /// Exchanges the pair for a new one and stores that.
    pub(super) async fn rotate(&self, pair: Arc<Pair>) -> Outcome {
        // A backoff concerns the server alone. The storage has been read by now.
        if let Some(error) = self.backoff_error() {
            return Err(error);
        }
        match self.present(&pair).await {
            Rotated::New(new) => {
                let (new, now) = (Arc::new(new), self.clock().now());
                self.state().rotated = Some((Arc::clone(&new), now));
                self.persist(Unsaved { presented: pair.refresh.clone(), pair: new, password_changed: false }).await
            }
            Rotated::Failed(error) => Err(error),
            Rotated::Ended(error) => self.session_ended(&pair, &error).await,
        }
    }

    /// Clears the storage, unless another process has replaced the pair that the server refuses.
    async fn session_ended(&self, pair: &Pair, error: &ClientError) -> Outcome {
        let mut stored = self.load().await?;
        if error.code() == Some("refresh_invalid") && stored.as_ref().is_some_and(|stored| stored.is_same_as(pair)) {
            // Another process may have changed the password, which invalidates this pair, and may
            // be about to store the new one.
            tokio::time::sleep(OTHER_PROCESS_STORES).await;
            stored = self.load().await?;
        }
        match stored {
            // Another process has logged in again, or changed the password.
            Some(stored) if !stored.is_same_as(pair) => return Ok(self.adopt(Some(stored))),
            Some(_) => {
                tracing::info!(target: "portcullis", code = error.code(), "the session has ended");
                if let Err(error) = self.clear().await {
                    let cause = causes(Some(&error));
                    tracing::warn!(target: "portcullis", cause, "the tokens of an ended session stay stored");
                    self.state().ended = Some(pair.refresh.clone());
                }
            }
            // Another process has logged out.
            None => {}
        }
        self.hold(None);
        Ok(None)
    }

    /// Presents the refresh token, several times if answers are lost.
    async fn present(&self, pair: &Pair) -> Rotated {
        let body = Presented { refresh_token: pair.refresh.expose() };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let asked_at = self.clock().now();
            let (error, may_be_rotated) = match self.send(Method::POST, "refresh", None, &body, 1).await {
                Ok(answer) if answer.ends_the_session() => {
                    return answer.success().map_or_else(Rotated::Ended, |()| Rotated::Failed(no_pair()));
                }
                Ok(answer) => {
                    let may_be_rotated = answer.is_server_error();
                    match answer.tokens(pair.lineage, asked_at) {
                        Ok((_, Some(pair))) => return Rotated::New(pair),
                        Ok((_, None)) => return Rotated::Failed(no_pair()),
                        Err(error) => (error, may_be_rotated),
                    }
                }
                // The token may be rotated and the answer lost. The server repeats its answer
                // within the grace.
                Err(error) => (error, true),
            };
            let pause = match (error.retry_after(), attempts) {
                (Some(wait), _) => wait,
                (None, 1) => Duration::ZERO,
                (None, _) => Duration::from_secs(1),
            };
            if !may_be_rotated || attempts >= self.0.settings.attempts || pause > LONGEST_PAUSE {
                return Rotated::Failed(error);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn no_pair() -> ClientError {
    ClientError::with_source(ClientErrorKind::Unexpected, "the answer has no tokens")
}
