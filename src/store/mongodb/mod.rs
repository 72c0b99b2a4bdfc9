//! Users and sessions in MongoDB, by the official driver 3 (feature `mongodb_3`).
//!
//! Written for MongoDB 6.0 and newer (`$sortArray`). What tests it is a server that speaks the wire protocol of 8.2, unless
//! `MONGODB_URI` names another.
//!
//! [`MongoStore`] is both; [`MongoUsers`] and [`MongoSessions`] are one each, for apps that keep the other elsewhere:
//! `Auth::builder(MongoUsers::new(&database), other_sessions)`. [`MongoFeed`] lets nodes hear of endings at once.
//!
//! ```no_run
//! use portcullis::store::mongodb::MongoStore;
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let client = mongodb::Client::with_uri_str("mongodb://127.0.0.1:27017").await?;
//! let store = MongoStore::new(&client.database("app"));
//! store.migrate().await?;
//! let auth = portcullis::AuthBuilder::from_env(store.clone(), store).build()?;
//! # Ok(()) }
//! ```
//!
//! # How it is atomic
//! All sessions of a user are one document of `portcullis_sessions`, whose `_id` is the user's id. Every operation is one
//! command on it (`findAndModify` with an aggregation pipeline), so no transaction is needed, a standalone server and a
//! sharded collection (by hashed `_id`) will do, and each call is one round trip. A rotation's pipeline writes what
//! [`decide`](crate::session::decide) says of the record, and the record that it leaves tells which of the answers that was.
//! Only a login that takes over a browser from another user changes a second document, after its own.
//!
//! Of the sessions of a user that have ended the last 16 are kept as records. Of the others a document says that they have
//! ended for a minute longer than an access token may count, which is a quarter of an hour unless
//! [`access_lifetime`](crate::AuthBuilder::access_lifetime) says otherwise, and has room for 10,000: who logs in more often than
//! that is refused as by the limit. The engine deletes a document when all of it has expired (TTL index).
//!
//! Sessions go by the clock of the server (`localTime` of `hello`), as far as a node knows it; through `mongos` that is the
//! router's, so keep the clocks of routers together.
//!
//! # Connections
//! Whatever the URI says, reads go to the primary and see what a majority has, and writes wait for a majority's journal: a
//! failover takes nothing back that was answered. A call takes 3 seconds at most, below the refresh grace. In the URI set
//! `serverSelectionTimeoutMS=2000&connectTimeoutMS=2000`, and leave `retryWrites` and `retryReads` on: the driver then mends
//! a cut connection without anybody seeing it. TLS is in, `mongodb+srv://` needs the driver's feature `dns-resolver`, which
//! is among the default ones of the `mongodb` in your own `Cargo.toml`.
//!
//! # A collection that is there already
//! [`MongoUsers::existing`] takes over the users of an app, such as those of a Mongoose model: [`UserFields`] maps the names
//! of its fields, an object id is the user's id in hexadecimal, a text is the user's id itself, and other types have a prefix
//! (`uuid:`, `number:`, `bson:`). Only our own fields are ever written, each by itself: what we
//! do not know (`refreshToken`, say, which nobody needs any more) stays as it is. With the feature `bcrypt` users sign in
//! with the hashes that they have; each is replaced by Argon2id at the next good login. The whole move, step by step and back, is
//! a [guide](crate::guide::from_express).
//!
//! [`migrate`](MongoUsers::migrate) adds to each document the lookup keys `emailKey` and `usernameKey`, as
//! [`LoginKey`](crate::user::LoginKey) describes them (for ASCII the trimmed lower-case form), and makes a unique index over each, so that `Ada@Example.com` is found by `ada@example.com`. Where two
//! users differ by case alone it says which they are, and makes no index. Whoever else writes to the collection meanwhile may
//! write the keys along; where they do not, the next `migrate` finds who has no key, or that of an old address.
//!
//! ```no_run
//! use portcullis::store::mongodb::{MongoSessions, MongoUsers, UserFields};
//! # async fn start(database: mongodb::Database) -> Result<(), Box<dyn std::error::Error>> {
//! let users = MongoUsers::existing(&database, "users", UserFields::mongoose())?;
//! let sessions = MongoSessions::new(&database);
//! users.migrate().await?;
//! sessions.migrate().await?;
//! let auth = portcullis::AuthBuilder::from_env(users, sessions).build()?;
//! # Ok(()) }
//! ```

mod connection;
mod documents;
mod feed;
mod fields;
mod ids;
mod migrate;
mod pipelines;
mod sessions;
mod store;
mod users;

pub use self::{feed::MongoFeed, fields::UserFields, sessions::MongoSessions, store::MongoStore, users::MongoUsers};
