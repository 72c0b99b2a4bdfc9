//! [`RedisOptions`]: the address of Redis, and what the server must promise.

use std::{fmt, time::Duration};

use ::redis::Client;

use crate::{secret::Secret, store::StoreError};

/// The address of Redis, and what the server must promise. It is made from a URL or from a
/// [`Client`].
///
/// # Defaults
/// | setting | default |
/// |---|---|
/// | [`key_prefix`](Self::key_prefix) | `portcullis` |
/// | [`timeout`](Self::timeout) | 2 s |
/// | [`persistence`](Self::persistence) | [`Persistence::AppendOnly`] |
/// | [`min_replicas`](Self::min_replicas) | 0 |
/// | [`wait_for_replicas`](Self::wait_for_replicas) | off |
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use portcullis::store::redis::{Persistence, RedisOptions};
/// let options = RedisOptions::from("redis://:secret@127.0.0.1:6379/")
///     .key_prefix("app")
///     .timeout(Duration::from_secs(1))
///     .persistence(Persistence::Snapshots)
///     .min_replicas(1)
///     .wait_for_replicas(1, Duration::from_millis(200));
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct RedisOptions {
    address: Address,
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    pub(super) persistence: Persistence,
    pub(super) min_replicas: u32,
    pub(super) wait: Option<Replicas>,
}

#[derive(Clone)]
enum Address {
    Url(Secret<String>),
    Client(Box<Client>),
}

/// How many replicas must have a write, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) count: u32,
    pub(super) within: Duration,
}

/// What must survive a restart of the server.
///
/// # Examples
/// ```
/// use portcullis::store::redis::{Persistence, RedisOptions};
///
/// let options = RedisOptions::from("redis://127.0.0.1/").persistence(Persistence::Snapshots);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Persistence {
    /// Every write survives, because the append-only file is on. The setting `appendfsync` decides
    /// what a crash of the machine loses.
    #[default]
    AppendOnly,
    /// The last snapshot survives. After a crash, refresh tokens that were issued since the
    /// snapshot are refused. Sessions that ended since the snapshot are live again.
    Snapshots,
    /// Nothing survives. A restart logs all users out, and loses all revocations. This is for
    /// tests.
    Nothing,
}

impl RedisOptions {
    /// Below half of the refresh grace, because a node calls twice.
    const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

    fn new(address: Address) -> Self {
        Self {
            address,
            prefix: "portcullis".to_owned(),
            timeout: Self::DEFAULT_TIMEOUT,
            persistence: Persistence::default(),
            min_replicas: 0,
            wait: None,
        }
    }

    /// Sets what the names of all keys begin with. Default: `portcullis`. A prefix with braces is
    /// refused.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a call may take. Default: 2 s. Keep twice this time below the refresh grace
    /// (default: 10 s), so that a client that was answered 503 can repeat its refresh within the
    /// grace.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets what the server must keep over a restart. Default: [`Persistence::AppendOnly`].
    #[must_use]
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// Requires that the server's `min-replicas-to-write` is at least this number. Default: 0. A
    /// primary that has lost its replicas then accepts no writes that a failover would lose.
    #[must_use]
    pub fn min_replicas(mut self, replicas: u32) -> Self {
        self.min_replicas = replicas;
        self
    }

    /// Waits until this many replicas have a write (`WAIT`, in the same round trip). Fewer replicas
    /// within this time are an outage, and the caller asks again. Other calls of the node wait
    /// behind it. Default: does not wait.
    #[must_use]
    pub fn wait_for_replicas(mut self, replicas: u32, within: Duration) -> Self {
        self.wait = Some(Replicas { count: replicas, within });
        self
    }

    pub(super) fn client(&self) -> Result<Client, StoreError> {
        match &self.address {
            // The URL may contain a password, and an error of the driver may repeat the URL.
            Address::Url(url) => Client::open(url.expose().as_str()).map_err(|_| {
                StoreError::internal("the URL of Redis is not valid, write redis://[user:password@]host[:port][/db]")
            }),
            Address::Client(client) => Ok((**client).clone()),
        }
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.wait {
            Some(wait) if wait.within >= self.timeout => {
                Err(StoreError::internal("the time to wait for replicas must be below the timeout of a call"))
            }
            _ => Ok(()),
        }
    }
}

impl From<&str> for RedisOptions {
    fn from(url: &str) -> Self {
        Self::new(Address::Url(url.into()))
    }
}

impl From<String> for RedisOptions {
    fn from(url: String) -> Self {
        Self::new(Address::Url(url.into()))
    }
}

/// Uses a client with certificates, a socket or credentials of your own.
impl From<Client> for RedisOptions {
    fn from(client: Client) -> Self {
        Self::new(Address::Client(Box::new(client)))
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("persistence", &self.persistence)
            .field("min_replicas", &self.min_replicas)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
