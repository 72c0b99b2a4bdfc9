//! What is counted and timed, and the only place that speaks to the facade of the crate `metrics`.
//!
//! Without the feature nothing of it is left: stopwatches are empty and the functions do nothing, so that the flows need
//! not know. The names, units and labels are public promises: [`event`](crate::event#metrics) has their table.

#[cfg(not(feature = "metrics"))]
mod disabled;
#[cfg(feature = "metrics")]
mod recorder;

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::{Stopwatch, Waiting, describe, event, flow, hash};
#[cfg(feature = "metrics")]
pub(crate) use self::recorder::{Stopwatch, Waiting, describe, event, flow, hash, store};
