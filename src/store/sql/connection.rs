//! A connection that an operation holds, for a limited time.

use std::time::Duration;

use sqlx::{Connection, Database, Pool, pool::PoolConnection};
use tokio::runtime::Handle;

use super::failed;
use crate::store::StoreError;

/// A connection that goes back to its pool when the operation is done.
///
/// A pool tests what is given back, and waits for as long as that takes: behind a network that swallows everything it
/// would wait for a quarter of an hour, and every such wait takes one connection from the pool, until nothing is left when
/// the network is back. So one that is given up in the middle is tested here, and thrown away where it says nothing.
pub(super) struct Held<DB: Database> {
    connection: Option<PoolConnection<DB>>,
    timeout: Duration,
}

impl<DB: Database> Held<DB> {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { connection: None, timeout }
    }

    pub(super) async fn acquire(&mut self, pool: &Pool<DB>) -> Result<&mut DB::Connection, StoreError> {
        Ok(self.connection.insert(pool.acquire().await.map_err(failed)?))
    }

    /// The operation has been answered.
    pub(super) fn give_back(mut self) {
        self.connection = None;
    }

    /// The operation has waited too long, or the connection is not what it was.
    pub(super) fn throw_away(mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

/// Whoever asked has gone.
impl<DB: Database> Drop for Held<DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        // Where the answer to a BEGIN was not waited for, sqlx knows of no transaction to roll back, and what the next owner
        // writes would never be committed.
        if DB::NAME == "PostgreSQL" {
            return drop(connection.detach());
        }
        let Ok(runtime) = Handle::try_current() else { return drop(connection.detach()) };
        let timeout = self.timeout;
        runtime.spawn(async move {
            if !matches!(tokio::time::timeout(timeout, connection.ping()).await, Ok(Ok(()))) {
                drop(connection.detach());
            }
        });
    }
}

/// Runs `$work` on a connection of the store's pool, and gives up after the store's timeout.
macro_rules! on_connection {
    ($store:expr, |$connection:ident| $work:expr) => {{
        let mut held = $crate::store::sql::connection::Held::new($store.timeout);
        let work = async {
            let $connection = held.acquire(&$store.pool).await?;
            $work
        };
        let answer = tokio::time::timeout($store.timeout, work).await;
        match answer {
            // A transaction that SQLite rolled back by itself leaves a connection that begins no other one.
            Ok(Err(error)) if StoreError::is_unavailable(&error) => {
                held.throw_away();
                Err(error)
            }
            Ok(answer) => {
                held.give_back();
                answer
            }
            Err(_) => {
                held.throw_away();
                Err(StoreError::unavailable("the database did not answer in time"))
            }
        }
    }};
}
pub(super) use on_connection;
