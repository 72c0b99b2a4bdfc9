//! Sessions in Redis 7.0 or newer, by `redis` 1 (feature `redis_1`); Valkey serves as well.
//!
//! ```no_run
//! use portcullis::store::{memory::MemoryUsers, redis::RedisSessions};
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! # let users = MemoryUsers::default();
//! let sessions = RedisSessions::connect("redis://127.0.0.1/").await?;
//! let auth = portcullis::AuthBuilder::from_env(users, sessions.clone()).revocation_feed(sessions.feed()).build()?;
//! # Ok(()) }
//! ```
//!
//! Users live elsewhere: any [`UserStore`](super::UserStore) goes with it.
//!
//! # How it is atomic
//! A user's sessions are one hash, and what has ended lately is one sorted set for each of 64 buckets of users. The keys of
//! a user and of their bucket have the same hash tag, `{PREFIX:BUCKET}`, so that one script may touch both, in a cluster
//! too: there is no moment at which a session has ended and nobody is told. Every method is one script or one command, and
//! one round trip: after a restart, or a `SCRIPT FLUSH`, each script is sent once more. A node asks all buckets at once
//! what has ended. A login in the place of **another user's** session is the one exception: that session ends in a second
//! step, after the login.
//!
//! The connection is one to one address. A cluster needs an address that stands for all of it, such as a proxy.
//!
//! # Expiry
//! The store goes by the moment it is told: that of the server's own clock (`TIME`), as far as a node knows it. Of the sessions
//! of a user that have ended the last 16 are kept as records; what other nodes have to know of the others is kept for as long
//! as an access token may count. The server forgets a user a minute after the last of their records is needed,
//! and a user's dead records whenever one of theirs begins or ends. Its own clock need not agree with the nodes'.
//!
//! # What the server must be set to
//! [`RedisSessions::connect`] checks it, and refuses a server that would lose sessions by its settings:
//!
//! | setting | why |
//! |---|---|
//! | `maxmemory-policy noeviction` | a full server must refuse logins (503), not drop sessions or what has ended |
//! | `appendonly yes` | see [`Persistence`] for less |
//! | a version of 7.0 or newer | before, scripts are refused without a code that tells an outage from a bug, and `min-replicas-to-write` does not hold for them |
//! | `min-replicas-to-write 1`, `min-replicas-max-lag 10` | with [`RedisOptions::min_replicas`]: a primary that is cut off from its replicas takes no writes that a failover would lose |
//!
//! `appendfsync everysec`, the default, loses the last second when the machine crashes (not when the process does);
//! `always` loses nothing and costs a disk write for each login and refresh.
//!
//! # What a failover can still lose
//! A call that meets a primary that became a replica is answered 503, and the next one connects anew. Replication is
//! asynchronous: a write that was answered and not yet replicated is gone when a replica is promoted.
//! [`RedisOptions::wait_for_replicas`] closes most of that gap, and not all of it: a replica that has not got the write can
//! still be the one that is promoted. What is lost costs this:
//! - a rotation: the client's new token is refused as foreign (401, with an error in the log), and they sign in again;
//! - a login: the client signs in again;
//! - an ending: the session's refresh token works again until it expires. Access tokens stay ended on the nodes that
//!   have heard of it. A raised token version is in the user store and loses nothing: logout-all and password changes hold.
//!
//! # What clients see of an outage
//! | fault | what clients see |
//! |---|---|
//! | server stopped, hanging, or out of reach; writes paused | 503 for all that needs the store, after the timeout at most; stateless guards go on |
//! | connection cut, answer lost, scripts flushed | the answer |
//! | connection whose other end has vanished | 503, and after eight calls the answer, by a new connection |
//! | memory full, too few replicas, primary turned replica | 503 for all that writes; reads go on |
//! | replicas that do not confirm in time (`WAIT`) | 503; the same token works when asked again |
//! | server killed | 503, then everything that was answered is there; with `appendonly yes` |
//! | node killed in a storm of refreshes | every session goes on, each once |
//!
//! A call that timed out may still happen, and then as a whole: asked again, it answers as it would have.
//!
//! # Connections
//! One connection for each store, shared by all calls, which mends itself; a call that met a connection that had been cut
//! is sent again, once. Sentinel and managed services: name the address that follows the primary. For TLS (`rediss://`)
//! enable `tokio-rustls-comp` or `tokio-native-tls-comp` of the `redis` crate in your own `Cargo.toml`.

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
