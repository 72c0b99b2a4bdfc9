//! [`Link`]: one connection that is replaced when it fails, and the meaning of its errors.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ::redis::{
    Client, Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{
    keys::Keys,
    options::{RedisOptions, Replicas},
    scripts::Script,
};
use crate::store::StoreError;

/// A connection whose calls have a timeout.
pub(crate) struct Link {
    client: Client,
    manager: Mutex<ConnectionManager>,
    timeout: Duration,
    /// How many replicas must have a write before it counts, and how long they may take.
    replicas: Option<Replicas>,
    /// How many calls in a row had no answer in time.
    silence: AtomicU32,
}

/// After this many calls without an answer the connection is replaced. The server may have vanished
/// without closing the connection. The operating system would then wait for a long time before it
/// reports this.
const MAX_SILENCE: u32 = 8;

impl Link {
    /// Makes a connection that opens with the first call.
    pub(super) fn new(client: Client, timeout: Duration, replicas: Option<Replicas>) -> Result<Self, StoreError> {
        let manager = Mutex::new(manager(&client, timeout).map_err(failed)?);
        Ok(Self { client, manager, timeout, replicas, silence: AtomicU32::new(0) })
    }

    /// Makes a connection for data that may be lost, and returns it with the key prefix.
    ///
    /// # Errors
    /// [`StoreError::internal`] for a URL or a key prefix that cannot be used.
    pub(crate) fn without_guarantees(options: RedisOptions) -> Result<(Self, String), StoreError> {
        options.check()?;
        Keys::new(&options.prefix)?;
        Ok((Self::new(options.client()?, options.timeout, None)?, options.prefix))
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Reads with one command.
    pub(super) async fn read(&self, command: Cmd) -> Result<Value, StoreError> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        self.read_all(&pipeline).await?.pop().ok_or_else(nothing)
    }

    /// Reads with several commands in one round trip.
    pub(super) async fn read_all(&self, commands: &Pipeline) -> Result<Vec<Value>, StoreError> {
        let answers = self.in_time(self.send(commands)).await?;
        answers.into_iter().map(|answer| answer.extract_error().map_err(failed)).collect()
    }

    /// Runs a script that writes. This takes one round trip, and a second one if the server does
    /// not have the script yet.
    pub(super) async fn write(&self, script: &Script, keys: &[&str], arguments: &[&[u8]]) -> Result<Value, StoreError> {
        self.run_script(script, (keys, arguments), self.replicas).await
    }

