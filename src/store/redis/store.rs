//! [`RedisSessions`]: the store and its connection.

use std::{fmt, sync::Arc};

use super::{check, connection::Link, feed::RedisFeed, keys::Keys, options::RedisOptions};
use crate::store::{SharedClock, StoreError};

/// Stores sessions in Redis. Clones share the connection. See the [module](super) for an example.
#[derive(Clone)]
pub struct RedisSessions {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    options: Arc<RedisOptions>,
    pub(super) clocks: SharedClock,
}

impl RedisSessions {
    /// Connects to the server of a URL, a client or [`RedisOptions`]. [Checks](Self::check) the
    /// server's settings.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the server cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for a URL or a key prefix that cannot be used, and for a setting
    ///   of the server that must be changed.
    pub async fn connect(options: impl Into<RedisOptions>) -> Result<Self, StoreError> {
        let options = options.into();
        options.check()?;
        let keys = Keys::new(&options.prefix)?;
        let link = Link::new(options.client()?, options.timeout, options.wait)?;
        let sessions = Self { link: Arc::new(link), keys, options: Arc::new(options), clocks: SharedClock::default() };
        sessions.check().await?;
        Ok(sessions)
    }

    /// Checks that the server has the settings that the [module](super) lists.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the server cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for a setting that must be changed. Its source names the setting.
    pub async fn check(&self) -> Result<(), StoreError> {
        check::check(&self.link, &self.options).await
    }

    /// Returns a feed that reports revocations to the other nodes at once. Pass it to
    /// [`AuthBuilder::revocation_feed`](crate::AuthBuilder::revocation_feed).
    pub fn feed(&self) -> RedisFeed {
        RedisFeed { link: Arc::clone(&self.link), keys: self.keys.clone() }
    }
}

impl fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessions").field("options", &self.options).finish_non_exhaustive()
    }
}
