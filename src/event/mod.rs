//! What happened, for whoever has to know later: [`AuthEvent`] and its [`EventSink`].
//!
//! ```
//! # use portcullis::{AuthBuilder, User, event::AuthEvent};
//! # fn builder(builder: AuthBuilder<User>) -> AuthBuilder<User> {
//! // An audit log of JSON lines; the log lines of `tracing` go elsewhere.
//! builder.event_sink(|event: &AuthEvent| {
//!     if let Ok(line) = serde_json::to_string(event) {
//!         println!("{line}");
//!     }
//! })
//! # }
//! ```
//!
//! ```json
//! {"at":"2026-01-02T03:04:05.678Z","event":"session.ended","user":"42","session":"c2Vzc2lvbi1vZi1hZGE5OQ","ip":"192.0.2.7","user_agent":"curl/8.14.1","reason":"logout"}
//! ```
//!
//! # What is told
//!
//! | name | when | members beside `at`, `event`, `ip`, `user_agent` |
//! |---|---|---|
//! | `user.registered` | a user was added | `user` |
//! | `user.registration_refused` | an address or username was taken | `reason`: [`RegistrationRefusal`] |
//! | `user.sessions_ended` | all sessions of a user ended, but for the `kept` one | `user`, `session` that asked for it, `reason`: [`EndAllReason`], `kept` |
//! | `login.succeeded` | a user logged in | `user`, `session`, `method`: [`LoginMethod`] |
//! | `login.failed` | a login failed, or its session was dead on arrival | `user` where the login belongs to a user, `session` where it is `superseded`, `reason`: [`LoginFailure`] |
//! | `attempt.throttled` | the [throttle](crate::throttle) refused an attempt, the first of a delay | `operation`: [`Operation`], `retry_after_ms`; `user` and `session` for a password change |
//! | `session.refreshed` | the current refresh token was exchanged | `user`, `session` |
//! | `session.replayed` | the one before was, within the grace | `user`, `session` |
//! | `session.refresh_refused` | a refresh token of ours was refused | `user`, `session`, `reason`: [`RefreshRefusal`], `ended_by` where it is `ended` |
//! | `session.reuse_found` | a refresh token was used a second time: theft, or a client that lost an answer | `user`, `session` |
//! | `session.foreign_token` | a refresh token has our signature and an id that its session never gave: the key has leaked, or the store was restored from a backup | `user`, `session` |
//! | `session.ended` | a session ended | `user`, `session`, `reason`: [`EndReason`] |
//! | `password.changed` | a user changed their password | `user`, `session` |
//! | `password.change_failed` | the current password was wrong | `user`, `session` |
//! | `password.hash_upgraded` | a stored hash was replaced by a better one, at a good login | `user` |
//! | `store.unavailable` | a flow failed because a store could not be reached: 503, or a registration's 201 without tokens | `operation`: [`Operation`], `may_have_happened`; `user` and `session` where they were known |
//!
//! - **Once, and after the fact.** An event is recorded when the store has accepted what it tells of. Where the store's
//!   answer was lost, it is asked again, and the record says what the first call did; where that fails too, nobody knows,
//!   and `store.unavailable` says so: `may_have_happened`, of the whole flow. An ending that the store missed is told of when
//!   it was brought to the store, by the polling task, unless a later ending of all the user's sessions covers it.
//! - An outage is told of a flow that failed by it. What goes on without the store is logged and not told: the renewal of a
//!   hash, and the floor that a refresh writes for somebody else. Of internal errors (500) nothing is told; they are in the
//!   log, and the outcome `internal` of spans and metrics.
//! - A refresh token that we signed and that has not expired gives one of `session.refreshed`, `session.replayed`,
//!   `session.refresh_refused`, `session.reuse_found`, `session.foreign_token` and `store.unavailable` each time that it is
//!   presented, unless it is answered 500 or its caller hangs up. Reuse that is found, and a user who is found to be gone or
//!   disabled, end the session besides: `session.ended`.
//! - Nothing is told of tokens that are forged or expired, of bodies that are not valid, nor of requests that a guard
//!   refuses: strangers make as many of them as they like. The [metrics](#metrics) count the refreshes among them. Nothing is
//!   told of sessions that end because their time is up, nor of what other nodes do, who tell of it themselves.
//! - `attempt.throttled` is told once in a delay: of an address, of a device, of a session, and of a login, there once a minute at
//!   most. The metric counts every refusal. A refusal costs a stranger nothing, and would bury what else there is to find.
//! - A caller who hangs up in the middle of a sign-in stops it, and it tells nothing more. A refresh that the store was asked
//!   for, endings and password changes go on to their end, and tell of it, outages included.
//! - A stateless guarded request tells nothing, and none of this costs it anything.
//!
//! # What is never in it
//!
//! No password, token, hash or key. **Nor the login that was typed**, where it is nobody's: people type their password into
//! the wrong field, and a log of unknown logins is where such passwords would be collected, beside the address that they
//! came from and a second before the right login followed. Not even what looks like an e-mail address is kept; passwords do
//! too, and it would be a stranger's. A login that is somebody's is told of by its `user`.
//!
//! `ip` and `user_agent` are as the [`ClientInfo`](crate::auth::ClientInfo) has them, the user agent cut at 256 bytes: claims of the client,
//! not facts. The ready endpoints know them; in code they are left out where a flow is not told of the client, so call
//! [`Auth::refresh_from`](crate::Auth::refresh_from), [`logout_from`](crate::Auth::logout_from),
//! [`logout_all_from`](crate::Auth::logout_all_from) and [`end_session_from`](crate::Auth::end_session_from). They and the user's id are personal data in most countries; keep them for as long as you need.
//!
//! **The events are for the operator.** Why a sign-in failed must not reach a client: that login and password are wrong is
//! one answer, so that nobody learns who has an account.
//!
//! # Sinks
//!
//! [`EventSink::record`] is called in the middle of the flow, before its answer, and must not block: write to a buffer or send
//! into a channel (`try_send`). What it waits for, every sign-in waits for; and a sink that takes longer for known users than
//! for unknown ones tells a client which they are. A sink that panics fails nothing: the panic is logged, and the other sinks
//! hear of the event. Several sinks are called in the order of [`AuthBuilder::event_sink`](crate::AuthBuilder::event_sink). Without a
//! sink no event is made.
//!
//! # Spans
//!
//! Each flow runs in a span of `tracing`, at the level `INFO` and of the target `portcullis`, so that every line of its log
//! says what it was about. Its name is `portcullis.` and the name of the [`Operation`]: `portcullis.login`,
//! `portcullis.refresh`, `portcullis.change_password`. A guard that asks a store does so in `portcullis.check_session` or
//! `portcullis.load_user`; a stateless one has none.
//!
//! | field | |
//! |---|---|
//! | `user`, `session` | whom it is about, as soon as that is known |
//! | `outcome` | `ok`, the stable code of its [`ErrorKind`](crate::ErrorKind), or `abandoned` where its caller hung up |
//!
//! # Metrics
//!
//! With the feature `metrics`, counts and durations go to the recorder that the app has installed for the crate
//! [`metrics`](https://docs.rs/metrics/0.24), such as that of `metrics-exporter-prometheus`. Install it before
//! [`AuthBuilder::build`](crate::AuthBuilder::build), which says to it what each of these is and in which unit.
//!
//! | name | kind | labels | |
//! |---|---|---|---|
//! | `portcullis_events_total` | counter | `event`, `reason` where there is one | events, whether or not there is a sink; each `attempt.throttled`, told or not |
//! | `portcullis_flow_duration_seconds` | histogram | `operation`, `outcome` | how long flows take; the labels are the names and outcomes of the [spans](#spans) |
//! | `portcullis_hash_duration_seconds` | histogram | | how long a password takes to be hashed, once it is its turn |
//! | `portcullis_hash_wait_seconds` | histogram | | how long it waits for its turn |
//! | `portcullis_hash_queue_length` | gauge | | how many passwords wait |
//! | `portcullis_store_duration_seconds` | histogram | `store`: `users` or `sessions`, `call`, `outcome` | how long calls to stores take; `outcome` is `ok`, `duplicate`, `too_many_sessions`, `unavailable`, `internal` or `abandoned` |
//! | `portcullis_revocations` | gauge | `kind`: `session` or `user` | ended sessions, and users with ended sessions, in memory |
//! | `portcullis_revocations_capacity` | gauge | | room for each of the two kinds |
//! | `portcullis_revocations_full` | gauge | | 1 while guards ask the store because an ending found no room |
//! | `portcullis_feed_up` | gauge | | 1 while the revocation feed is subscribed |
//! | `portcullis_unwritten_endings` | gauge | | endings that the store could not take yet |
//! | `portcullis_lost_endings_total` | counter | | endings that the store will never get |
//! | `portcullis_poll_entries_total` | counter | | endings that polls have read |
//! | `portcullis_store_questions_total` | counter | | sessions that guards have asked the store about, because the node was unsure |
//!
//! The gauges of revocations are set at each poll. Several `Auth`s of one process add up.
//! [`Auth::health`](crate::Auth::health) has the numbers of one.
//!
//! Labels are words of ours, never what a request brought, so their number is bounded. Durations are by
//! [`Clock::monotonic`](crate::clock::Clock::monotonic). To be woken for: `session.foreign_token` at all,
//! `session.reuse_found` and `login.failed` beyond what is usual, the outcome `overloaded`, and `unavailable`.
//!
//! # What will change
//!
//! New kinds and members will come: match with a `_`, and branch on [`AuthEvent::name`], [`EventKind`] and the names in the
//! tables, which stay.

