//! Runs statements to their end: a part of an answer is an error.

use futures_util::TryStreamExt;
use sqlx::{
    Connection, Database, Either, Execute, Executor, IntoArguments, Pool, database::HasStatementCache, query::Query,
};

use super::{
    connection::throw_away,
    failure::{Verdict, failed, store_error, verdict},
};
use crate::store::StoreError;

/// Returns the rows of a statement and what it has changed.
///
/// An answer without the engine's final result was cut off, such as by a panic in the driver's
/// thread. It is an error, because rows may be missing.
///
/// It reads all rows of a statement that writes, too. SQLite reports after the last row whether the
/// change was committed.
pub(super) async fn whole<DB>(
    connection: &mut DB::Connection,
    query: Query<'_, DB, DB::Arguments>,
) -> Result<(Vec<DB::Row>, DB::QueryResult), sqlx::Error>
where
    DB: Database,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let mut answer = connection.fetch_many(query);
    let (mut rows, mut done) = (Vec::new(), None);
    while let Some(step) = answer.try_next().await? {
        match step {
            Either::Left(result) => done = Some(result),
            Either::Right(row) => rows.push(row),
        }
    }
    done.map(|done| (rows, done)).ok_or(sqlx::Error::WorkerCrashed)
}

/// Reads the rows of a statement, for a [`UserStore`](crate::store::UserStore) over a table of your
/// own.
///
/// The statement runs once more, prepared anew, where the table has changed since it was prepared.
/// For example, a column is added while the app runs: PostgreSQL then refuses a prepared `SELECT
/// *`, and SQLite's driver panics. Such a panic is an error here, never an empty answer. A
/// statement that writes does not run again after a panic, because the write may have been done.
///
/// Where an error says that the server is no longer the primary, the idle connections of the pool
/// are closed, so that the next call connects anew.
///
/// # Examples
/// ```no_run
/// # #[cfg(feature = "sqlx_0_9_sqlite")]
/// # async fn find(pool: &sqlx::SqlitePool) -> Result<(), portcullis::store::StoreError> {
/// use portcullis::store::sql::fetch_rows;
///
/// let rows = fetch_rows(pool, || sqlx::query("SELECT id, email FROM members WHERE id = $1").bind(7)).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// - [`StoreError::duplicate`] where a unique constraint refuses a row.
/// - [`StoreError::unavailable`] where the database cannot be reached or is locked.
/// - [`StoreError::internal`] for what does not pass by itself. [`store_error`] lists the errors.
pub async fn fetch_rows<'q, DB>(
    pool: &Pool<DB>,
    statement: impl Fn() -> Query<'q, DB, DB::Arguments> + Send,
) -> Result<Vec<DB::Row>, StoreError>
where
    DB: Database + HasStatementCache,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let mut connection = pool.acquire().await.map_err(failed)?;
    let error = match whole::<DB>(&mut connection, statement()).await {
        Ok((rows, _)) => return Ok(rows),
        Err(error) => error,
    };
    let crashed = matches!(error, sqlx::Error::WorkerCrashed);
    let error = store_error(error);
    if verdict(&error) == Some(Verdict::StaleStatement) && connection.clear_cached_statements().await.is_ok() {
        return whole::<DB>(&mut connection, statement()).await.map(|(rows, _)| rows).map_err(store_error);
    }
    if error.is_unavailable() {
        throw_away(connection, pool, &error);
    }
    if !crashed || !reads(statement()) {
        return Err(error);
    }
    let mut connection = pool.acquire().await.map_err(failed)?;
    whole::<DB>(&mut connection, statement()).await.map(|(rows, _)| rows).map_err(store_error)
}

/// Says whether a statement only reads, so that it may run twice.
fn reads<DB: Database>(statement: Query<'_, DB, DB::Arguments>) -> bool
where
    DB::Arguments: IntoArguments<DB>,
{
    let text = statement.sql();
    text.as_str().trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
}
