//! What is counted and timed, and the only place that speaks to the facade of the crate `metrics`.
//!
//! Without the feature nothing of it is left: stopwatches are empty and the functions do nothing, so that the flows need
//! not know. The names, units and labels are public promises: [`event`](crate::event#metrics) has their table.

#[cfg(feature = "metrics")]
mod facade;
#[cfg(not(feature = "metrics"))]
mod nothing;

#[cfg(feature = "metrics")]
pub(crate) use self::facade::{Stopwatch, Waiting, describe, event, flow, hash, store};
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::{Stopwatch, Waiting, describe, event, flow, hash};
