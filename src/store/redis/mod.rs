//! Sessions in Redis 7.0 or newer, by `redis` 1 (feature `redis_1`). Valkey works as well.
//!
//! # Examples
//! ```no_run
//! use portcullis::store::{memory::MemoryUsers, redis::RedisSessions};
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! # let users = MemoryUsers::default();
//! let sessions = RedisSessions::connect("redis://127.0.0.1/").await?;
//! let auth = portcullis::AuthBuilder::from_env(users, sessions.clone()).revocation_feed(sessions.feed()).build()?;
//! # Ok(()) }
//! ```
//!
//! This module stores no users. It works with any [`UserStore`](super::UserStore).
//!
//! # How it is atomic
//! The sessions of a user are one hash. Recent revocations are one sorted set for each of 64
//! buckets of users. The keys of a user and of their bucket have the same hash tag,
//! `{PREFIX:BUCKET}`, so that one script may change both, in a cluster too. A session therefore
//! never ends without its revocation being stored. Every method is one script or one command, and
//! takes one round trip. After a restart or a `SCRIPT FLUSH`, each script is sent once more. A node
//! reads the revocations of all buckets in one round trip.
//!
//! There is one exception. A login that replaces a session of **another user** ends that session in
//! a second step.
//!
//! A store uses one connection to one address. A cluster needs an address that stands for the whole
//! cluster, such as a proxy.
//!
//! # Expiry
//! The store uses the clock of the server (`TIME`), as far as a node knows it. Of the ended
//! sessions of a user, it keeps the last 16 as records. Of the older ones it keeps what other nodes
//! have to know, until their access tokens have expired. The server deletes the hash of a user one
//! minute after their last record is needed. It deletes ended records of a user whenever one of
//! their sessions begins or ends. The server's clock need not agree with the clocks of the nodes.
//!
//! # Settings of the server
//! [`RedisSessions::connect`] checks these settings, and refuses a server that would lose sessions:
//!
//! | setting | reason |
//! |---|---|
//! | `maxmemory-policy noeviction` | a full server must refuse logins (503), not delete sessions or revocations |
//! | `appendonly yes` | see [`Persistence`] for weaker settings |
//! | version 7.0 or newer | in older versions, refused scripts have no code that distinguishes an outage from a bug, and `min-replicas-to-write` does not apply to them |
//! | `min-replicas-to-write 1`, `min-replicas-max-lag 10` | with [`RedisOptions::min_replicas`]: a primary without its replicas accepts no writes that a failover would lose |
//!
//! With `appendfsync everysec`, the default, a crash of the machine loses the last second. A crash
//! of the process loses nothing. With `appendfsync always` neither loses anything, and each login
//! and refresh costs a disk write.
//!
//! # What a failover can still lose
//! A call to a primary that became a replica is answered 503, and the next call connects again.
//! Replication is asynchronous. A write that was answered but not yet replicated is lost when a
//! replica is promoted. [`RedisOptions::wait_for_replicas`] makes this less likely, but does not
//! exclude it, because a replica without the write may be promoted.
//!
//! The loss has these effects:
//! - A lost rotation: the client's new token is refused as foreign (401, with an error in the log),
//!   and the user logs in again.
//! - A lost login: the user logs in again.
//! - A lost end of a session: its refresh token works again until it expires. Access tokens stay
//!   revoked on the nodes that received the revocation. A raised token version is in the user store
//!   and is not lost, so a logout everywhere and a password change stay in effect.
//!
//! # What clients see of an outage
//! | fault | what clients see |
//! |---|---|
//! | server stopped, hanging, or out of reach; writes paused | 503 for every request that needs the store, at the latest after the timeout; stateless guards are not affected |
//! | connection cut, answer lost, scripts flushed | the usual answer |
//! | server vanished without closing the connection | 503, and after eight calls the usual answer, by a new connection |
//! | memory full, too few replicas, primary became a replica | 503 for every request that writes; reads are not affected |
//! | replicas do not confirm in time (`WAIT`) | 503; a repeated refresh with the same token succeeds |
//! | server killed | 503; after the restart nothing that was answered is lost, with `appendonly yes` |
//! | node killed during many refreshes | every session stays alive, with one chain of tokens |
//!
//! A call that timed out may still take effect, as a whole. A repeated call gets the same answer.
//!
//! # Connections
//! Each store has one connection, which all calls share. It is replaced when it fails. A call whose
//! connection had been cut is sent once more. With Sentinel or a managed service, use the address
//! that follows the primary. For TLS (`rediss://`), enable `tokio-rustls-comp` or
//! `tokio-native-tls-comp` of the `redis` crate in your own `Cargo.toml`.

mod check;
mod codec;
mod connection;
mod feed;
mod keys;
mod options;
mod scripts;
mod sessions;
mod store;

pub use self::{
    feed::RedisFeed,
    options::{Persistence, RedisOptions},
    store::RedisSessions,
};
