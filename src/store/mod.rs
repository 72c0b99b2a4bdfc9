//! Where users and sessions are kept.
//!
//! | trait | what it keeps | ready stores |
//! |---|---|---|
//! | [`UserStore`] | users | [`memory`], `mongodb`, `sql`, or an app's own table |
//! | [`UserAdmin`] | nothing more: it changes, removes and lists users, for an app's admin pages | [`memory`], `mongodb`, `sql` |
//! | [`SessionStore`] | sessions | [`memory`], `mongodb`, `redis`, `sql` |
//! | [`RevocationFeed`] | nothing: it tells the other nodes at once what ended | [`memory`], `mongodb`, `redis`, `sql` |
//!
//! An app implements [`UserStore`] over the users table that it has, and takes a ready
//! [`SessionStore`] for the sessions. The two need not be in the same engine: [`SplitStore`] makes
//! one store of two. The suite in `conformance` checks a store of an app's own.

mod admin;
mod clocks;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod feed;
pub mod memory;
#[cfg(feature = "mongodb_3")]
pub mod mongodb;
#[cfg(feature = "redis_1")]
pub mod redis;
mod sessions;
mod split;
#[cfg(any(feature = "sqlx_0_9_sqlite", feature = "sqlx_0_9_postgres"))]
pub mod sql;
#[cfg(feature = "metrics")]
mod timed;
mod users;

pub(crate) use self::clocks::SharedClock;
#[cfg(feature = "metrics")]
pub(crate) use self::timed::Timed;
pub use self::{
    admin::{PageLimit, UserAdmin, UserPage},
    error::{StoreError, UniqueField},
    feed::{RevocationFeed, Subscription},
    sessions::{Created, EndAll, Keep, NewSession, SessionLimit, SessionStore},
    split::SplitStore,
    users::UserStore,
};
