//! [`Auth`]: every flow in code, without HTTP. Each flow has a file.
//!
//! | type | what it is for |
//! |---|---|
//! | [`Auth`] | runs the flows |
//! | [`ClientInfo`] | says what is known of the client that a flow runs for |
//! | [`Registration`] | is a registration as it came in |
//! | [`LoginOutcome`], [`LoggedIn`], [`TokenPair`] | are what a login leads to |
//! | [`Presented`] | holds the tokens that a logout brings |
//! | [`Check`], [`Authenticated`] | say how much is asked about an access token, and what was found |
//! | [`Health`] | says how a node is |
//!
//! Every way to log in ends in `start_session`, which alone makes sessions.

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
