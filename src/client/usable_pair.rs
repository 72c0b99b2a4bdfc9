//! Decides which pair a request uses.

use std::{sync::Arc, time::Duration};

use super::{
    ClientAuth,
    backoff::is_within,
    state::{Held, Outcome},
    tokens::{Lineage, Pair},
};

/// The age below which a refused pair is not refreshed: the next one would be refused as well.
const FRESH: Duration = Duration::from_secs(1);

impl ClientAuth {
    fn held_if_valid(&self) -> Held {
        self.state().held.clone().filter(|pair| !pair.is_expired(self.clock()))
    }

    /// Returns the pair to use now. Returns `None` if the caller has to wait for one.
    pub(super) fn usable_now(&self) -> Held {
        let state = self.state();
        if state.unsaved.is_some() {
            // Every call is a chance to store the new pair.
            return None;
        }
        let now = self.clock().now();
        let is_backing_off = state.failed.as_ref().is_some_and(|failure| failure.is_in_force(now));
        let is_usable = |pair: &Arc<Pair>| {
            let is_due = pair.is_due(self.clock(), self.0.settings.margin);
            !is_due || is_backing_off && !pair.is_expired(self.clock())
        };
        state.held.clone().filter(is_usable)
    }

    /// Returns the pair to use now for a request that belongs to this session. Returns `None` if
    /// the session has been replaced.
    pub(super) async fn usable_in(&self, lineage: Option<Lineage>) -> Outcome {
        let pair = self.usable().await?;
        Ok(pair.filter(|pair| lineage.is_none_or(|lineage| lineage == pair.lineage)))
    }

    /// Returns the pair to use now. Refreshes it if it expires soon.
    pub(super) async fn usable(&self) -> Outcome {
        if let Some(pair) = self.usable_now() {
            return Ok(Some(pair));
        }
        loop {
            let is_valid = self.held_if_valid().is_some();
            let held = self.state().held.clone();
            let error = match self.refresh(held, !is_valid).await {
                Err(error) => error,
                outcome => return outcome,
            };
            match self.held_if_valid() {
                // The server may answer again before this one expires.
                Some(pair) => return Ok(Some(pair)),
                // The pair has expired during the wait, so the next round waits to the end.
                None if is_valid => {}
                None => return Err(error),
            }
        }
    }

    /// Returns the pair to use for a request after the server has refused this pair. Never returns
    /// a pair of another session.
    pub(super) async fn replacement_of(&self, refused: &Arc<Pair>) -> Outcome {
        let pair = self.newer_than(refused).await?;
        Ok(pair.filter(|pair| pair.lineage == refused.lineage))
    }

    async fn newer_than(&self, refused: &Arc<Pair>) -> Outcome {
        // The refresh that is under way may have begun before the refused pair was issued.
        for _ in 0..2 {
            let held = self.state().held.clone();
            match &held {
                Some(pair) if Arc::ptr_eq(pair, refused) => {}
                _ => return Ok(held),
            }
            if self.is_fresh(refused) {
                return Ok(None);
            }
            match self.refresh(held, true).await? {
                Some(pair) if Arc::ptr_eq(&pair, refused) => {}
                other => return Ok(other),
            }
        }
        Ok(None)
    }

    fn is_fresh(&self, pair: &Arc<Pair>) -> bool {
        let now = self.clock().now();
        let state = self.state();
        state.rotated.as_ref().is_some_and(|(new, at)| Arc::ptr_eq(new, pair) && is_within(FRESH, *at, now))
    }
}
