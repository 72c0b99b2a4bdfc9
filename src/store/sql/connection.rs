//! A connection that an operation holds, for a limited time.

use std::time::Duration;

use sqlx::{Connection, Database, Pool, database::HasStatementCache, pool::PoolConnection};
use tokio::runtime::Handle;

use super::failure::{Verdict, failed, verdict};
use crate::store::StoreError;

/// A connection that goes back to its pool when the operation is done.
///
/// A pool tests a connection that it gets back, and waits for as long as the test takes. Behind a
/// network that swallows everything, that is a quarter of an hour, and each such wait takes one
/// connection from the pool, until none is left when the network is back. A connection that is
/// given up in the middle of an operation is therefore tested here, and closed where it does not
/// answer.
pub(super) struct Held<DB: Database> {
    connection: Option<PoolConnection<DB>>,
    timeout: Duration,
}

impl<DB: Database> Held<DB> {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { connection: None, timeout }
    }

    /// Returns the connection that is held, or else takes one from the pool.
    pub(super) async fn acquire(&mut self, pool: &Pool<DB>) -> Result<&mut DB::Connection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => pool.acquire().await.map_err(failed)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Gives the connection back, after the operation was answered.
    pub(super) fn give_back(mut self) {
        self.connection = None;
    }

    /// Closes the connection, after the operation waited too long or the connection failed.
    pub(super) fn throw_away(mut self, pool: &Pool<DB>, error: &StoreError) {
        if let Some(connection) = self.connection.take() {
            throw_away(connection, pool, error);
        }
    }
}

impl<DB: Database + HasStatementCache> Held<DB> {
    /// Forgets the prepared statements where they no longer fit their tables. Returns whether the
    /// operation may therefore run once more.
    pub(super) async fn renew(&mut self, error: &StoreError) -> bool {
        if verdict(error) != Some(Verdict::StaleStatement) {
            return false;
        }
        let Some(connection) = &mut self.connection else { return false };
        connection.clear_cached_statements().await.is_ok()
    }
}

/// Closes a connection after an error.
///
/// Where the error says that the server is not the primary, it also closes all connections that
/// rest in the pool, because they lead to the same server.
pub(super) fn throw_away<DB: Database>(connection: PoolConnection<DB>, pool: &Pool<DB>, error: &StoreError) {
    drop(connection.detach());
    if verdict(error) == Some(Verdict::NotPrimary) {
        for _ in 0..pool.size() {
            let Some(resting) = pool.try_acquire() else { break };
            drop(resting.detach());
        }
    }
}

/// Runs where the caller has gone in the middle of an operation.
impl<DB: Database> Drop for Held<DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        // The caller may have gone before the answer to a BEGIN. Then sqlx knows of no transaction
        // to roll back, and the writes of the connection's next owner would never be committed.
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
///
/// Work whose statements no longer fit their tables runs once more, with statements that are
/// prepared anew.
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
                // After SQLite has rolled back a transaction by itself, the connection cannot begin
                // another one.
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
