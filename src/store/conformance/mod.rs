//! A test suite for stores (feature `conformance`). It checks every promise that users and sessions
//! rest on, and names each promise that a store breaks.
//!
//! # Examples
//! ```
//! use portcullis::store::{conformance, memory::{MemorySessions, MemoryUsers}};
//! use portcullis::Profile;
//!
//! # async fn suite() {
//! conformance::sessions(|| async { MemorySessions::default() }).await.assert_kept();
//! conformance::users(|| async { MemoryUsers::default() }, Profile::default).await.assert_kept();
//! conformance::user_admin(|| async { MemoryUsers::default() }, Profile::default, &["admin"]).await.assert_kept();
//! # }
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(suite());
//! ```
//!
//! # Promises
//! The tests of this crate run the suite against each ready store. They also run it against stores
//! that break one promise each, and check that the suite names it.
//!
//! | promise | memory | SQLite | PostgreSQL | MongoDB | Redis |
//! |---|---|---|---|---|---|
//! | **sessions** | | | | | |
//! | a session is found as it was written | kept | kept | kept | kept | kept |
//! | a session is found by its own user only | kept | kept | kept | kept | kept |
//! | user ids of any text name one user each | kept | kept | kept | kept | kept |
//! | a User-Agent of any text is accepted | kept | kept | kept | kept | kept |
//! | numbers are kept to the last digit | kept | kept | kept | kept | kept |
//! | a list is complete, however long | kept | kept | kept | kept | kept |
//! | rotate decides as `session::decide` does | kept | kept | kept | kept | kept |
//! | one of many racing rotations succeeds, the others replay it | kept | kept | kept | kept | kept |
//! | without a grace, one of many racing rotations succeeds | kept | kept | kept | kept | kept |
//! | a repeated rotation gets the same answer | kept | kept | kept | kept | kept |
//! | a session ends once and stays ended | kept | kept | kept | kept | kept |
//! | a repeated ending gets the same answer | kept | kept | kept | kept | kept |
//! | a session that is ended during a rotation stays ended | kept | kept | kept | kept | kept |
//! | ending all ends the user's lower versions and no other session | kept | kept | kept | kept | kept |
//! | ending all keeps one session and moves it to the new version | kept | kept | kept | kept | kept |
//! | an expired session counts as absent | kept | kept | kept | kept | kept |
//! | a session ended for reuse reports it until its expiry | kept | kept | kept | kept | kept |
//! | a new session of an ended version is ended at once | kept | kept | kept | kept | kept |
//! | a login reports what it ended, and whether it is ended itself | kept | kept | kept | kept | kept |
//! | the limit ends the session used longest ago | kept | kept | kept | kept | kept |
//! | a limit that refuses changes nothing | kept | kept | kept | kept | kept |
//! | racing logins stay within the limit | kept | kept | kept | kept | kept |
//! | a login ends the session that it replaces | kept | kept | kept | kept | kept |
//! | ended sessions are listed since a moment, while needed | kept | kept | kept | kept | kept |
//! | each of many ended sessions of a user is listed | kept | kept | kept | kept | kept |
//! | **users** | | | | | |
//! | a user is found by id and e-mail address | kept | kept | kept | kept | – |
//! | an e-mail address names one user, in any case of letters | kept | kept | kept | kept | – |
//! | a text that names no user finds no user | kept | kept | kept | kept | – |
//! | one of many racing registrations of an address succeeds | kept | kept | kept | kept | – |
//! | a hash is renewed only while it is the one that was read | kept | kept | kept | kept | – |
//! | a password is set over the expected hash, and raises the version | kept | kept | kept | kept | – |
//! | a first password is set only where there is none | kept | kept | kept | kept | – |
//! | one of many racing password changes succeeds | kept | kept | kept | kept | – |
//! | one of many racing first passwords is set | kept | kept | kept | kept | – |
//! | the token version rises by one for each call | kept | kept | kept | kept | – |
//! | a username names one user, in any case of letters | kept | kept | kept | kept | – |
//! | one of many racing registrations of a username succeeds | kept | kept | kept | kept | – |
//! | a refused registration leaves nothing behind | kept | kept | kept | kept | – |
//! | **administration of users** | | | | | |
//! | roles are replaced as a whole, and only they | kept | kept | kept | kept | – |
//! | a user is disabled and enabled, and nothing else changes | kept | kept | kept | kept | – |
//! | a removed user is gone, and the address is free | kept | kept | kept | kept | – |
//! | an id of a removed user is given to no other | kept | kept | kept | kept | – |
//! | one of many racing removals of a user succeeds | kept | kept | kept | kept | – |
//! | an id that names no user changes nothing | kept | kept | kept | kept | – |
//! | pages list each user once, in one order | kept | kept | kept | kept | – |
//! | pages skip and repeat no user while others come and go | kept | kept | kept | kept | – |
//!
//! # Runtime
//! The factory makes an empty store for each promise, for example in a schema, a database or under
//! a key prefix of its own. Call the suite inside a Tokio runtime. Use a multi-threaded runtime,
//! because the promises of atomicity are checked by tasks that run at the same time.

mod extremes;
mod report;
mod samples;
mod sessions;
mod user_admin;
mod users;

pub(crate) use self::report::{ensure, said};
pub use self::{
    report::{Broken, Report},
    sessions::sessions,
    user_admin::user_admin,
    users::{users, users_by_email},
};
