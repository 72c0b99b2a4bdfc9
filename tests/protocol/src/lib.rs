//! A model of how nodes, a store and the holders of a session's tokens play together, small enough
//! that a model checker visits **every** order of its steps.
//!
//! One user has one session. Two holders have tokens of it: the client, and a thief who copied the
//! client's refresh token at some moment. Two nodes serve them, with clocks that differ. Between
//! any two steps of an operation, anything else may happen: another operation, a tick of time, a
//! crash, an answer of the store that is lost, a store that refuses.
//!
//! What a presented refresh token does to the record is not modelled: the model calls
//! [`portcullis::session::decide`], which the stores run. The rest is: which step writes what, what
//! a node remembers, and what it reads back at a poll or after a restart.
//!
//! - [`rules`] says what must always hold, in the words of the properties that every store is
//!   tested for.
//! - [`Flaw`] is a mistake that can be put into the model. Each must break a rule, or the model
//!   would prove nothing.
//!
//! The properties in `tests/properties` run the real code with random schedules. This model checks
//! the protocol itself, with no schedule left out, within its [`Bounds`].

mod bounds;
mod flaw;
mod model;
mod nodes;
mod operation;
mod record;
pub mod rules;
mod state;
mod steps;

pub use self::{
    bounds::Bounds,
    flaw::Flaw,
    model::{Action, Protocol},
    state::State,
};
