//! The invariants of sessions, as properties that any store can be tested against.
//!
//! Two independent checks know nothing of the code under test:
//! - [`model`] predicts every answer of one operation after the other, whatever fails.
//! - `history` checks rules about operations that overlap, whose order is unknown.
//!
//! `PORTCULLIS_CASES` sets how many schedules are generated. `PORTCULLIS_SEED` repeats a run.

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

/// Makes the stores to test, one for each schedule.
#[async_trait]
pub trait StoreFactory: Sync {
    /// Opens a store on the runtime of the schedule. It may contain what earlier schedules left,
    /// because a schedule reads only its own users. A store that takes several steps for a call may
    /// call [`pause`](Control::pause) between them, so that the steps are interleaved.
    async fn open(&self, control: &Control) -> Stores;

    /// Wraps the sessions that nodes get, outside of the faults of the schedule. Stores that are
    /// wrong on purpose use this.
    fn outermost(&self, sessions: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        sessions
    }
}

/// Changes users in ways that no endpoint offers.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Disables or enables a user.
    async fn set_disabled(&self, user: &UserId, disabled: bool);
    /// Deletes a user.
    async fn delete(&self, user: &UserId);
    /// Deletes expired records, in a store that does this.
    async fn sweep(&self, now: Timestamp);
}
