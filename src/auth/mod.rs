//! [`Auth`]: every flow in code, without HTTP. Each flow has its own file.
//!
//! | type | what it is for |
//! |---|---|
//! | [`Auth`] | runs the flows |
//! | [`ClientInfo`] | describes the client of a flow: address, user agent, earlier refresh token |
//! | [`Registration`] | carries the fields of a new user |
//! | [`LoginOutcome`], [`LoggedIn`], [`TokenPair`] | carry the result of a login |
//! | [`Presented`] | carries the tokens that a logout ends |
//! | [`Check`], [`Authenticated`] | say what is checked about an access token, and what was found |
//! | [`Health`] | says how a node is |
//!
//! Every way to log in ends in `start_session.rs`, the only place that makes sessions.

mod auth;
mod authenticate;
mod change_password;
mod client_info;
mod lifecycle;
mod login;
mod logout;
mod outcome;
mod refresh;
mod register;
mod sessions;
mod start_session;
mod throttling;
mod tokens;
mod until_ended;

pub(crate) use self::auth::{CustomClaimsOf, Inner, Lifetimes};
pub use self::{
    auth::Auth,
    authenticate::{Authenticated, Check},
    client_info::ClientInfo,
    lifecycle::Health,
    logout::Presented,
    outcome::{LoggedIn, LoginOutcome},
    register::Registration,
    tokens::TokenPair,
};