mod constructors;
mod flow_run;
mod kind;
mod sink;
mod tasks;

use std::net::IpAddr;

use serde::{Serialize, Serializer, ser::SerializeMap};

pub(crate) use self::{
    flow_run::{Events, FlowRun},
    sink::Sinks,
    tasks::Tasks,
};
pub use self::{
    kind::{EndAllReason, EventKind, LoginFailure, LoginMethod, Operation, RefreshRefusal, RegistrationRefusal},
    sink::EventSink,
};
// What a session ended for is told by the session's own word.
#[doc(no_inline)]
pub use crate::session::EndReason;
use crate::{clock::Timestamp, session::SessionId, user::UserId};

/// Something that happened: when, what, whose, and from where.
///
/// Serializes as one flat object (see the [module](self)), without the members that are not known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthEvent {
    /// When it happened, in milliseconds, by the [`Clock`](crate::clock::Clock) of the `Auth`.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Whose account it is about, where that is known.
    pub user_id: Option<UserId>,
    /// Which session it is about.
    pub session_id: Option<SessionId>,
    /// The client's address, where the flow was told it.
    pub ip: Option<IpAddr>,
    /// The first 256 bytes of the client's `User-Agent`.
    pub user_agent: Option<Box<str>>,
}

impl AuthEvent {
    /// An event of which nothing more is known; for tests of an [`EventSink`].
    ///
    /// ```
    /// use portcullis::{clock::Timestamp, event::{AuthEvent, EventKind, LoginMethod}};
    ///
    /// let kind = EventKind::logged_in(LoginMethod::Password);
    /// let mut event = AuthEvent::new(Timestamp::from_secs(1_800_000_000), kind);
    /// event.user_id = Some("42".into());
    /// assert_eq!(event.name(), "login.succeeded");
    /// ```
    pub const fn new(at: Timestamp, kind: EventKind) -> Self {
        Self { at, kind, user_id: None, session_id: None, ip: None, user_agent: None }
    }

