//! Counts and times, which go to the facade of the crate `metrics`. No other file uses that facade.
//!
//! Without the feature `metrics`, the stopwatches are empty and the functions do nothing, so that
//! the flows need no `cfg`. Names, units and labels are stable: [`event`](crate::event#metrics) has
//! their table.

#[cfg(not(feature = "metrics"))]
mod disabled;
#[cfg(feature = "metrics")]
mod recorder;
mod revocation_state;

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::{
    RevocationGauges, Stopwatch, Waiting, describe, event, flow, hash, lost_revocation, polled, store_question,
};
#[cfg(feature = "metrics")]
pub(crate) use self::recorder::{
    RevocationGauges, Stopwatch, Waiting, describe, event, flow, hash, lost_revocation, polled, store, store_question,
};
pub(crate) use self::revocation_state::RevocationState;
