//! [`RedisThrottle`]: calls the script, and counts in memory in an outage where that is wanted.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{keys::Keys, rules};
use crate::{
    clock::Timestamp,
    store::{
        StoreError,
        redis::{Link, RedisOptions, RedisSessions, Script},
    },
    throttle::{
        attempt::{Action, Attempt},
        memory::MemoryThrottle,
        throttle::{Admission, Outcome, Throttle},
    },
};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(&(rules::lua() + include_str!("throttle.lua"))));

/// Counts in Redis, for all nodes together. [The module](crate::throttle) says what it counts and
/// how long the delays are: they are those of [`MemoryThrottle`].
///
/// Each call is one script and one round trip. A login takes three calls, and two
/// from a device that has logged in before. Clones share the connection.
///
/// # What Redis holds
/// - Hashes of logins, user ids and addresses, and no text of them. The hashes have no secret: who
///   reads Redis can test whether an address that they know was tried.
/// - Some ten keys for each login that is tried, of about 150 bytes each. Each expires when it says
///   nothing any more: after an hour to a day, and after 30 days for the fact that a login was good
///   at an address. Each guess costs a password hash, which bounds how many keys an attacker can
///   make.
/// - All keys begin with `{PREFIX:throttle}:`, where `PREFIX` is the key prefix of the sessions. A
///   user of Redis with an access list needs `~{PREFIX:throttle}:*`. All keys are in one slot of a
///   cluster, because one script needs them.
///
/// A server of its own with `maxmemory-policy volatile-lru` and without persistence is best. Counts
/// that are lost give a guesser the free attempts again. The server of the sessions does as well,
/// but each refused login is a call of it: one core of Redis answers some 7,000 such calls a
/// second, for all nodes together.
///
/// # Outages
/// Without [`with_memory_fallback`](Self::with_memory_fallback), a login during an outage of this
/// server is answered 503. A flood of logins can make this server slow enough to be an outage, and
/// with the fallback a guesser then has the budgets of each node.
///
/// # Examples
/// ```no_run
/// use portcullis::{AuthBuilder, User, store::{memory::MemoryStore, redis::RedisSessions}, throttle::RedisThrottle};
///
/// # async fn run(users: MemoryStore) -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = RedisSessions::connect("redis://127.0.0.1/").await?;
/// let throttle = RedisThrottle::new(&sessions).with_memory_fallback();
/// let auth = AuthBuilder::from_env(users, sessions).throttle(throttle).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisThrottle {
    link: Arc<Link>,
    prefix: Arc<str>,
    fallback: Option<Arc<MemoryThrottle>>,
    /// The last call was counted in memory.
    is_in_memory: Arc<AtomicBool>,
}

impl RedisThrottle {
    /// Makes a throttle over the connection of a store of sessions. It waits for no replica,
    /// whatever the store does, because counts may be lost.
    pub fn new(sessions: &RedisSessions) -> Self {
        Self::over(sessions.link(), sessions.key_prefix())
    }

    /// Makes a throttle over a connection of its own, which opens with the first call.
    ///
    /// The options of persistence and of replicas say nothing here, because counts may be lost.
    ///
    /// # Errors
    /// [`StoreError::internal`] for a URL or a key prefix that cannot be used.
    pub fn connect(options: impl Into<RedisOptions>) -> Result<Self, StoreError> {
        let (link, prefix) = Link::without_guarantees(options.into())?;
        Ok(Self::over(Arc::new(link), &prefix))
    }

    fn over(link: Arc<Link>, prefix: &str) -> Self {
        Self { link, prefix: format!("{{{prefix}:throttle}}:1:").into(), fallback: None, is_in_memory: Arc::default() }
    }

    /// Counts in the memory of this process while Redis cannot be reached. Default: attempts fail
    /// with 503.
    ///
    /// With it, users log in during an outage, and a guesser has as many budgets as there are
    /// nodes.
    #[must_use]
    pub fn with_memory_fallback(mut self) -> Self {
        self.fallback = Some(Arc::new(MemoryThrottle::new()));
        self
    }

    async fn call(&self, keys: &Keys, operation: &str, outcome: &str, now: Timestamp) -> Result<i64, StoreError> {
        let now = now.as_millis().to_string();
        let arguments = [operation, outcome, &now].map(str::as_bytes);
        let answer = self.link.write_unconfirmed(&SCRIPT, &keys.names(), &arguments).await?;
        let text: String = ::redis::from_redis_value(answer).map_err(StoreError::internal)?;
        if self.is_in_memory.load(Ordering::Relaxed) && self.is_in_memory.swap(false, Ordering::Relaxed) {
            tracing::info!(target: "portcullis", "Redis counts attempts again");
        }
        text.parse().map_err(StoreError::internal)
    }

    async fn admit_in_redis(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admission, StoreError> {
        let prefix = &self.prefix;
        let left = match attempt.action {
            Action::Login => self.call(&Keys::of_login(prefix, attempt), "admit_login", "", now).await?,
            Action::Register if attempt.source.address.is_none() => return Ok(Admission::Admitted),
            Action::Register => self.call(&Keys::of_registration(prefix, attempt), "admit_register", "", now).await?,
            Action::ChangePassword => self.call(&Keys::of_change(prefix, attempt), "admit_change", "", now).await?,
        };
        Ok(u64::try_from(left).map_or(Admission::Admitted, |left| Admission::Delayed(Duration::from_millis(left))))
    }

    async fn settle_in_redis(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
        let prefix = &self.prefix;
        let ended = match outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Undecided => "undecided",
        };
        match attempt.action {
            Action::Login => self.call(&Keys::of_login(prefix, attempt), "settle_login", ended, now).await?,
            // A registration counts whatever its end.
            Action::Register if attempt.source.address.is_none() || outcome != Outcome::Undecided => return Ok(()),
            Action::Register => {
                self.call(&Keys::of_registration(prefix, attempt), "settle_register", ended, now).await?
            }
            Action::ChangePassword => self.call(&Keys::of_change(prefix, attempt), "settle_change", ended, now).await?,
        };
        Ok(())
    }

    /// Returns the throttle in memory where it has to decide.
    fn fallback(&self, error: &StoreError) -> Option<&MemoryThrottle> {
        let fallback = self.fallback.as_deref().filter(|_| error.is_unavailable())?;
        // Once for an outage, because attackers would fill the log.
        if !self.is_in_memory.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "portcullis", ?error, "Redis cannot count attempts: this node counts in its memory");
        }
        Some(fallback)
    }
}

impl fmt::Debug for RedisThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisThrottle")
            .field("prefix", &self.prefix)
            .field("fallback", &self.fallback)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Throttle for RedisThrottle {
    async fn admit(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Admission, StoreError> {
        match self.admit_in_redis(attempt, now).await {
            Err(error) => match self.fallback(&error) {
                Some(memory) => memory.admit(attempt, now).await,
                None => Err(error),
            },
            admission => admission,
        }
    }

    async fn settle(&self, attempt: &Attempt<'_>, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
        match self.settle_in_redis(attempt, outcome, now).await {
            Err(error) => match self.fallback(&error) {
                Some(memory) => memory.settle(attempt, outcome, now).await,
                None => Err(error),
            },
            settled => settled,
        }
    }
}