    /// Runs a script whose writes may be lost. It waits for no replica.
    pub(crate) async fn write_unconfirmed(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<Value, StoreError> {
        self.run_script(script, (keys, arguments), None).await
    }

    async fn run_script(
        &self,
        script: &Script,
        (keys, arguments): (&[&str], &[&[u8]]),
        replicas: Option<Replicas>,
    ) -> Result<Value, StoreError> {
        self.in_time(async {
            match self.run(script.by_name(keys, arguments), replicas).await {
                Err(Refused::Server(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.run(script.in_full(keys, arguments), replicas).await
                }
                answer => answer,
            }
        })
        .await
    }

    /// Runs one script and waits for the replicas, if any must have it.
    async fn run(&self, command: Cmd, replicas: Option<Replicas>) -> Result<Value, Refused> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(command);
        if let Some(Replicas { count, within }) = replicas {
            pipeline.cmd("WAIT").arg(count).arg(within.as_millis().max(1));
        }
        let mut answers = self.send(&pipeline).await?.into_iter();
        let answer = answers.next().ok_or(Refused::Nothing)?.extract_error();
        if answer.as_ref().is_err_and(is_not_primary) {
            // The address may belong to another primary by now. This connection still goes to the
            // old one.
            self.connect_again();
        }
        let answer = answer?;
        if let Some(Replicas { count, .. }) = replicas {
            let reached: u32 = ::redis::from_redis_value(answers.next().ok_or(Refused::Nothing)?.extract_error()?)
                .map_err(RedisError::from)?;
            if reached < count {
                return Err(Refused::TooFewReplicas);
            }
        }
        Ok(answer)
    }

    /// Sends the commands, and sends them once more if the connection had been cut. This is safe,
    /// because a script that runs again gives the same answer.
    async fn send(&self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let count = pipeline.len();
        let first = self.manager().send_packed_commands(pipeline, 0, count).await;
        match first {
            Err(error) if error.is_connection_dropped() => {
                self.manager().send_packed_commands(pipeline, 0, count).await
            }
            Err(error) => {
                // The connection manager would keep an error that is no I/O error for ever.
                if !error.is_io_error() {
                    self.connect_again();
                }
                Err(error)
            }
            answers => answers,
        }
    }

    fn manager(&self) -> ConnectionManager {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn connect_again(&self) {
        if let Ok(fresh) = manager(&self.client, self.timeout) {
            *self.manager.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    /// Runs a call on another connection. Its timeouts do not count for this connection.
    pub(super) async fn in_time_elsewhere<T, E: Into<Refused>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(|error| error.into().into_store_error()),
            Err(_) => Err(StoreError::unavailable("Redis did not answer in time")),
        }
    }

    async fn in_time<T, E: Into<Refused>>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, StoreError> {
        if let Ok(answer) = tokio::time::timeout(self.timeout, call).await {
            self.silence.store(0, Ordering::Relaxed);
            return answer.map_err(|error| error.into().into_store_error());
        }
        if self.silence.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= MAX_SILENCE {
            self.silence.store(0, Ordering::Relaxed);
            self.connect_again();
        }
        Err(StoreError::unavailable("Redis did not answer in time"))
    }
}

/// Makes a connection manager that does not retry. While the server is down, each call fails at
/// once and connects again. The manager has no response timeout, because each call has its own.
fn manager(client: &Client, timeout: Duration) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(None);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// Why a call failed.
pub(super) enum Refused {
    Server(RedisError),
    TooFewReplicas,
    Nothing,
}

impl From<RedisError> for Refused {
    fn from(error: RedisError) -> Self {
        Self::Server(error)
    }
}

impl From<::redis::ServerError> for Refused {
    fn from(error: ::redis::ServerError) -> Self {
        Self::Server(error.into())
    }
}

impl Refused {
    fn into_store_error(self) -> StoreError {
        match self {
            Self::Server(error) => failed(error),
            Self::TooFewReplicas => StoreError::unavailable("too few replicas of Redis have the write"),
            Self::Nothing => nothing(),
        }
    }
}

fn nothing() -> StoreError {
    StoreError::unavailable("Redis sent fewer answers than commands")
}

fn is_not_primary(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}

/// Converts an error of the driver, and distinguishes an outage from a bug.
pub(super) fn failed(error: impl Into<RedisError>) -> StoreError {
    let error = error.into();
    // The cause has only the kind and the code, because the text of an unreadable answer repeats
    // the answer.
    let cause = match (error.kind(), error.code()) {
        (ErrorKind::Io, _) => error.to_string(),
        (_, Some(code)) => format!("Redis answered {code}"),
        (kind, None) => format!("the driver cannot read the answer of Redis: {kind:?}"),
    };
    if passes_by_itself(&error) { StoreError::unavailable(cause) } else { StoreError::internal(cause) }
}

fn passes_by_itself(error: &RedisError) -> bool {
    match error.kind() {
        // The connection is replaced after an unreadable answer.
        ErrorKind::Io | ErrorKind::Parse => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::TryAgain
        ),
        // These codes mean that memory is full, too few replicas are connected, the disk is full,
        // or a script hangs.
        ErrorKind::Extension => {
            error.code().is_some_and(|code| matches!(code, "OOM" | "NOREPLICAS" | "MISCONF" | "BUSY"))
        }
        _ => false,
    }
}
