//! [`Engine`]: what differs between SQLite and PostgreSQL.

use std::{future::Future, time::Duration};

use sqlx::{Database, Transaction, database::HasStatementCache};

use super::statement::Statement;
use crate::{store::StoreError, user::UserId};

/// A database engine, as the code that both engines share sees it.
///
/// The shared code knows no type of a driver. It runs a [`Statement`], and reads its
/// [`Record`](super::record::Record)s.
pub(super) trait Engine: Database + HasStatementCache {
    /// The time limit of an operation. Two of them are shorter than the refresh grace (10 s).
    const TIMEOUT: Duration;

    /// The versions of the tables, the newest last. A released version is never changed.
    const MIGRATIONS: &'static [&'static [&'static str]];

    /// Creates the table that holds the version of the tables.
    const CREATE_SCHEMA: &'static str;

    /// Finds one row where that table exists.
    const FIND_SCHEMA: &'static str;

    /// Reads users after `$1`, at most `$2`, one of whose login keys has more than ASCII.
    const USERS_BEYOND_ASCII: &'static str;

    /// Deletes at most `$2` records that have expired by `$1`, from each table of sessions.
    const SWEEPS: [&'static str; 2];

    /// Reads the clock of the server, in milliseconds, as `now`. `None` without a server.
    const CLOCK: Option<&'static str>;

    /// Runs a statement to its end.
    fn run(
        connection: &mut Self::Connection,
        statement: Statement<'_>,
    ) -> impl Future<Output = Result<Answer<Self>, sqlx::Error>> + Send;

    /// Begins a transaction that no other transaction over the user's sessions runs beside.
    ///
    /// The server gives up on a node that stays silent in the transaction for `pause`.
    fn lock<'c>(
        connection: &'c mut Self::Connection,
        user: &UserId,
        pause: Duration,
    ) -> impl Future<Output = Result<Transaction<'c, Self>, StoreError>> + Send;

    /// Reads a column of integers.
    fn number(row: &Self::Row, column: &str) -> Result<Option<i64>, sqlx::Error>;

    /// Reads a column of texts.
    fn text(row: &Self::Row, column: &str) -> Result<Option<String>, sqlx::Error>;

    /// Reads a column of bytes.
    fn bytes(row: &Self::Row, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error>;

    /// Reads a column of truth values.
    fn flag(row: &Self::Row, column: &str) -> Result<Option<bool>, sqlx::Error>;
}

/// What a statement has read and changed.
pub(super) struct Answer<E: Engine> {
    pub(super) rows: Vec<E::Row>,
    /// The number of rows that were changed.
    pub(super) changes: u64,
}

/// Implements the methods of [`Engine`] that are the same calls to the driver in each engine. The
/// driver's types differ, so that they cannot be default methods.
macro_rules! driver_calls {
    () => {
        async fn run(
            connection: &mut Self::Connection,
            statement: $crate::store::sql::statement::Statement<'_>,
        ) -> Result<$crate::store::sql::engine::Answer<Self>, sqlx::Error> {
            let (rows, done) = $crate::store::sql::query::whole::<Self>(connection, statement.query()).await?;
            Ok($crate::store::sql::engine::Answer { rows, changes: done.rows_affected() })
        }

        fn number(row: &Self::Row, column: &str) -> Result<Option<i64>, sqlx::Error> {
            sqlx::Row::try_get(row, column)
        }

        fn text(row: &Self::Row, column: &str) -> Result<Option<String>, sqlx::Error> {
            sqlx::Row::try_get(row, column)
        }

        fn bytes(row: &Self::Row, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
            sqlx::Row::try_get(row, column)
        }

        fn flag(row: &Self::Row, column: &str) -> Result<Option<bool>, sqlx::Error> {
            sqlx::Row::try_get(row, column)
        }
    };
}
pub(super) use driver_calls;
