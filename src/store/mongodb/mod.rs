//! Users and sessions in MongoDB, by version 3 of the official driver (feature `mongodb_3`).
//!
//! This needs MongoDB 6.0 or newer (`$sortArray`). The tests of this crate use a server that
//! implements the wire protocol of 8.2. With `MONGODB_URI` they use another server.
//!
//! [`MongoStore`] stores both. [`MongoUsers`] and [`MongoSessions`] store one each, for apps that
//! store the other one elsewhere: `Auth::builder(MongoUsers::new(&database), other_sessions)`.
//! [`MongoFeed`] reports revocations to the other nodes at once.
//!
//! # Examples
//! ```no_run
//! use portcullis::{Auth, store::mongodb::MongoStore};
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MongoStore::connect("mongodb://127.0.0.1:27017/app").await?;
//! let auth = Auth::from_env(store.clone(), store)?;
//! # Ok(()) }
//! ```
//!
//! # How it is atomic
//! All sessions of a user are in one document of `portcullis_sessions`, whose `_id` is the user's
//! id. Every operation is one command on this document (`findAndModify` with an aggregation
//! pipeline) and takes one round trip. It needs no transaction. A standalone server is enough, and
//! a collection may be sharded by the hashed `_id`. The pipeline of a rotation writes what
//! [`decide`](crate::session::decide) decides, and the written record shows which outcome it was.
//! There is one exception: a login that replaces a session of another user changes a second
//! document, after its own.
//!
//! Of the ended sessions of a user, the last 16 are kept as records. The older ones are kept as
//! ids, until one minute after their access tokens have expired. Access tokens expire after 15
//! minutes, unless [`access_lifetime`](crate::AuthBuilder::access_lifetime) is set. A document has
//! room for 10,000 of these ids. A user who logs in more often is refused, as by the limit of
//! sessions. The engine deletes a document when everything in it has expired (TTL index).
//!
//! Sessions use the clock of the server (`localTime` of `hello`), as far as a node knows it.
//! Through `mongos` this is the clock of the router. Keep the clocks of routers synchronized.
//!
//! # Connections
//! Whatever the URI says, reads go to the primary and return what a majority has. Writes wait for
//! the journal of a majority. A failover therefore loses nothing that was answered. A call takes at
//! most 3 s, which is below the refresh grace. In the URI, set
//! `serverSelectionTimeoutMS=2000&connectTimeoutMS=2000`, and leave `retryWrites` and `retryReads`
//! on. The driver then repeats a call whose connection was cut. TLS is included. For
//! `mongodb+srv://`, the `mongodb` crate in your own `Cargo.toml` needs its feature `dns-resolver`,
//! which is on by default.
//!
//! # An existing collection
//! [`MongoUsers::existing`] uses the users collection of an app, such as that of a Mongoose model.
//! [`UserFields`] maps the names of its fields. The user id of an object id is its hexadecimal
//! form, and that of a text is the text itself. Other types have a prefix (`uuid:`, `number:`,
//! `bson:`). A user whose `_id` is a decimal, a symbol, code or `null` has no user id and cannot
//! log in. Only the fields that this crate knows are written, each one separately. Other fields
//! are not changed, for example a `refreshToken`, which is no longer needed.
//!
//! With the feature `bcrypt`, users log in with the hashes that they have. The next successful
//! login replaces each hash by Argon2id. A [guide](crate::guide::from_express) describes the whole
//! migration, step by step and back.
//!
//! [`migrate`](MongoUsers::migrate) adds the lookup keys `emailKey` and `usernameKey` to each
//! document, and creates a unique index over each. [`LoginKey`](crate::user::LoginKey) describes
//! the keys. For ASCII, the key is the trimmed text in lower case, so that `ada@example.com` finds
//! `Ada@Example.com`. Where two users differ only in the case of letters, `migrate` names them and
//! creates no index. Another app that writes to the collection may write the keys too. Where it
//! does not, the next `migrate` finds users without a key and users with the key of an old address.
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
