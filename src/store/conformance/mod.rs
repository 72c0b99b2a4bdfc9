//! A suite that any store can run (feature `conformance`): every promise that sessions and users rest on, each failure
//! naming the promise it broke.
//!
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
//! What the suite asks, and who keeps it. The tests of this crate run it against each store, and against stores that break
//! one promise each, which it names.
//!
//! | promise | memory | SQLite | PostgreSQL | MongoDB | Redis |
//! |---|---|---|---|---|---|
//! | **sessions** | | | | | |
//! | a session is found as it was written | kept | kept | kept | kept | kept |
//! | a session is found by its own user only | kept | kept | kept | kept | kept |
//! | user ids of any text name one user each | kept | kept | kept | kept | kept |
//! | a device of any text is no obstacle | kept | kept | kept | kept | kept |
//! | numbers are kept to the last digit | kept | kept | kept | kept | kept |
//! | a list is whole, however long | kept | kept | kept | kept | kept |
//! | rotate decides as `session::decide` does | kept | kept | kept | kept | kept |
//! | of racing rotations one advances and the others replay it | kept | kept | kept | kept | kept |
//! | without a grace one racing rotation advances | kept | kept | kept | kept | kept |
//! | a rotation that is asked again is answered again | kept | kept | kept | kept | kept |
//! | an ended session ends once and stays ended | kept | kept | kept | kept | kept |
//! | an ending that is asked again is answered again | kept | kept | kept | kept | kept |
//! | of a rotation and an ending that race the ending lasts | kept | kept | kept | kept | kept |
//! | ending all ends the lower versions and nobody else's | kept | kept | kept | kept | kept |
//! | ending all keeps one session and moves it on | kept | kept | kept | kept | kept |
//! | an expired session counts as absent | kept | kept | kept | kept | kept |
//! | a session ended for reuse says so until it would have expired | kept | kept | kept | kept | kept |
//! | a session of an ended version is dead on arrival | kept | kept | kept | kept | kept |
//! | a login says what ended with its version, and whether it is dead itself | kept | kept | kept | kept | kept |
//! | the limit ends the session used longest ago | kept | kept | kept | kept | kept |
//! | a limit that refuses changes nothing | kept | kept | kept | kept | kept |
//! | racing logins stay within the limit | kept | kept | kept | kept | kept |
//! | a login ends the session that it replaces | kept | kept | kept | kept | kept |
//! | endings are told since a moment, until nobody needs them | kept | kept | kept | kept | kept |
//! | of many endings of one user each is told | kept | kept | kept | kept | kept |
//! | **users** | | | | | |
//! | a user is found by id and e-mail address | kept | kept | kept | kept | – |
//! | an e-mail address names one user, in any case of letters | kept | kept | kept | kept | – |
//! | a text that names nobody finds nobody | kept | kept | kept | kept | – |
//! | of racing registrations of one address one succeeds | kept | kept | kept | kept | – |
//! | a hash is renewed only in the place of the one that was read | kept | kept | kept | kept | – |
//! | a password is set by comparing, and raises the version | kept | kept | kept | kept | – |
//! | a first password is set only where there is none | kept | kept | kept | kept | – |
//! | of racing password changes one succeeds | kept | kept | kept | kept | – |
//! | of racing first passwords one is set | kept | kept | kept | kept | – |
//! | the token version rises by one for each call | kept | kept | kept | kept | – |
//! | a username names one user, in any case of letters | kept | kept | kept | kept | – |
//! | of racing registrations of one username one succeeds | kept | kept | kept | kept | – |
//! | a refused registration leaves nothing behind | kept | kept | kept | kept | – |
//! | **administration of users** | | | | | |
//! | roles are replaced as a whole, and only they | kept | kept | kept | kept | – |
//! | a user is disabled and enabled, and nothing else changes | kept | kept | kept | kept | – |
//! | a removed user is gone, and the address is free | kept | kept | kept | kept | – |
//! | an id of a removed user is given to no other | kept | kept | kept | kept | – |
//! | of racing removals of one user one succeeds | kept | kept | kept | kept | – |
//! | an id that names no user changes nothing | kept | kept | kept | kept | – |
//! | pages list each user once, in one order | kept | kept | kept | kept | – |
//! | pages skip and repeat no user while others come and go | kept | kept | kept | kept | – |
//!
//! The factory makes an empty store (a fresh schema, database or key prefix) for each promise. Call it inside a Tokio
//! runtime, a multi-threaded one if the store is to be raced in earnest: the promises of atomicity are checked by tasks
//! that do the same thing at once.

mod extremes;
mod report;
mod samples;
mod sessions;
mod user_admin;
mod users;

pub use self::{
    report::{Broken, Report},
    sessions::sessions,
    user_admin::user_admin,
    users::{users, users_by_email},
};
