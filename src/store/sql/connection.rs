//! A connection that an operation holds, for a limited time.

use std::time::Duration;

use sqlx::{Connection, Database, Pool, database::HasStatementCache, pool::PoolConnection};
use tokio::runtime::Handle;

use super::failure::{Verdict, failed, verdict};
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

    /// The connection that is held, or else one of the pool.
    pub(super) async fn acquire(&mut self, pool: &Pool<DB>) -> Result<&mut DB::Connection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => pool.acquire().await.map_err(failed)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// The operation has been answered.
    pub(super) fn give_back(mut self) {
        self.connection = None;
    }

    /// The operation has waited too long, or the connection is not what it was.
    pub(super) fn throw_away(mut self, pool: &Pool<DB>, error: &StoreError) {
        if let Some(connection) = self.connection.take() {
            throw_away(connection, pool, error);
        }
    }
}

impl<DB: Database + HasStatementCache> Held<DB> {
    /// Whether the operation may run once more, because its statements have been forgotten that no longer fit.
    pub(super) async fn renew(&mut self, error: &StoreError) -> bool {
        if verdict(error) != Some(Verdict::StaleStatement) {
            return false;
        }
        let Some(connection) = &mut self.connection else { return false };
        connection.clear_cached_statements().await.is_ok()
    }
}

/// Closes a connection after an error; and all that rest in the pool where the error says that the primary is elsewhere,
/// because they lead to the same server.
pub(super) fn throw_away<DB: Database>(connection: PoolConnection<DB>, pool: &Pool<DB>, error: &StoreError) {
    drop(connection.detach());
    if verdict(error) == Some(Verdict::NotPrimary) {
        for _ in 0..pool.size() {
            let Some(resting) = pool.try_acquire() else { break };
            drop(resting.detach());
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

/// Runs `$work` on a connection of the store's pool, and gives up after the store's timeout. Work whose statements no
/// longer fit their tables runs once more, with statements that are prepared anew.
macro_rules! on_connection {
    ($store:expr, |$connection:ident| $work:expr) => {{
        let deadline = tokio::time::Instant::now() + $store.timeout;
        let mut held = $crate::store::sql::connection::Held::new($store.timeout);
        let mut is_again = false;
        loop {
            let work = async {
                let $connection = held.acquire(&$store.pool).await?;
                $work
            };
            let answer = tokio::time::timeout_at(deadline, work).await;
            match answer {
                // A transaction that SQLite rolled back by itself leaves a connection that begins no other one.
                Ok(Err(error)) if StoreError::is_unavailable(&error) => {
                    let renewed = tokio::time::timeout_at(deadline, held.renew(&error)).await;
                    if !is_again && matches!(renewed, Ok(true)) {
                        is_again = true;
                        continue;
                    }
                    held.throw_away(&$store.pool, &error);
                    break Err(error);
                }
                Ok(answer) => {
                    held.give_back();
                    break answer;
                }
                Err(_) => {
                    let error = StoreError::unavailable("the database did not answer in time");
                    held.throw_away(&$store.pool, &error);
                    break Err(error);
                }
            }
        }
    }};
}
pub(super) use on_connection;
