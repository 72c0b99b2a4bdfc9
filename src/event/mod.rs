//! Events of the flows, for audit logs: [`AuthEvent`] and its [`EventSink`].
//!
//! ```
//! # use portcullis::{AuthBuilder, User, event::AuthEvent};
//! # fn builder(builder: AuthBuilder<User>) -> AuthBuilder<User> {
//! // An audit log of JSON lines. The log lines of `tracing` go elsewhere.
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
//! # Events
//!
//! | name | emitted when | members beside `at`, `event`, `ip`, `user_agent` |
//! |---|---|---|
//! | `user.registered` | a user was added | `user` |
//! | `user.registration_refused` | the address or username was taken | `reason`: [`RegistrationRefusal`] |
//! | `user.sessions_ended` | all sessions of a user ended, except the `kept` one | `user`, `session` that asked for it, `reason`: [`EndAllReason`], `kept` |
//! | `login.succeeded` | a user logged in | `user`, `session`, `method`: [`LoginMethod`] |
//! | `login.failed` | a login failed, or its session ended at once | `user` where the login belongs to a user, `session` where the reason is `superseded`, `reason`: [`LoginFailure`] |
//! | `attempt.throttled` | the [throttle](crate::throttle) refused an attempt, the first of a delay | `operation`: [`Operation`], `retry_after_ms`; `user` and `session` for a password change |
//! | `session.refreshed` | the current refresh token was exchanged | `user`, `session` |
//! | `session.replayed` | the previous refresh token was accepted within the grace | `user`, `session` |
//! | `session.refresh_refused` | a refresh token of this service was refused | `user`, `session`, `reason`: [`RefreshRefusal`], `ended_by` where the reason is `ended` |
//! | `session.reuse_found` | a refresh token was used a second time: by a thief, or by a client that lost an answer | `user`, `session` |
//! | `session.foreign_token` | a refresh token has our signature and an id that its session never had: the key has leaked, or the store was restored from a backup | `user`, `session` |
//! | `session.ended` | a session ended | `user`, `session`, `reason`: [`EndReason`] |
//! | `password.changed` | a user changed their password | `user`, `session` |
//! | `password.change_failed` | the current password was wrong | `user`, `session` |
//! | `password.hash_upgraded` | a login replaced the stored hash by a better one | `user` |
//! | `store.unavailable` | a flow failed because a store could not be reached. The answer was 503, or 201 without tokens for a registration | `operation`: [`Operation`], `may_have_happened`; `user` and `session` where they were known |
//!
//! - **An event comes once, and after the fact.** It is emitted when the store has accepted the
//!   change. If the answer of the store is lost, the store is asked again, and the event says what
//!   the first call did. If that fails too, `store.unavailable` says with `may_have_happened` that
//!   the flow may have had its effect.
//! - A session that could not be ended in the store ends there later, by the polling task. Its
//!   event is emitted then. A later end of all sessions of the user replaces it.
//! - `store.unavailable` is emitted for a flow that fails. A failure that the flow does not depend
//!   on is logged and emits no event, such as the renewal of a hash, or the end of other sessions
//!   that a refresh writes. Internal errors (500) emit no event. They are in the log, and in the
//!   outcome `internal` of spans and metrics.
//! - A refresh token of this service that has not expired gives exactly one of these events each
//!   time it is presented: `session.refreshed`, `session.replayed`, `session.refresh_refused`,
//!   `session.reuse_found`, `session.foreign_token` or `store.unavailable`. It gives none if the
//!   answer is 500, or if the client hangs up. A reused token, and a user who is deleted or
//!   disabled, end the session too: `session.ended`.
//! - Forged and expired tokens, invalid bodies, and requests that a guard refuses emit no event,
//!   because strangers can send as many as they like. The [metrics](#metrics) count such refreshes.
//!   A session that expires emits no event. What other nodes do emits its events there.
//! - `attempt.throttled` is emitted once for each delay of an address, a device or a session, and
//!   at most once a minute for a login. The metric counts every refusal. A refusal costs a stranger
//!   nothing, and an event for each would hide the others.
//! - A client that hangs up during a login stops it, and no further event follows. A refresh that
//!   has reached the store, the end of a session, and a password change go on to their end, and
//!   emit their events.
//! - A stateless guarded request emits no event, and events cost it nothing.
//!
//! # What an event never contains
//!
//! An event contains no password, no token, no hash and no key. **It does not contain an unknown
//! login either.** People type their password into the wrong field. A log of unknown logins would
//! collect such passwords, together with the address they came from, one second before the right
//! login. Text that looks like an e-mail address is left out too, because a password may look like
//! one. An event about a known login names its `user`.
//!
//! `ip` and `user_agent` come from the [`ClientInfo`](crate::auth::ClientInfo) of the flow. They
//! are claims of the client and not facts. The user agent is cut at 256 bytes. The ready endpoints
//! fill them in. Code that calls a flow itself passes what it knows. Both, and the user's id, are
//! personal data in most countries. Keep them only as long as you need them.
//!
//! **Events are for the operator.** The reason of a failed login must not reach the client. The
//! client gets one answer for a wrong login and a wrong password, so that it cannot find out who
//! has an account.
//!
//! # Sinks
//!
//! A flow calls [`EventSink::record`] before it answers, so the sink must not block. Write to a
//! buffer, or send into a channel with `try_send`. If the sink waits, every login waits. If it
//! takes longer for known users than for unknown ones, its timing reveals which users exist. If a
//! sink panics, the flow goes on, the panic is logged, and the other sinks get the event. Sinks are
//! called in the order of [`AuthBuilder::event_sink`](crate::AuthBuilder::event_sink). Without a
//! sink no event is made.
//!
//! # Spans
//!
//! Each flow runs in a span of `tracing`, with the level `INFO` and the target `portcullis`, so
//! that every line of its log shows what it belongs to. The name of the span is `portcullis.` and
//! the name of the [`Operation`], such as `portcullis.login`, `portcullis.refresh` or
//! `portcullis.change_password`. A guard that asks a store does so in `portcullis.check_session` or
//! `portcullis.load_user`. A stateless guard has no span.
//!
//! | field | value |
//! |---|---|
//! | `user`, `session` | user and session of the flow, as soon as they are known |
//! | `outcome` | `ok`, the stable code of the [`ErrorKind`](crate::ErrorKind), or `abandoned` if the client hung up |
//!
//! # Metrics
//!
//! With the feature `metrics`, counts and durations go to the recorder that the app has installed
//! for the crate [`metrics`](https://docs.rs/metrics/0.24), such as that of
//! `metrics-exporter-prometheus`. Install it before
//! [`AuthBuilder::build`](crate::AuthBuilder::build), which describes each metric and its unit to
//! the recorder.
//!
//! | name | kind | labels | what it counts |
//! |---|---|---|---|
//! | `portcullis_events_total` | counter | `event`, `reason` where there is one | events, whether or not there is a sink; each `attempt.throttled`, emitted or not |
//! | `portcullis_flow_duration_seconds` | histogram | `operation`, `outcome` | how long flows take; the labels are the names and outcomes of the [spans](#spans) |
//! | `portcullis_hash_duration_seconds` | histogram | | how long a password takes to be hashed, without the wait |
//! | `portcullis_hash_wait_seconds` | histogram | | how long a password waits before it is hashed |
//! | `portcullis_hash_queue_length` | gauge | | how many passwords wait |
//! | `portcullis_store_duration_seconds` | histogram | `store`: `users` or `sessions`, `call`, `outcome` | how long calls to stores take; `outcome` is `ok`, `duplicate`, `too_many_sessions`, `unavailable`, `internal` or `abandoned` |
//! | `portcullis_revocations` | gauge | `kind`: `session` or `user` | ended sessions, and users with ended sessions, in memory |
//! | `portcullis_revocations_capacity` | gauge | | room for each of the two kinds |
//! | `portcullis_revocations_full` | gauge | | 1 while guards ask the store because an ending found no room |
//! | `portcullis_feed_up` | gauge | | 1 while the revocation feed is subscribed |
//! | `portcullis_unwritten_revocations` | gauge | | endings that the store could not take yet |
//! | `portcullis_lost_revocations_total` | counter | | endings that the store will never get |
//! | `portcullis_poll_entries_total` | counter | | endings that polls have read |
//! | `portcullis_store_questions_total` | counter | | sessions that guards have asked the store about, because the node was unsure |
//!
//! The gauges of revocations are set at each poll. Several `Auth`s of one process add up.
//! [`Auth::health`](crate::Auth::health) has the numbers of one.
//!
//! The values of labels are fixed words and never come from a request, so their number is bounded.
//! Durations are measured by [`Clock::monotonic`](crate::clock::Clock::monotonic). Useful alerts
//! are: any `session.foreign_token`, an unusual number of `session.reuse_found` or `login.failed`,
//! and the outcomes `overloaded` and `unavailable`.
//!
//! # Compatibility
//!
//! Later versions add kinds and members. Match with a `_`. [`AuthEvent::name`], [`EventKind`] and
//! the names in the tables stay as they are.

mod auth_event;
mod constructors;
mod flow_run;
mod kind;
mod sink;
mod tasks;

pub use self::{
    auth_event::AuthEvent,
    kind::{EndAllReason, EventKind, LoginFailure, LoginMethod, Operation, RefreshRefusal, RegistrationRefusal},
    sink::EventSink,
};
pub(crate) use self::{
    flow_run::{Events, FlowRun},
    sink::Sinks,
    tasks::Tasks,
};
// Events name the reason of an ended session in the session's own type.
#[doc(no_inline)]
pub use crate::session::EndReason;
