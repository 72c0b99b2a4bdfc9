//! Endings told by pub/sub.

use std::{fmt, sync::Arc, time::Duration};

use ::redis::aio::{PubSubSink, PubSubStream};
use async_trait::async_trait;
use futures_util::StreamExt;

use super::{codec, connection::Link, keys::Keys};
use crate::{
    session::Revocation,
    store::{RevocationFeed, StoreError, Subscription},
};

/// A [`RevocationFeed`] by pub/sub; see [`RedisSessions::feed`](super::RedisSessions::feed).
///
/// Redis promises no delivery: whoever was not connected hears nothing of it, and the next poll brings it. A subscription
/// whose connection is cut ends, and the node polls and subscribes anew. Whoever may publish on its channel
/// (`PREFIX:endings:DATABASE`) can end access tokens, so it needs the same protection as the keys.
#[derive(Clone)]
pub struct RedisFeed {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
}

/// How long a subscription may be silent before it is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(15);

impl RedisFeed {
    fn channel(&self) -> String {
        self.keys.channel(self.link.client().get_connection_info().redis_settings().db())
    }
}

#[async_trait]
impl RevocationFeed for RedisFeed {
    async fn publish(&self, ending: &Revocation) -> Result<(), StoreError> {
        let mut publish = ::redis::cmd("PUBLISH");
        publish.arg(self.channel()).arg(codec::ending(ending));
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
                Ok(Some(message)) => match codec::read_ending(message.get_payload_bytes()) {
                    Ok(ending) => return Ok(ending),
                    // Whoever sent it cannot silence the rest.
                    Err(error) => {
                        tracing::warn!(target: "portcullis", ?error, "a message of the feed is not one of ours");
                    }
                },
                Ok(None) => return Err(StoreError::unavailable("the subscription to Redis ended")),
                // A connection whose other end has vanished is silent for ever.
                Err(_) => {
                    self.link.in_time_elsewhere(self.questions.ping::<::redis::Value>()).await?;
                }
            }
        }
    }
}
