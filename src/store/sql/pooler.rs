//! Checks that no pooler loses prepared statements.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool, Postgres};

use super::{
    connection::Held,
    failure::{POOLER, Verdict, failed, verdict},
    statement::Statement,
};
use crate::store::StoreError;

/// The number of operations whose time the check has. It opens a connection and makes five round
/// trips, and a start can wait.
const OPERATIONS: u32 = 3;

/// Fails where a pooler loses prepared statements between two transactions, and where that could
/// not be found out.
pub(super) async fn check_pooler(pool: &PgPool, timeout: Duration) -> Result<(), StoreError> {
    let checked = tokio::time::timeout(timeout.saturating_mul(OPERATIONS), prepare_twice(pool, timeout)).await;
    let checked = checked.unwrap_or_else(|_| {
        Err(StoreError::unavailable("the check whether a pooler loses prepared statements was not answered in time"))
    });
    checked.map_err(
        |error| {
            if verdict(&error) == Some(Verdict::LostStatement) { StoreError::internal(POOLER) } else { error }
        },
    )
}

/// Prepares a statement on one connection, lets a second connection hold what may be the same
/// backend, and runs the statement again.
///
/// A pooler that does not keep prepared statements then has another backend for the statement, or
/// finds its name taken.
async fn prepare_twice(pool: &PgPool, timeout: Duration) -> Result<(), StoreError> {
    let statement = || Statement::new("SELECT pg_backend_pid()");
    // Closed where the check fails, and where it is given up on.
    let mut held = Held::new(timeout);
    let first = held.acquire(pool).await?;
    statement().first::<Postgres>(first).await?;
    let mut second = PgConnection::connect_with(&pool.connect_options()).await.map_err(failed)?;
    let mut transaction = second.begin().await.map_err(failed)?;
    statement().first::<Postgres>(&mut transaction).await?;
    statement().first::<Postgres>(first).await?;
    held.give_back();
    transaction.rollback().await.map_err(failed)
}
