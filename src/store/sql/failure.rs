//! Maps a driver's errors to [`StoreError`]s, which keep codes and names and no message.

use std::fmt;

use sqlx::error::DatabaseError;

use crate::store::{StoreError, UniqueField};

/// The part of a driver's error that a log may have.
///
/// An engine's message repeats what it refused: PostgreSQL's `DETAIL` is the whole row, with the
/// hash of a password, and the message of a trigger may be anything. Codes and the names of
/// constraints, tables and columns come from the schema.
#[derive(Debug)]
pub(super) struct Failure {
    said: String,
    verdict: Verdict,
}

/// What follows from an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passes by itself.
    Passes,
    /// The server accepts no writes, or ends. Another server is the primary, or will be.
    NotPrimary,
    /// The statement was prepared before its table changed.
    StaleStatement,
    /// The prepared statement does not exist, because a pooler has given the connection another
    /// backend.
    LostStatement,
    /// Another transaction was faster.
    Overtaken,
    /// It does not pass.
    Bug,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    fn new(verdict: Verdict, said: impl Into<String>) -> Self {
        Self { said: said.into(), verdict }
    }
}

/// Converts an error of the driver, for a [`UserStore`](crate::store::UserStore) over a table of
/// your own.
///
/// A violated unique constraint is a duplicate. It is a duplicate of the username where the name of
/// the constraint or column contains `user` or `name`, and of the e-mail address otherwise. An
/// error that passes by itself is unavailable (503). Any other error is internal (500).
///
/// | PostgreSQL's `SQLSTATE` | meaning | result |
/// |---|---|---|
/// | 23505 | a unique value is there already | duplicate |
/// | 0A000 | not supported: the server is a standby, or the statement was prepared before its table changed | unavailable |
/// | 25006 | the server is read-only: a standby, or set so | unavailable |
/// | 57P01, 57P02, 57P03 | the server ends, has crashed or starts | unavailable |
/// | other 08, 40, 53, 55, 57 | connection, rolled back, resources, locks, operator | unavailable |
/// | 25P03, 58030 | a transaction waited too long; the disk failed | unavailable |
/// | 26000, 42P05 | a pooler in transaction mode has lost a prepared statement | unavailable |
/// | anything else | such as 23514 (a check refuses), 42501 (the role may not), 42P01 (no such table) | internal |
///
/// | SQLite's code (its low byte) | meaning | result |
/// |---|---|---|
/// | 1555, 2067 | a unique value is there already | duplicate |
/// | 5, 6, 7, 8, 9, 10, 13, 14 | busy, locked, no memory, read-only, interrupted, I/O, disk full, cannot open | unavailable |
/// | anything else | such as 1 (no such table), 19 (a constraint), 11 (damaged) | internal |
///
/// Errors of the connection, of TLS and of the pool are unavailable.
///
/// The result keeps the code and the names of the constraint and the table, and nothing else of the
/// engine's message. Such a message repeats the row that was refused, with the hash of a password,
/// and errors are logged.
pub fn store_error(error: sqlx::Error) -> StoreError {
    let violated = error.as_database_error().filter(|error| error.is_unique_violation());
    let Some(database) = violated else { return failed(error) };
    // SQLite names `table.column` in its message. PostgreSQL names the constraint, whose name
    // begins with the name of the table.
    let named = database.constraint().unwrap_or_else(|| database.message());
    let column = named.rsplit_once('.').map_or(named, |(_, column)| column);
    let column = database.table().map_or_else(|| column.to_owned(), |table| column.replacen(table, "", 1));
    let username = column.contains("user") || column.contains("name");
    StoreError::duplicate(if username { UniqueField::Username } else { UniqueField::Email })
}

/// Returns what follows from an error of a store, where it was an error of the driver.
pub(super) fn verdict(error: &StoreError) -> Option<Verdict> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<Failure>().map(|failure| failure.verdict)
}

/// Distinguishes an outage from a bug, by the kind of error and the engine's code.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of the driver's error")]
pub(super) fn failed(error: sqlx::Error) -> StoreError {
    let failure = match &error {
        sqlx::Error::Database(database) => of_the_engine(&**database),
        sqlx::Error::Io(error) => Failure::new(Verdict::Passes, format!("the connection failed: {error}")),
        sqlx::Error::Tls(error) => Failure::new(Verdict::Passes, format!("TLS failed: {error}")),
        sqlx::Error::Protocol(_) => {
            Failure::new(Verdict::Passes, "the server and the driver did not understand each other")
        }
        sqlx::Error::PoolTimedOut => Failure::new(Verdict::Passes, "the pool had no connection in time"),
        sqlx::Error::PoolClosed => Failure::new(Verdict::Passes, "the pool is closed"),
        sqlx::Error::WorkerCrashed => {
            Failure::new(Verdict::Passes, "the driver's thread ended in the middle of a statement")
        }
        sqlx::Error::BeginFailed => Failure::new(Verdict::Passes, "no transaction could be begun"),
        sqlx::Error::Configuration(error) => {
            Failure::new(Verdict::Bug, format!("the settings cannot be used: {error}"))
        }
        sqlx::Error::ColumnNotFound(column) => Failure::new(Verdict::Bug, format!("there is no column `{column}`")),
        sqlx::Error::ColumnDecode { index, .. } => {
            Failure::new(Verdict::Bug, format!("the column {index} cannot be read: another type, or NULL"))
        }
        sqlx::Error::RowNotFound => Failure::new(Verdict::Bug, "there is no row where one must be"),
        _ => Failure::new(Verdict::Bug, "the driver failed"),
    };
    match failure.verdict {
        Verdict::Bug => StoreError::internal(failure),
        _ => StoreError::unavailable(failure),
    }
}

