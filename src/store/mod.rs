//! Stores of users and sessions: the traits, and ready stores.
//!
//! | trait | what it stores | ready stores |
//! |---|---|---|
//! | [`UserStore`] | users | [`memory`], `mongodb`, `sql`, or an app's own table |
//! | [`UserAdmin`] | nothing more: it changes, removes and lists users, for an app's admin pages | [`memory`], `mongodb`, `sql` |
//! | [`SessionStore`] | sessions | [`memory`], `mongodb`, `redis`, `sql` |
//! | [`RevocationFeed`] | nothing: it reports to the other nodes at once what ended | [`memory`], `mongodb`, `redis`, `sql` |
//!
//! An app implements [`UserStore`] over the users table that it has, and uses a ready
//! [`SessionStore`] for the sessions. The two may be in different engines: [`SplitStore`] combines
//! two stores into one. The suite in `conformance` checks a store that an app has written.
//!
//! Each store is opened by `connect`, which also creates its tables or indexes, or checks the
//! server. `new` takes what the app has opened itself. Call `migrate` after it.
//!
//! | store | `connect` takes | `new` takes | the app's own statements | feed |
//! |---|---|---|---|---|
//! | [`memory::MemoryStore`] | – | nothing | – | [`memory::MemoryFeed`] |
//! | `sql::SqliteStore` | a path, or a URL such as `sqlite://app.db` | a pool | `pool()` | – |
//! | `sql::PostgresStore` | a URL such as `postgres://host/app` | a pool | `pool()` | `feed()` |
//! | `mongodb::MongoStore` | a URI such as `mongodb://host/app` | a database | `database()` | `feed()` |
//! | `redis::RedisSessions` | a URL such as `redis://host/`, a client, or `RedisOptions` | – | – | `feed()` |

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
#[cfg(any(feature = "mongodb_3", feature = "redis_1"))]
mod unreadable;
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
