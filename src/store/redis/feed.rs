//! [`RedisFeed`]: a revocation feed by publish and subscribe.

use std::{fmt, sync::Arc, time::Duration};

use ::redis::aio::{PubSubSink, PubSubStream};
use async_trait::async_trait;
use futures_util::StreamExt;

use super::{codec, connection::Link, keys::Keys};
use crate::{
    session::Revocation,
    store::{RevocationFeed, StoreError, Subscription},
};

/// A [`RevocationFeed`] by publish and subscribe. See
/// [`RedisSessions::feed`](super::RedisSessions::feed).
///
/// Redis does not promise delivery. A node that was not connected misses a message, and reads it at
/// its next poll. If the connection is cut, the subscription ends, and the node polls and
/// subscribes again.
///
/// A client that can publish to the channel (`PREFIX:endings:DATABASE`) can end sessions on every
/// node. Protect the channel like the keys.
#[derive(Clone)]
pub struct RedisFeed {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
}

/// How long a subscription may be silent before a ping checks its connection.
const SILENCE: Duration = Duration::from_secs(15);

impl RedisFeed {
    fn channel(&self) -> String {
        self.keys.channel(self.link.client().get_connection_info().redis_settings().db())
    }
}

#[async_trait]
impl RevocationFeed for RedisFeed {
    async fn publish(&self, revocation: &Revocation) -> Result<(), StoreError> {
        let mut publish = ::redis::cmd("PUBLISH");
        publish.arg(self.channel()).arg(codec::write_revocation(revocation));
        self.link.read(publish).await.map(drop)
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let subscribed = self.link.in_time_elsewhere(async {
            let mut listener = self.link.client().get_async_pubsub().await?;
            listener.subscribe(self.channel()).await?;
            Ok::<_, ::redis::RedisError>(listener.split())
        });
        let (questions, messages) = subscribed.await?;
        Ok(Box::new(Listener { link: Arc::clone(&self.link), questions, messages }))
    }
}

impl fmt::Debug for RedisFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFeed").field("channel", &self.channel()).finish_non_exhaustive()
    }
}

struct Listener {
    link: Arc<Link>,
    questions: PubSubSink,
    messages: PubSubStream,
}

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> Result<Revocation, StoreError> {
        loop {
            match tokio::time::timeout(SILENCE, self.messages.next()).await {
                Ok(Some(message)) => match codec::read_revocation(message.get_payload_bytes()) {
                    Ok(revocation) => return Ok(revocation),
                    // A wrong message must not end the subscription, or a client that sends one
                    // could silence the feed.
                    Err(error) => {
                        tracing::warn!(target: "portcullis", ?error, "a message of the feed is not one of ours");
                    }
                },
                Ok(None) => return Err(StoreError::unavailable("the subscription to Redis ended")),
                // A connection whose server has vanished stays silent for ever.
                Err(_) => {
                    self.link.in_time_elsewhere(self.questions.ping::<::redis::Value>()).await?;
                }
            }
        }
    }
}