fn of_the_engine(error: &dyn DatabaseError) -> Failure {
    let code = error.code().unwrap_or_default();
    let verdict = if is_stale(error, &code) { Verdict::StaleStatement } else { verdict_of(&code) };
    let mut said = match meaning(&code) {
        "" => format!("the database answered {code}"),
        meaning => format!("the database answered {code} ({meaning})"),
    };
    for (what, name) in [(", constraint ", error.constraint()), (", table ", error.table())] {
        if let Some(name) = name {
            said.push_str(what);
            said.push_str(name);
        }
    }
    // SQLite has one code for all of these. These messages name the missing table or column alone.
    let message = error.message();
    if code == "1" && ["no such table: ", "no such column: "].iter().any(|start| message.starts_with(start)) {
        said.push_str(": ");
        said.push_str(message);
    }
    Failure::new(verdict, said)
}

/// Says whether the columns of a prepared statement have changed, so that PostgreSQL refuses to run
/// it.
///
/// The message is in the language of the server. The name of the routine is not.
fn is_stale(error: &dyn DatabaseError, code: &str) -> bool {
    #[cfg(feature = "sqlx_0_9_postgres")]
    if let Some(postgres) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        let by_name = postgres.routine() == Some("RevalidateCachedQuery");
        return code == "0A000" && (by_name || postgres.message().starts_with("cached plan must not change"));
    }
    let _ = (error, code);
    false
}

/// Returns what follows from a code, as the tables of [`store_error`] say.
fn verdict_of(code: &str) -> Verdict {
    match code {
        "0A000" | "25006" | "57P01" | "57P02" | "57P03" => Verdict::NotPrimary,
        "40001" | "40P01" => Verdict::Overtaken,
        "26000" | "42P05" => Verdict::LostStatement,
        "25P03" | "58030" => Verdict::Passes,
        _ if code.len() == 5 => {
            let passes = ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class));
            if passes { Verdict::Passes } else { Verdict::Bug }
        }
        // The low byte is the kind of error. The other bytes are details.
        _ => match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5..=10 | 13 | 14) => Verdict::Passes,
            _ => Verdict::Bug,
        },
    }
}

/// Returns a code in words, for an operator who has no list of codes.
fn meaning(code: &str) -> &'static str {
    match code {
        "08P01" => {
            "protocol violation. If this is PgBouncer, set `ignore_startup_parameters = extra_float_digits` there or \
             `extra_float_digits(None)` in the pool's options"
        }
        "0A000" => "not supported: a standby, or a statement that was prepared before its table changed",
        "23502" => "a value is missing",
        "23503" | "787" => "a foreign key refuses",
        "23505" | "1555" | "2067" => "a unique value is there already",
        "23514" | "275" => "a check refuses",
        "25006" => "read-only: a standby, or set so",
        "25P03" => "a transaction waited too long",
        "26000" | "42P05" => POOLER,
        "28000" | "28P01" => "the login to the database is refused",
        "3D000" => "there is no such database",
        "40001" | "40P01" => "another transaction was faster",
        "42501" => "the role may not do this; tables are made and changed by a role that may, with `migrate()`",
        "42703" => "there is no such column",
        "42P01" => "there is no such table",
        "53100" => "the disk is full",
        "53300" => "too many connections",
        "55P03" => "a lock was not given in time",
        "57014" => "the statement was cancelled, or took too long",
        "57P01" | "57P02" | "57P03" => "the server ends or starts",
        "1811" => "a trigger refuses",
        _ => match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) if code.len() != 5 => "locked by another writer",
            Ok(8) if code.len() != 5 => "read-only",
            Ok(10) if code.len() != 5 => "the disk failed",
            Ok(11 | 26) if code.len() != 5 => "the file is damaged, or no database",
            Ok(13) if code.len() != 5 => "the disk is full",
            Ok(14) if code.len() != 5 => "the file cannot be opened",
            _ => "",
        },
    }
}

/// The advice for an operator whose pooler loses prepared statements.
pub(super) const POOLER: &str = "a pooler in transaction mode has lost a prepared statement. Use PgBouncer 1.21 or newer \
                                 with `max_prepared_statements` of 100 or more, or session mode, or connect to the \
                                 server itself; leave the driver's statement cache on";
