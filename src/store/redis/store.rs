//! [`RedisSessions`]: how it connects.

use std::{fmt, sync::Arc};

use super::{check, connection::Link, feed::RedisFeed, keys::Keys, options::RedisOptions};
use crate::store::{SharedClock, StoreError};

/// Sessions in Redis; clones share the connection.
#[derive(Clone)]
pub struct RedisSessions {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    options: Arc<RedisOptions>,
    pub(super) clocks: SharedClock,
}

impl RedisSessions {
    /// Connects to the server of a URL, a client or [`RedisOptions`], and [checks](Self::check) its settings.
    ///
    /// # Errors
    /// As of [`check`](Self::check), and [`StoreError::internal`] for a URL or a key prefix that cannot be used.
    pub async fn connect(options: impl Into<RedisOptions>) -> Result<Self, StoreError> {
        let options = options.into();
        options.check()?;
        let keys = Keys::new(&options.prefix)?;
        let link = Link::new(options.client()?, options.timeout, options.wait)?;
        let sessions = Self { link: Arc::new(link), keys, options: Arc::new(options), clocks: SharedClock::default() };
        sessions.check().await?;
        Ok(sessions)
    }

    /// Asks whether the server is set as the [module](super) says.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where it cannot be reached, and [`StoreError::internal`] with the setting that must be
    /// changed as its source.
    pub async fn check(&self) -> Result<(), StoreError> {
        check::check(&self.link, &self.options).await
    }

    /// Tells other nodes at once what one of them has ended, for [`AuthBuilder::revocation_feed`](crate::AuthBuilder::revocation_feed).
    pub fn feed(&self) -> RedisFeed {
        RedisFeed { link: Arc::clone(&self.link), keys: self.keys.clone() }
    }
}

impl fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessions").field("options", &self.options).finish_non_exhaustive()
    }
}
