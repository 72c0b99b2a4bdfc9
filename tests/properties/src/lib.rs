//! The invariants of sessions as properties that any store can be run against.
//!
//! Two judges, both ignorant of the code under test:
//! - [`model`] predicts every answer of one operation after the other, whatever fails in between;
//! - `history` checks rules over operations that overlap, whose order nobody can predict.
//!
//! `PORTCULLIS_CASES` sets how many schedules are drawn, `PORTCULLIS_SEED` repeats a run.

pub mod concurrent;
pub mod faulty;
pub mod flawed;
mod history;
mod holders;
pub mod interleave;
pub mod memory;
pub mod model;
pub mod properties;
#[cfg(feature = "redis")]
pub mod redis;
pub mod run;
pub mod schedule;
pub mod sequential;
pub mod settings;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod theft;
pub mod token;
pub mod world;

use std::sync::Arc;

use crate::faulty::Control;
use async_trait::async_trait;
use portcullis::{
    User,
    clock::Timestamp,
    store::{SessionStore, UserStore},
    user::UserId,
};

/// A database: users, sessions, and what an app does to its users by other means.
#[derive(Clone)]
pub struct Stores {
    pub users: Arc<dyn UserStore<User = User>>,
    pub sessions: Arc<dyn SessionStore>,
    pub admin: Arc<dyn Admin>,
}

/// Makes stores to be tested: one for each schedule.
#[async_trait]
pub trait StoreFactory: Sync {
    /// Opens a store, on the runtime that the schedule runs on. It may hold what earlier schedules left: no schedule
    /// looks at users that are not its own. One that takes several steps for a call may [`pause`](Control::pause) between
    /// them, to be interleaved there.
    async fn open(&self, control: &Control) -> Stores;

    /// Wraps the sessions that nodes get, around the faults of the schedule; for stores that are broken on purpose.
    fn outermost(&self, sessions: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        sessions
    }
}

/// What no endpoint does to a user.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Disables or enables a user.
    async fn set_disabled(&self, user: &UserId, disabled: bool);
    /// Deletes a user.
    async fn delete(&self, user: &UserId);
    /// Deletes the records that have expired, where the store does that.
    async fn sweep(&self, now: Timestamp);
}
