//! [`PostgresFeed`]: reports revocations to other nodes by `NOTIFY` and `LISTEN`.

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};
use tokio::time::{Instant, timeout};

use super::{connection::on_connection, failure::failed};
use crate::{
    clock::Timestamp,
    session::{Revocation, SessionId},
    store::{RevocationFeed, StoreError, Subscription},
};

/// The channel of all nodes. Each database has its own.
const CHANNEL: &str = "portcullis_endings";

/// The number of timeouts after which a silent listener asks whether the server still answers. A
/// connection that a router forgot is silent, too.
const TIMEOUTS_OF_SILENCE: u32 = 5;

/// The advice for an operator whose listener does not receive its own notification.
const DEAF: &str = "the feed does not receive its own notification: a pooler in transaction mode forgets its listeners. \
                    Connect the feed to the server itself, or to a pooler in session mode";

/// The number of notifications that are kept while a listener waits for its own.
const MAX_HEARD: usize = 4096;

/// Reports revocations to every node of a database at once.
/// [`PostgresStore::feed`](super::PostgresStore::feed) makes it.
///
/// Each node that listens has one connection beside its pool. The server keeps no notification for
/// a node that is not connected. The node's next poll finds what it has missed.
///
/// Two apps with their tables in two schemas of one database receive each other's notifications,
/// and their user ids may be the same. Give each app a database of its own, or use no feed.
///
/// Any role of the database may notify. A forged notification ends a session or a user's sessions
/// on the nodes that receive it. No notification makes a session live again.
///
/// A pooler in transaction mode (`PgBouncer`) forgets its listeners. A subscription notifies
/// itself, and fails where it does not receive that notification. Make the feed of a second store
/// whose pool leads to the server itself, or use no feed.
#[derive(Clone, Debug)]
pub struct PostgresFeed {
    pool: PgPool,
    timeout: Duration,
}

/// A revocation on the wire: at most 1,600 bytes. PostgreSQL accepts 8,000.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Told {
    Session { session: String, keep_until: i64 },
    User { user: String, min_version: u64, keep_until: i64 },
}

impl Told {
    fn new(ending: &Revocation) -> Self {
        match ending {
            Revocation::Session { id, keep_until } => {
                Self::Session { session: id.encode(), keep_until: keep_until.as_millis() }
            }
            Revocation::User { id, min_version, keep_until } => Self::User {
                user: id.as_str().to_owned(),
                min_version: *min_version,
                keep_until: keep_until.as_millis(),
            },
        }
    }

    fn ending(self) -> Option<Revocation> {
        Some(match self {
            Self::Session { session, keep_until } => Revocation::Session {
                id: session.parse::<SessionId>().ok()?,
                keep_until: Timestamp::from_millis(keep_until),
            },
            Self::User { user, min_version, keep_until } => {
                Revocation::User { id: user.into(), min_version, keep_until: Timestamp::from_millis(keep_until) }
            }
        })
    }
}

impl PostgresFeed {
    pub(super) fn new(pool: PgPool, timeout: Duration) -> Self {
        Self { pool, timeout }
    }

    /// Listens on a connection of its own. A connection of the app's pool would be missing there,
    /// and the pool would wait without a limit for its return from a network that swallows
    /// everything.
    ///
    /// It also listens on a channel of its own, by which it checks whether it receives anything.
    async fn listen(&self, echo: &str) -> Result<PgListener, StoreError> {
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(self.timeout);
        let own =
            options.max_lifetime(None).idle_timeout(None).connect_lazy_with((*self.pool.connect_options()).clone());
        let listening = timeout(self.timeout, async {
            let mut listener = PgListener::connect_with(&own).await?;
            listener.listen_all([CHANNEL, echo]).await?;
            Ok(listener)
        });
        listening.await.map_err(StoreError::unavailable)?.map_err(failed)
    }

