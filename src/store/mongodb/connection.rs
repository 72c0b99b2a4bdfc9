//! [`Handle`]: a collection whose settings an application's URI cannot weaken, and the meaning of its errors.

use std::{fmt, future::IntoFuture, time::Duration};

use mongodb::{
    Collection, Database,
    bson::Document,
    error::{Error, ErrorKind, Result as Answer, WriteFailure},
    options::{CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
};

use crate::store::StoreError;

/// How long a call may take. It is below the refresh grace (10 s), so that a client that was
/// answered 503 can repeat its refresh within the grace.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one step of a migration may take. A step reads or indexes a whole collection.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(600);

/// The error code of a unique index that refuses a write.
pub(super) const DUPLICATE_KEY: i32 = 11_000;

/// A collection that reads from the primary what a majority has, and waits for a majority when it
/// writes.
#[derive(Clone)]
pub(super) struct Handle {
    collection: Collection<Document>,
    timeout: Duration,
}

impl Handle {
    pub(super) fn new(database: &Database, name: &str) -> Self {
        Self { collection: pinned(database, name, CALL_TIMEOUT), timeout: CALL_TIMEOUT }
    }

    pub(super) fn with_timeout(&self, database: &Database, timeout: Duration) -> Self {
        Self { collection: pinned(database, self.collection.name(), timeout), timeout }
    }

    pub(super) fn collection(&self) -> &Collection<Document> {
        &self.collection
    }

    /// Returns how long the server may work on a call before it stops.
    pub(super) fn time_limit(&self) -> Duration {
        self.timeout
    }

    pub(super) async fn run<T>(
        &self,
        action: impl IntoFuture<Output = Answer<T>, IntoFuture: Send> + Send,
    ) -> Result<T, StoreError> {
        within(self.timeout, action).await?.map_err(|error| failed(&error))
    }

    /// Runs a call of a migration, with a longer timeout than [`run`](Self::run).
    pub(super) async fn migrate<T>(
        &self,
        action: impl IntoFuture<Output = Answer<T>, IntoFuture: Send> + Send,
    ) -> Result<T, StoreError> {
        within(MIGRATION_TIMEOUT, action).await?.map_err(|error| failed(&error))
    }

    /// Runs a call like [`run`](Self::run). If a unique index refuses the write, returns its field.
    pub(super) async fn run_unique<T>(
        &self,
        action: impl IntoFuture<Output = Answer<T>, IntoFuture: Send> + Send,
        limit: Limit,
    ) -> Result<Result<T, Taken>, StoreError> {
        let limit = match limit {
            Limit::Call => self.timeout,
            Limit::Migration => MIGRATION_TIMEOUT,
        };
        match within(limit, action).await? {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => taken(&error).map(Err).ok_or_else(|| failed(&error)),
        }
    }
}

/// The timeout of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    Call,
    Migration,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The driver's own `Debug` prints the client and its options.
        f.debug_struct("Handle").field("collection", &self.collection.namespace().to_string()).finish_non_exhaustive()
    }
}

fn pinned(database: &Database, name: &str, timeout: Duration) -> Collection<Document> {
    let mut concern = WriteConcern::majority();
    concern.w_timeout = Some(timeout);
    concern.journal = Some(true);
    let options = CollectionOptions::builder()
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .read_concern(ReadConcern::majority())
        .write_concern(concern)
        .build();
    database.collection_with_options(name, options)
}

async fn within<T>(
    limit: Duration,
    action: impl IntoFuture<Output = Answer<T>, IntoFuture: Send> + Send,
) -> Result<Answer<T>, StoreError> {
    let answer = tokio::time::timeout(limit, action.into_future()).await;
    answer.map_err(|_| StoreError::unavailable("MongoDB did not answer in time"))
}

/// The field of a unique index that refused a write.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) field: String,
}

/// Reads the field from `E11000 duplicate key error … dup key: { FIELD: VALUE }`. The first brace
/// comes from the server. What a client sent comes only after the field's name.
fn taken(error: &Error) -> Option<Taken> {
    let message = match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == DUPLICATE_KEY => &error.message,
        ErrorKind::Command(error) if error.code == DUPLICATE_KEY => &error.message,
        _ => return None,
    };
    let field = message.split_once("dup key: { ").and_then(|(_, key)| key.split_once(':')).map(|(field, _)| field);
    Some(Taken { field: field.unwrap_or_default().trim_matches('"').to_owned() })
}

/// Converts an error of the driver, and distinguishes an outage from a bug.
///
/// Of the server's answer it keeps only the code and its name, because the message may repeat
/// values of a document.
pub(super) fn failed(error: &Error) -> StoreError {
    let said = |code: i32, name: Option<&str>| {
        let cause = format!("MongoDB answered {code} {}", name.unwrap_or_default());
        if passes_by_itself(code) || is_transient(error) {
            StoreError::unavailable(cause)
        } else {
            StoreError::internal(cause)
        }
    };
    match &*error.kind {
        ErrorKind::Command(error) => said(error.code, Some(&error.code_name)),
        ErrorKind::Write(WriteFailure::WriteError(error)) => said(error.code, error.code_name.as_deref()),
        // This node has the write, but perhaps not a majority. A caller that asks again gets the
        // outcome.
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            StoreError::unavailable(format!("MongoDB did not confirm a write: {} {}", error.code, error.code_name))
        }
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Transaction { .. }
        | ErrorKind::Shutdown => StoreError::unavailable(error.kind.to_string()),
        ErrorKind::InvalidArgument { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::IncompatibleServer { .. } => StoreError::internal(error.kind.to_string()),
        _ if is_transient(error) => StoreError::unavailable("MongoDB did not answer as it should"),
        _ => StoreError::internal("MongoDB did not answer as it should"),
    }
}

fn is_transient(error: &Error) -> bool {
    ["RetryableWriteError", "TransientTransactionError", "SystemOverloadedError"]
        .iter()
        .any(|label| error.contains_label(label))
}

/// Lists the server's codes for a failover, a shutdown, an overload and a full disk.
fn passes_by_itself(code: i32) -> bool {
    matches!(
        code,
        6 | 7
            | 24
            | 43
            | 46
            | 50
            | 63
            | 64
            | 89
            | 91
            | 100
            | 112
            | 125
            | 133
            | 134
            | 136
            | 150
            | 175
            | 189
            | 202
            | 234
            | 237
            | 262
            | 290
            | 292
            | 317
            | 365
            | 9001
            | 10058
            | 10107
            | 11600
            | 11602
            | 13388
            | 13435
            | 13436
            | 14031
    )
}