    /// The kind's stable name, such as `session.reuse_found`.
    pub const fn name(&self) -> &'static str {
        self.kind.name()
    }
}

impl Serialize for AuthEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn known<M: SerializeMap>(
            map: &mut M,
            key: &'static str,
            value: Option<&impl Serialize>,
        ) -> Result<(), M::Error> {
            value.map_or(Ok(()), |value| map.serialize_entry(key, value))
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("event", self.name())?;
        known(&mut map, "user", self.user_id.as_ref().map(UserId::as_str).as_ref())?;
        known(&mut map, "session", self.session_id.as_ref())?;
        known(&mut map, "ip", self.ip.as_ref())?;
        known(&mut map, "user_agent", self.user_agent.as_ref())?;
        known(&mut map, "reason", self.kind.reason().as_ref())?;
        match &self.kind {
            EventKind::LoggedIn { method } => map.serialize_entry("method", method.as_str())?,
            EventKind::Throttled { operation, retry_after } => {
                map.serialize_entry("operation", operation.as_str())?;
                map.serialize_entry("retry_after_ms", &u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX))?;
            }
            EventKind::RefreshRefused { reason: RefreshRefusal::Ended(ended_by) } => {
                map.serialize_entry("ended_by", ended_by.as_str())?;
            }
            EventKind::SessionsEnded { kept, .. } => known(&mut map, "kept", kept.as_ref())?,
            EventKind::StoreUnavailable { operation, may_have_happened } => {
                map.serialize_entry("operation", operation.as_str())?;
                map.serialize_entry("may_have_happened", may_have_happened)?;
            }
            _ => {}
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn json(kind: EventKind) -> String {
        serde_json::to_string(&AuthEvent::new(Timestamp::from_millis(1_767_322_845_678), kind)).unwrap()
    }

    #[test]
    fn an_event_is_one_flat_object_of_what_is_known() {
        let kind = EventKind::SessionEnded { reason: EndReason::Logout };
        let mut event = AuthEvent::new(Timestamp::from_millis(1_767_322_845_678), kind);
        event.user_id = Some("42".into());
        event.session_id = Some(SessionId::from_bytes(*b"session-of-ada99"));
        event.ip = Some([192, 0, 2, 7].into());
        event.user_agent = Some("curl/8.14.1".into());
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"at":"2026-01-02T03:00:45.678Z","event":"session.ended","user":"42","session":"c2Vzc2lvbi1vZi1hZGE5OQ","ip":"192.0.2.7","user_agent":"curl/8.14.1","reason":"logout"}"#
        );
        assert_eq!(json(EventKind::Registered {}), r#"{"at":"2026-01-02T03:00:45.678Z","event":"user.registered"}"#);
    }

    #[test]
    fn each_kind_says_what_is_its_own() {
        let kept = Some(SessionId::from_bytes([0; 16]));
        let retry_after = Duration::from_secs(2);
        for (kind, end) in [
            (EventKind::LoggedIn { method: LoginMethod::Password }, r#""method":"password"}"#),
            (EventKind::LoginFailed { reason: LoginFailure::UnknownLogin }, r#""reason":"unknown_login"}"#),
            (
                EventKind::Throttled { operation: Operation::Login, retry_after },
                r#""operation":"login","retry_after_ms":2000}"#,
            ),
            (
                EventKind::RefreshRefused { reason: RefreshRefusal::Ended(EndReason::Reuse) },
                r#""reason":"ended","ended_by":"reuse"}"#,
            ),
            (
                EventKind::SessionsEnded { reason: EndAllReason::PasswordChanged, kept },
                r#""reason":"password_changed","kept":"AAAAAAAAAAAAAAAAAAAAAA"}"#,
            ),
            (
                EventKind::StoreUnavailable { operation: Operation::Refresh, may_have_happened: true },
                r#""operation":"refresh","may_have_happened":true}"#,
            ),
        ] {
            assert!(json(kind.clone()).ends_with(end), "{}", json(kind));
        }
    }
}