    /// Notifies a listener of this node on a new connection. A connection that rests in the pool
    /// may be as dead as the listener's.
    async fn call(&self, echo: &str) -> Result<(), StoreError> {
        let mut connection = PgConnection::connect_with(&self.pool.connect_options()).await.map_err(failed)?;
        // Not prepared, so that it passes any pooler. This crate has chosen the letters of the
        // channel.
        let notify = AssertSqlSafe(format!("NOTIFY \"{echo}\""));
        sqlx::raw_sql(notify).execute(&mut connection).await.map_err(|error| match error {
            // The notification came to its sender: the pooler gave both the same backend.
            sqlx::Error::Protocol(_) => StoreError::unavailable(DEAF),
            error => failed(error),
        })?;
        connection.close().await.map_err(failed)
    }
}

#[async_trait]
impl RevocationFeed for PostgresFeed {
    async fn publish(&self, ending: &Revocation) -> Result<(), StoreError> {
        let payload = serde_json::to_string(&Told::new(ending)).map_err(StoreError::internal)?;
        on_connection!(self, |connection| {
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload.as_str());
            notify.execute(connection).await.map(drop).map_err(failed)
        })
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let echo = format!("portcullis_echo_{}", SessionId::random().map_err(StoreError::internal)?.encode());
        let listener = self.listen(&echo).await?;
        let feed = self.clone();
        let mut listening = Listening { feed, listener, echo, heard: VecDeque::new(), since: Instant::now() };
        listening.hears().await?;
        Ok(Box::new(listening))
    }
}

struct Listening {
    feed: PostgresFeed,
    listener: PgListener,
    echo: String,
    /// The notifications that came while the listener waited for its own.
    heard: VecDeque<PgNotification>,
    since: Instant,
}

impl Listening {
    /// Listens anew after a failure. Returns a failure that follows at once after the last one to
    /// the node, which waits before it subscribes again.
    async fn again(&mut self, error: StoreError) -> Result<(), StoreError> {
        if self.since.elapsed() < self.feed.timeout {
            return Err(error);
        }
        self.listener = self.feed.listen(&self.echo).await?;
        self.since = Instant::now();
        self.hears().await
    }

    async fn is_heard(&mut self) -> Result<(), StoreError> {
        let asked = timeout(self.feed.timeout, sqlx::query("SELECT 1").execute(&mut self.listener)).await;
        asked.map_err(StoreError::unavailable)?.map(drop).map_err(failed)
    }

    /// Waits until it has received its own notification. Another question would not do: a pooler
    /// that has forgotten its listeners answers every question.
    async fn hears(&mut self) -> Result<(), StoreError> {
        let echo = async {
            self.feed.call(&self.echo).await?;
            loop {
                match self.listener.try_recv().await.map_err(failed)? {
                    Some(notification) if notification.channel() == self.echo => return Ok(()),
                    Some(notification) if self.heard.len() < MAX_HEARD => self.heard.push_back(notification),
                    // The next poll finds it.
                    Some(_) => {}
                    None => return Err(StoreError::unavailable("the connection that listens was lost")),
                }
            }
        };
        let heard = timeout(self.feed.timeout, echo).await;
        heard.unwrap_or_else(|_| Err(StoreError::unavailable(DEAF)))
    }
}

#[async_trait]
impl Subscription for Listening {
    async fn next(&mut self) -> Result<Revocation, StoreError> {
        loop {
            let silence = self.feed.timeout * TIMEOUTS_OF_SILENCE;
            let next = match self.heard.pop_front() {
                Some(notification) => Ok(Ok(Some(notification))),
                None => timeout(silence, self.listener.try_recv()).await,
            };
            match next {
                // Its own notification, which came too late.
                Ok(Ok(Some(notification))) if notification.channel() == self.echo => {}
                Ok(Ok(Some(notification))) => {
                    let told = serde_json::from_str::<Told>(notification.payload()).ok().and_then(Told::ending);
                    let Some(ending) = told else {
                        tracing::warn!(target: "portcullis", "a notification cannot be read: the next poll finds what it said");
                        continue;
                    };
                    return Ok(ending);
                }
                // The connection was lost, and the driver has connected again.
                Ok(Ok(None)) => {}
                Ok(Err(error)) => self.again(failed(error)).await?,
                Err(_) => {
                    if let Err(error) = self.is_heard().await {
                        self.again(error).await?;
                    }
                }
            }
        }
    }
}
