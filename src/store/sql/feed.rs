//! PostgreSQL tells the other nodes: `NOTIFY` and `LISTEN`.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::time::{Instant, timeout};

use super::{connection::on_connection, failed};
use crate::{
    clock::Timestamp,
    session::{Ending, SessionId},
    store::{RevocationFeed, StoreError, Subscription},
};

/// The channel, of which each database has its own.
const CHANNEL: &str = "portcullis_endings";

/// A listener that has heard nothing for so many timeouts asks whether the server is still there: a connection that a
/// router forgot says nothing either.
const TIMEOUTS_OF_SILENCE: u32 = 5;

/// Tells every node of a database at once what one of them has ended; made by
/// [`PostgresStore::feed`](super::PostgresStore::feed).
///
/// Each node that listens has one connection beside its pool. The server keeps no notification for who is not connected:
/// what a node misses while it connects anew is brought by its next poll.
///
/// Two apps with their tables in two schemas of one database hear each other, and their user ids may be the same: give each a
/// database of its own, or go without a feed.
///
/// Any role of the database may notify. A forged notification ends a session or a user's sessions on the nodes that hear
/// it; none brings one back.
///
/// A pooler in transaction mode (`PgBouncer`) forgets who listens: connect to the server itself, or go without a feed.
#[derive(Clone, Debug)]
pub struct PostgresFeed {
    pool: PgPool,
    timeout: Duration,
}

/// An ending on the wire: at most 1,600 bytes where PostgreSQL takes 8,000.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Told {
    Session { session: String, keep_until: i64 },
    User { user: String, min_version: u64, keep_until: i64 },
}

impl Told {
    fn new(ending: &Ending) -> Self {
        match ending {
            Ending::Session { id, keep_until } => {
                Self::Session { session: id.encode(), keep_until: keep_until.as_millis() }
            }
            Ending::User { id, min_version, keep_until } => Self::User {
                user: id.as_str().to_owned(),
                min_version: *min_version,
                keep_until: keep_until.as_millis(),
            },
        }
    }

    fn ending(self) -> Option<Ending> {
        Some(match self {
            Self::Session { session, keep_until } => Ending::Session {
                id: session.parse::<SessionId>().ok()?,
                keep_until: Timestamp::from_millis(keep_until),
            },
            Self::User { user, min_version, keep_until } => {
                Ending::User { id: user.into(), min_version, keep_until: Timestamp::from_millis(keep_until) }
            }
        })
    }
}

impl PostgresFeed {
    pub(super) fn new(pool: PgPool, timeout: Duration) -> Self {
        Self { pool, timeout }
    }

    /// Listens on a connection of its own: one of the app's pool would be missing there, and a pool waits without a limit
    /// for a listener that it gets back from a network that swallows everything.
    async fn listen(&self) -> Result<PgListener, StoreError> {
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(self.timeout);
        let own =
            options.max_lifetime(None).idle_timeout(None).connect_lazy_with((*self.pool.connect_options()).clone());
        let listening = timeout(self.timeout, async {
            let mut listener = PgListener::connect_with(&own).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        });
        listening.await.map_err(StoreError::unavailable)?.map_err(failed)
    }
}

#[async_trait]
impl RevocationFeed for PostgresFeed {
    async fn publish(&self, ending: &Ending) -> Result<(), StoreError> {
        let payload = serde_json::to_string(&Told::new(ending)).map_err(StoreError::internal)?;
        on_connection!(self, |connection| {
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload);
            notify.execute(connection).await.map(drop).map_err(failed)
        })
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let listener = self.listen().await?;
        Ok(Box::new(Listening { feed: self.clone(), listener, since: Instant::now() }))
    }
}

struct Listening {
    feed: PostgresFeed,
    listener: PgListener,
    since: Instant,
}

impl Listening {
    /// Listens anew after a failure; one that comes at once after the last is left to the node, which waits.
    async fn again(&mut self, error: StoreError) -> Result<(), StoreError> {
        if self.since.elapsed() < self.feed.timeout {
            return Err(error);
        }
        self.listener = self.feed.listen().await?;
        self.since = Instant::now();
        Ok(())
    }

    async fn is_heard(&mut self) -> Result<(), StoreError> {
        let asked = timeout(self.feed.timeout, sqlx::query("SELECT 1").execute(&mut self.listener)).await;
        asked.map_err(StoreError::unavailable)?.map(drop).map_err(failed)
    }
}

#[async_trait]
impl Subscription for Listening {
    async fn next(&mut self) -> Result<Ending, StoreError> {
        loop {
            let silence = self.feed.timeout * TIMEOUTS_OF_SILENCE;
            match timeout(silence, self.listener.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    let told = serde_json::from_str::<Told>(notification.payload()).ok().and_then(Told::ending);
                    let Some(ending) = told else {
                        tracing::warn!(target: "portcullis", "a notification cannot be read: the next poll brings what it said");
                        continue;
                    };
                    return Ok(ending);
                }
                // The connection was lost and made anew.
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
