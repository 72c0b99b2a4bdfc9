//! [`SqlStore`]: the store that is the same code for each engine.

use std::{fmt, time::Duration};

use sqlx::Pool;

use super::{
    connection::on_connection,
    engine::Engine,
    failure::{Verdict, verdict},
    statement::Statement,
    sweep::Sweeps,
};
use crate::{
    clock::Timestamp,
    store::{SharedClock, StoreError},
};

/// Users and sessions in a database. [`SqliteStore`](super::SqliteStore) and
/// [`PostgresStore`](super::PostgresStore) are its public faces.
pub(super) struct SqlStore<E: Engine> {
    pub(super) pool: Pool<E>,
    pub(super) timeout: Duration,
    pub(super) sweeps: Sweeps,
    pub(super) clocks: SharedClock,
}

impl<E: Engine> SqlStore<E> {
    pub(super) fn new(pool: Pool<E>) -> Self {
        Self { pool, timeout: E::TIMEOUT, sweeps: Sweeps::default(), clocks: SharedClock::default() }
    }

    /// Returns the present moment by the clock that all nodes share. Without a server, that is the
    /// clock of the machine whose processes share the file.
    pub(super) async fn shared_clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let Some(statement) = E::CLOCK else { return Ok(self.clocks.without_server()) };
        if let Some(known) = self.clocks.known() {
            return Ok(Some(known));
        }
        let server = on_connection!(self, |connection| {
            let record = Statement::new(statement).first::<E>(connection).await?;
            record.ok_or_else(|| StoreError::internal("the server has no clock"))?.moment("now")
        })?;
        Ok(Some(self.clocks.with_server(server)))
    }
}

impl<E: Engine> Clone for SqlStore<E> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            timeout: self.timeout,
            sweeps: self.sweeps.clone(),
            clocks: self.clocks.clone(),
        }
    }
}

impl<E: Engine> fmt::Debug for SqlStore<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("pool", &self.pool).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The number of times that an operation is tried where other operations change the record in
/// between.
pub(super) const MAX_ATTEMPTS: usize = 16;

/// Says whether a statement lost against another transaction. Under REPEATABLE READ and
/// SERIALIZABLE, PostgreSQL refuses a statement that waited for another one. SQLite has one writer,
/// and never refuses for this reason.
pub(super) fn is_overtaken(error: &StoreError) -> bool {
    verdict(error) == Some(Verdict::Overtaken)
}

/// Runs a statement again where another transaction was faster.
macro_rules! again_if_overtaken {
    ($statement:expr) => {{
        for _ in 0..$crate::store::sql::store::MAX_ATTEMPTS {
            match $statement {
                Err(error) if $crate::store::sql::store::is_overtaken(&error) => {}
                answer => return answer,
            }
        }
        Err(StoreError::unavailable("other transactions changed the row again and again"))
    }};
}
pub(super) use again_if_overtaken;

/// Gives a public store its methods and traits, which its field `store` has.
macro_rules! public_store {
    ($name:ident) => {
        impl $name {
            /// Sets how long an operation may take, with the wait for a connection, before it fails
            /// as unavailable.
            ///
            /// Default: 3 s for PostgreSQL, 4 s for SQLite. Keep twice this below the refresh grace
            /// (10 s), because an operation whose answer was lost is asked again.
            #[must_use]
            pub fn with_timeout(mut self, timeout: std::time::Duration) -> Self {
                self.store.timeout = timeout;
                self
            }

            /// Deletes the records that have expired by `now`. A task also does this by itself, as
            /// users log in.
            ///
            /// It deletes 500 rows at a time, and pauses in between, so that other writers have
            /// their turn. The timeout holds for each such piece.
            ///
            /// # Errors
            /// - [`StoreError::unavailable`] where the database cannot be reached or does not
            ///   answer in time.
            /// - [`StoreError::internal`] for what does not pass by itself, such as a missing
            ///   table.
            pub async fn sweep(&self, now: $crate::clock::Timestamp) -> Result<(), StoreError> {
                self.store.sweep(now).await
            }
        }

        $crate::store::users::delegate_user_store!([] $name, $crate::user::User, to_users);
        $crate::store::admin::delegate_user_admin!([] $name, to_admin);
        $crate::store::sessions::delegate_session_store!([] $name, to_sessions);
    };
}
pub(super) use public_store;

// Each names its trait, because two traits have a `create`.
macro_rules! to_users {
    ($this:ident, $method:ident($($argument:ident),*)) => {
        $crate::store::UserStore::$method(&$this.store, $($argument),*)
    };
}
macro_rules! to_admin {
    ($this:ident, $method:ident($($argument:ident),*)) => {
        $crate::store::UserAdmin::$method(&$this.store, $($argument),*)
    };
}
macro_rules! to_sessions {
    ($this:ident, $([now])? $method:ident($($argument:ident),*)) => {
        $crate::store::SessionStore::$method(&$this.store, $($argument),*)
    };
}
pub(super) use {to_admin, to_sessions, to_users};
